"""What moves: streams of cars, riders and walkers whose places follow from the time alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from aaff.synthetic.camera import FAR, Camera
from aaff.synthetic.people import Rider, Walker
from aaff.synthetic.street import Street, generator
from aaff.synthetic.things import Thing
from aaff.synthetic.vehicles import Vehicle

_BEHIND = 8.0


@dataclass(frozen=True)
class _Stream:
    """Members i = …, −1, 0, 1, … that start near i · gap and keep their speed (m/s); ``share`` of them exist."""

    drive: int
    number: int
    speed: float
    gap: float
    share: float

    def seen(self, camera: Camera) -> list[tuple[float, int]]:
        """(s, seed) of the members that the camera may see."""
        moved = self.speed * camera.time
        first = math.floor((camera.s - _BEHIND - moved) / self.gap) - 1
        last = math.ceil((camera.s + FAR - moved) / self.gap)
        members = []
        for i in range(first, last + 1):
            exists, shift, seed = _member(self.drive, self.number, i)
            s = (i + 0.6 * shift) * self.gap + moved
            if exists < self.share and -_BEHIND < s - camera.s < FAR:
                members.append((s, seed))
        return members


@lru_cache(maxsize=8192)
def _member(drive: int, number: int, i: int) -> tuple[float, float, int]:
    rng = generator(drive, 100 + number, i)
    return float(rng.random()), float(rng.random()), int(rng.integers(0, 1 << 31))


@dataclass(frozen=True)
class _Traffic:
    """The streams of one drive."""

    oncoming: _Stream
    ahead: tuple[tuple[float, int], ...]  # metres before the camera, seed
    walkers: tuple[tuple[float, _Stream], ...]  # side of the street
    riders: tuple[tuple[float, _Stream], ...]
    crossing: _Stream
    cutting: _Stream


@lru_cache(maxsize=64)
def _traffic(road: Street) -> _Traffic:
    rng, drive, lane = generator(road.drive, 4), road.drive, road.lane_side

    def stream(number: int, speed: float, low: float, high: float, share: float) -> _Stream:
        return _Stream(drive, number, speed, float(rng.uniform(low, high)), share)

    gap = float(rng.uniform(12.0, 30.0))
    ahead = []
    for _ in range(int(rng.integers(0, 4))):
        ahead.append((gap, int(rng.integers(0, 1 << 31))))
        gap += float(rng.uniform(9.0, 22.0))
    return _Traffic(
        stream(0, -float(rng.uniform(6, 11)), 16, 45, 0.75),
        tuple(ahead),
        tuple(
            (side, stream(number, speed, 14, 40, 0.7))
            for number, side, speed in ((1, -1.0, 1.3), (2, -1.0, -1.2), (3, 1.0, 1.25), (4, 1.0, -1.4))
        ),
        ((lane, stream(5, 5.0, 16, 40, 0.8)), (-lane, stream(6, -4.6, 16, 40, 0.8))),
        stream(7, 0.0, 28, 60, 0.8),
        stream(8, 0.0, 60, 120, 0.7),
    )


def moving(road: Street, camera: Camera) -> list[Thing]:
    """Everything that moves and may be seen."""
    flow, lane, half, time = _traffic(road), road.lane_side, road.half_road, camera.time
    things: list[Thing] = [Vehicle(s, -lane * half * 0.42, math.pi, seed) for s, seed in flow.oncoming.seen(camera)]
    for n, (gap, seed) in enumerate(flow.ahead):
        s = camera.s + gap + 2.5 * math.sin(0.4 * time + n)
        things.append(Vehicle(s, lane * half * 0.42, 0.0, seed))
    for side, stream in flow.walkers:
        room = road.pavement[0 if side < 0 else 1] - 0.9
        for s, seed in stream.seen(camera):
            u = side * (half + 0.5 + room * ((seed >> 8) % 100) / 100.0)
            things.append(Walker(s, u, 0.0 if stream.speed > 0 else math.pi, stream.speed, seed))
    for side, stream in flow.riders:
        for s, seed in stream.seen(camera):
            if s - camera.s > 5.0:
                u = side * (half - (0.7 if half < 4.2 else 2.2))
                things.append(Rider(s, u, 0.0 if stream.speed > 0 else math.pi, stream.speed, seed))
    for s, seed in flow.crossing.seen(camera):  # to and fro between the pavements
        reach = half + 1.5
        turn = (time * 1.3 / (2 * reach) + (seed % 97) / 97.0) % 2.0
        u = reach * (2 * turn - 1 if turn < 1 else 3 - 2 * turn)
        if s - camera.s > 5.0:
            things.append(Walker(s, u, math.pi / 2 if turn < 1 else -math.pi / 2, 1.3, seed))
    for s, seed in flow.cutting.seen(camera):  # out of one side street into the other
        u = 30.0 * (2 * ((time * 4.0 / 60.0 + (seed % 89) / 89.0) % 1.0) - 1)
        if s - camera.s > 8.0 and abs(u) < half + 4:
            things.append(Rider(s, u, math.pi / 2, 4.0, seed))
    return things
