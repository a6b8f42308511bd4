"""A piece of street while things are put onto it, and the strip of ground that comes out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from aaff.synthetic.street import Street, generator
from aaff.synthetic.things import Thing
from aaff.synthetic.trees import Tree

CHUNK = 48.0
"""Metres of street that are made together."""
RESOLUTION = 0.25
"""Metres along the street between entries of a ``Strip``."""
_CELLS = int(CHUNK / RESOLUTION)
LEFT, RIGHT = 0, 1
"""Sides of the street; u is negative on the left."""


class Ground(IntEnum):
    """Kinds of ground."""

    ROAD = 0
    PAVEMENT = 1
    KERB = 2
    GRASS = 3
    SHOULDER = 4
    PARKING = 5


@dataclass(frozen=True)
class Strip:
    """Kinds of ground along the street; index 0 is the left side, 1 the right.

    Attributes:
        begin: metres of the first entry.
        walk, beyond: uint8 [2, N] of ``Ground``, on the pavement's place and behind it.
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


class Site:
    """Chunk number ``k`` of a street: random numbers of its own, the ground, and the things so far.

    Attributes:
        begin, end: metres along the street.
        mouth: width in metres of the road that leads off at the begin, left and right; 0 for none.
    """

    def __init__(self, road: Street, k: int) -> None:
        self.road = road
        self.begin, self.end = k * CHUNK, (k + 1) * CHUNK
        self.rng = generator(road.drive, 3, k)
        self.things: list[Thing] = []
        self.mouth = [0.0, 0.0]
        self.strip = Strip(
            self.begin,
            np.full((2, _CELLS), Ground.PAVEMENT, np.uint8),
            np.full((2, _CELLS), Ground.PAVEMENT, np.uint8),
            np.zeros((2, _CELLS), np.bool_),
            np.zeros(_CELLS, np.bool_),
            np.zeros(_CELLS, np.bool_),
            np.zeros(_CELLS, np.bool_),
        )

    def cells(self, start: float, end: float) -> slice:
        """Entries of the strip between two places along the street."""
        return slice(max(0, int((start - self.begin) / RESOLUTION)), max(0, int((end - self.begin) / RESOLUTION)))

    def chance(self, share: float) -> bool:
        """True with this probability."""
        return bool(self.rng.random() < share)

    def between(self, low: float, high: float) -> float:
        """A number drawn evenly from low … high."""
        return float(self.rng.uniform(low, high))

    def seed(self) -> int:
        """A seed for a thing."""
        return int(self.rng.integers(0, 1 << 31))

    def sign(self, side: int) -> float:
        """−1 on the left, 1 on the right."""
        return 1.0 if side == RIGHT else -1.0

    def edge(self, side: int) -> float:
        """Metres from the centre line to the far edge of the pavement."""
        return self.road.half_road + self.road.pavement[side]

    def add(self, *things: Thing) -> None:
        self.things.extend(things)

    def tree(self, s: float, u: float, scale: float) -> None:
        """Plant a tree about 7 · scale metres high."""
        height = scale * self.between(5.5, 10.0)
        radius = min(scale * self.between(2.4, 4.4), 0.4 * height)
        self.add(Tree(s, u, height, radius, self.seed()))
