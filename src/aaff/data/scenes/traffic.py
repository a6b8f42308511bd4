"""What moves: streams of cars, riders and walkers whose places follow from the time alone."""

from __future__ import annotations

import math

from aaff.data.scenes.camera import FAR, Camera
from aaff.data.scenes.people import Rider, Walker
from aaff.data.scenes.street import Street, generator
from aaff.data.scenes.vehicles import Vehicle
from aaff.data.scenes.world import Thing

_BEHIND = 8.0


def moving(street: Street, camera: Camera) -> list[Thing]:
    """Everything that moves and may be seen."""
    rng = generator(street.drive, 4)
    lane, half, time = street.lane_side, street.half_road, camera.time
    things: list[Thing] = []

    def stream(number: int, speed: float, gap: float, share: float) -> list[tuple[float, int]]:
        """(s, seed) of the members in sight: member i starts near i · gap and keeps its speed."""
        first = math.floor((camera.s - _BEHIND - speed * time) / gap) - 1
        last = math.ceil((camera.s + FAR - speed * time) / gap) + 1
        members = []
        for i in range(first, last + 1):
            own = generator(street.drive, 100 + number, i)
            if own.random() < share:
                s = (i + 0.6 * float(own.random())) * gap + speed * time
                if -_BEHIND < s - camera.s < FAR:
                    members.append((s, int(own.integers(0, 1 << 31))))
        return members

    for s, seed in stream(0, -float(rng.uniform(6, 11)), float(rng.uniform(16, 45)), 0.75):
        things.append(Vehicle(s, -lane * half * 0.42, math.pi, seed))
    ahead = float(rng.uniform(9.0, 30.0))
    for n in range(int(rng.integers(0, 4))):
        s = camera.s + ahead + 2.5 * math.sin(0.4 * time + n) + n * float(rng.uniform(9.0, 22.0))
        things.append(Vehicle(s, lane * half * 0.42, 0.0, int(rng.integers(0, 1 << 31)) + n))
    for number, side, speed in ((1, -1.0, 1.3), (2, -1.0, -1.2), (3, 1.0, 1.25), (4, 1.0, -1.4)):
        walk = street.pavement[0 if side < 0 else 1]
        gap = float(rng.uniform(14, 40))
        for s, seed in stream(number, speed, gap, 0.7):
            u = side * (half + 0.5 + (walk - 0.9) * ((seed >> 8) % 100) / 100.0)
            things.append(Walker(s, u, 0.0 if speed > 0 else math.pi, speed, seed))
    for number, direction, speed in ((5, lane, 5.0), (6, -lane, -4.6)):
        for s, seed in stream(number, speed, float(rng.uniform(22, 55)), 0.8):
            if s - camera.s > 3.0:
                u = direction * (half - (0.7 if half < 4.2 else 2.2))
                things.append(Rider(s, u, 0.0 if speed > 0 else math.pi, speed, seed))
    cross = float(rng.uniform(40, 90))
    for s, seed in stream(7, 0.0, cross, 0.8):
        # Crossing the road to and fro.
        reach = half + 1.5
        turn = (time * 1.3 / (2 * reach) + (seed % 97) / 97.0) % 2.0
        u = reach * (2 * turn - 1 if turn < 1 else 3 - 2 * turn)
        if s - camera.s > 5.0:
            things.append(Walker(s, u, math.pi / 2 if turn < 1 else -math.pi / 2, 1.3, seed))
    for s, seed in stream(8, 0.0, float(rng.uniform(90, 160)), 0.7):
        reach = 30.0
        turn = (time * 4.0 / (2 * reach) + (seed % 89) / 89.0) % 1.0
        if s - camera.s > 8.0 and abs(reach * (2 * turn - 1)) < half + 4:
            things.append(Rider(s, reach * (2 * turn - 1), math.pi / 2, 4.0, seed))
    return things
