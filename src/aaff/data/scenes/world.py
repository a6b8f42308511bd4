"""What stands along a street, made chunk by chunk from the drive's number and the chunk's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

from aaff.data.scenes import buildings, furniture, people, vehicles
from aaff.data.scenes.canvas import Canvas
from aaff.data.scenes.street import Street, generator, street

CHUNK = 48.0
"""Metres of street that are made together."""
RESOLUTION = 0.25
"""Metres along the street between entries of a :class:`Strip`."""
_CELLS = int(CHUNK / RESOLUTION)


class Thing(Protocol):
    """Something that stands on the street at (s, u) metres."""

    s: float
    u: float

    def order(self) -> float:
        """Things are painted from the highest value to the lowest."""

    def shadow(self, canvas: Canvas) -> None:
        """Darken the ground."""

    def draw(self, canvas: Canvas) -> None:
        """Paint picture and truth."""


@dataclass(frozen=True)
class Strip:
    """Kinds of ground along the street; index 0 is the left side, 1 the right.

    Attributes:
        begin: metres of the first entry.
        walk, beyond: uint8 [2, N], kind of ground on the pavement's place and behind it.
        junction: bool [2, N], a road leads off here.
        zebra, stop, hatch: bool [N], markings.
    """

    begin: float
    walk: npt.NDArray[np.uint8]
    beyond: npt.NDArray[np.uint8]
    junction: npt.NDArray[np.bool_]
    zebra: npt.NDArray[np.bool_]
    stop: npt.NDArray[np.bool_]
    hatch: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Chunk:
    """One piece of street with all that stays where it is."""

    strip: Strip
    things: tuple[Thing, ...]


def strip_of(drive: int, first: int, last: int) -> Strip:
    """The ground of chunks ``first`` … ``last``."""
    parts = [chunk(drive, k).strip for k in range(first, last + 1)]
    return Strip(
        parts[0].begin,
        np.concatenate([p.walk for p in parts], 1),
        np.concatenate([p.beyond for p in parts], 1),
        np.concatenate([p.junction for p in parts], 1),
        np.concatenate([p.zebra for p in parts]),
        np.concatenate([p.stop for p in parts]),
        np.concatenate([p.hatch for p in parts]),
    )


@lru_cache(maxsize=512)
def chunk(drive: int, k: int) -> Chunk:
    """Chunk number ``k`` of a drive: metres k·48 … k·48+48."""
    return _Maker(street(drive), k).make()


class _Maker:
    def __init__(self, road: Street, k: int) -> None:
        self.road = road
        self.begin = k * CHUNK
        self.rng = generator(road.drive, 3, k)
        self.things: list[Thing] = []
        self.walk = np.full((2, _CELLS), 1, np.uint8)
        self.beyond = np.full((2, _CELLS), 1, np.uint8)
        self.junction = np.zeros((2, _CELLS), np.bool_)
        self.zebra = np.zeros(_CELLS, np.bool_)
        self.stop = np.zeros(_CELLS, np.bool_)
        self.hatch = np.zeros(_CELLS, np.bool_)
        self.mouth = [0.0, 0.0]  # width of the road that leads off at the chunk's begin, per side

    def cells(self, start: float, end: float) -> slice:
        return slice(max(0, int((start - self.begin) / RESOLUTION)), max(0, int((end - self.begin) / RESOLUTION)))

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def make(self) -> Chunk:
        self._junctions()
        for side in (0, 1):
            self._lots(side)
            self._pavement(side)
            self._parked(side)
        self._across()
        strip = Strip(self.begin, self.walk, self.beyond, self.junction, self.zebra, self.stop, self.hatch)
        return Chunk(strip, tuple(self.things))

    def sign_of(self, side: int) -> float:
        return 1.0 if side else -1.0

    def _junctions(self) -> None:
        if not self.chance(0.4):
            return
        sides = (0, 1) if self.chance(0.4) else (int(self.rng.integers(0, 2)),)
        width = float(self.rng.uniform(7.0, 11.0))
        for side in sides:
            self.mouth[side] = width
            self.junction[side, self.cells(self.begin, self.begin + width)] = True
        lights = self.chance(0.6)
        end = self.begin + width
        for side in (0, 1):
            u = self.sign_of(side) * (self.road.half_road + 0.5)
            for s in (end + 0.8,):
                if lights:
                    self.things.append(furniture.TrafficLight(s, u, int(self.rng.integers(0, 3)), self.chance(0.3)))
        if self.chance(0.6):
            self.zebra[self.cells(end + 2.0, end + 5.0)] = True
            self.stop[self.cells(end + 0.9, end + 1.3)] = True

    def _lots(self, side: int) -> None:
        rng, road, sign = self.rng, self.road, self.sign_of(side)
        edge = road.half_road + road.pavement[side]
        s, end = self.begin + self.mouth[side], self.begin + CHUNK
        corner = self.mouth[side] > 0
        while end - s > 4.0:
            width = min(float(rng.uniform(*((5, 9), (9, 18), (9, 14), (10, 18))[road.kind])), end - s)
            if end - s - width < 4.0:
                width = end - s
            use = rng.choice(
                4,
                p=((0.82, 0.06, 0.08, 0.04), (0.72, 0.08, 0.1, 0.1), (0.66, 0.2, 0.1, 0.04), (0.2, 0.6, 0.16, 0.04))[
                    road.kind
                ],
            )
            if use == 0:
                self._house(side, s, width, edge, corner)
            else:
                self._open_lot(side, s, width, edge, int(use))
            corner = False
            s += width
        if road.kind == 3 and side == 0:
            self.walk[side] = 4

    def _house(self, side: int, s: float, width: float, edge: float, corner: bool) -> None:
        rng, road, sign = self.rng, self.road, self.sign_of(side)
        kind = road.kind
        setback = 0.0 if kind == 1 else float(rng.choice([0.0, 2.0, 4.0]) if kind == 0 else rng.uniform(3.0, 8.0))
        storeys = int(rng.integers(*((2, 4), (3, 7), (2, 3), (2, 4))[kind]))
        gap = 0.0 if kind in (0, 1) and self.chance(0.85) else float(rng.uniform(1.0, 3.0))
        shop = (kind == 1 and self.chance(0.65)) or (kind == 0 and setback == 0 and self.chance(0.3))
        style = int(
            rng.choice(
                4, p=((0.6, 0.3, 0.1, 0), (0.25, 0.25, 0.25, 0.25), (0.5, 0.5, 0, 0), (0.3, 0.3, 0.3, 0.1))[kind]
            )
        )
        self.things.append(
            buildings.House(
                s,
                sign * (edge + setback),
                width - gap,
                storeys * float(rng.uniform(2.8, 3.4)),
                storeys,
                style,
                shop,
                roof=0.0 if style == 3 or self.chance(0.25) else float(rng.uniform(1.8, 3.6)),
                seed=int(rng.integers(0, 1 << 31)),
            )
        )
        if setback > 1.0:
            self.beyond[side, self.cells(s, s + width)] = 3 if self.chance(0.7) else (5 if self.chance(0.5) else 1)
            self._front(side, s, width, edge)
            if setback > 3 and self.chance(0.5 * road.tree_density + 0.2):
                self.things.append(self._tree(s + float(rng.uniform(1, width - 1)), sign * (edge + setback * 0.5), 0.7))

    def _front(self, side: int, s: float, width: float, edge: float) -> None:
        """What closes a front garden: fence, hedge, wall or nothing."""
        rng, sign = self.rng, self.sign_of(side)
        what = rng.choice(4, p=[0.45, 0.25, 0.2, 0.1])
        u, seed = sign * (edge + 0.1), int(rng.integers(0, 1 << 31))
        opening = 1.2 if self.chance(0.7) else 0.0
        if what == 0:
            self.things.append(buildings.Barrier(s, u, width - opening, float(rng.uniform(0.9, 1.6)), "Fence", seed))
        elif what == 1:
            self.things.append(
                buildings.Barrier(s, u, width - opening, float(rng.uniform(0.8, 1.9)), "VegetationMisc", seed)
            )
        elif what == 2:
            self.things.append(buildings.Barrier(s, u, width - opening, float(rng.uniform(0.6, 1.3)), "Wall", seed))

    def _open_lot(self, side: int, s: float, width: float, edge: float, use: int) -> None:
        rng, sign = self.rng, self.sign_of(side)
        cells = self.cells(s, s + width)
        seed = int(rng.integers(0, 1 << 31))
        if use == 1:  # a small park
            self.beyond[side, cells] = 3
            for _ in range(int(rng.integers(2, 5))):
                self.things.append(
                    self._tree(s + float(rng.uniform(0, width)), sign * (edge + float(rng.uniform(1.5, 14))), 1.2)
                )
            if self.chance(0.7):
                self.things.append(
                    buildings.Barrier(s, sign * (edge + 0.1), width, float(rng.uniform(0.9, 1.5)), "Fence", seed)
                )
        elif use == 2:  # a yard behind a fence or wall
            self.beyond[side, cells] = 1
            high = float(rng.uniform(1.4, 2.4))
            self.things.append(
                buildings.Barrier(s, sign * (edge + 0.1), width, high, "Fence" if self.chance(0.75) else "Wall", seed)
            )
            self.things.append(self._tree(s + width / 2, sign * (edge + 4.0), 1.1))
        else:  # a car park
            self.beyond[side, cells] = 5
            for n in range(int(width / 2.8)):
                if self.chance(0.7):
                    self.things.append(
                        vehicles.Vehicle(
                            s + 1.4 + 2.8 * n, sign * (edge + 4.0), sign * 1.57, int(rng.integers(0, 1 << 31))
                        )
                    )
            for n in range(2):
                self.things.append(self._tree(s + width * (n + 0.5) / 2, sign * (edge + 12.0), 1.2))

    def _tree(self, s: float, u: float, scale: float) -> furniture.Tree:
        rng = self.rng
        return furniture.Tree(
            s,
            u,
            scale * float(rng.uniform(4.5, 9.0)),
            scale * float(rng.uniform(2.6, 4.6)),
            int(rng.integers(0, 1 << 31)),
        )

    def _pavement(self, side: int) -> None:
        """Lamps, signs, trees, people's things along the kerb."""
        rng, road, sign = self.rng, self.road, self.sign_of(side)
        start = self.begin + self.mouth[side] + 1.0
        length = self.begin + CHUNK - start
        kerb = sign * (road.half_road + 0.45)

        def spot() -> float:
            return start + float(rng.uniform(0, length))

        seed = lambda: int(rng.integers(0, 1 << 31))  # noqa: E731
        if self.chance(0.75):
            self.things.append(furniture.Lamp(spot(), kerb, float(rng.uniform(5, 8)), -sign, seed()))
        for _ in range(int(rng.poisson(1.5))):
            self.things.append(furniture.Sign(spot(), kerb, float(rng.uniform(2.0, 2.9)), seed()))
        if self.chance(0.3):
            self.things.append(furniture.Board(spot(), sign * (road.half_road + road.pavement[side] * 0.75), seed()))
        if self.chance(0.35):
            s = spot()
            for n in range(int(rng.integers(2, 6))):
                self.things.append(furniture.Bollard(s + 1.6 * n, kerb))
        if self.chance(0.4):
            self.things.append(furniture.Bin(spot(), sign * (road.half_road + road.pavement[side] - 0.4), seed()))
        if self.chance(0.22):
            width = min(float(rng.uniform(6, 15)), length)
            s = start + float(rng.uniform(0, length - width))
            self.things.append(
                buildings.Barrier(s, sign * (road.half_road + 0.3), width, 1.05, "Fence", seed() * 4 + 3)
            )
        if self.chance(0.12):
            s = spot()
            for n in range(3):
                self.things.append(furniture.Cone(s + 1.2 * n, sign * (road.half_road - 0.5 - 0.3 * n)))
        if rng.random() < road.tree_density:
            for n in range(int(rng.integers(1, 4))):
                if road.pavement[side] > 2.2:
                    self.things.append(self._tree(start + (n + 0.5) * length / 3, sign * (road.half_road + 1.0), 0.8))
        for _ in range(int(rng.poisson(0.9))):
            self.things.append(
                people.Walker(
                    spot(),
                    sign * (road.half_road + float(rng.uniform(0.5, road.pavement[side]))),
                    float(rng.uniform(0, 6.28)),
                    0.0,
                    seed(),
                )
            )
        if self.chance(0.3):
            self.things.append(
                people.Rider(
                    spot(), sign * (road.half_road + 0.7), float(rng.uniform(0, 6.28)), 0.0, seed(), parked=True
                )
            )

    def _parked(self, side: int) -> None:
        rng, road, sign = self.rng, self.road, self.sign_of(side)
        if road.half_road < 4.2:
            return
        s = self.begin + self.mouth[side] + 7.0
        while s < self.begin + CHUNK - 4.0:
            if rng.random() < road.parked[side]:
                heading = 0.0 if sign == road.lane_side else 3.14159
                self.things.append(
                    vehicles.Vehicle(s, sign * (road.half_road - 1.15), heading, int(rng.integers(0, 1 << 31)))
                )
            s += float(rng.uniform(5.6, 8.5))

    def _across(self) -> None:
        """Bridges over the road, and road works in its middle."""
        rng, road = self.rng, self.road
        if self.chance(0.07):
            s = self.begin + float(rng.uniform(20, 40))
            self.things.append(
                buildings.Bridge(s, 0.0, road.half_road + max(road.pavement) + 1.0, int(rng.integers(0, 1 << 31)))
            )
        if self.chance(0.25):
            a = self.begin + float(rng.uniform(12, 25))
            self.hatch[self.cells(a, a + 12.0)] = True
            self.things.append(furniture.Island(a + 6.0, 0.0, int(rng.integers(0, 1 << 31))))
