"""The street, chunk by chunk, each made from the drive's number and its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from aaff.synthetic.lots import build_lots
from aaff.synthetic.roadside import build_junction, build_middle, build_parking, build_pavement
from aaff.synthetic.site import LEFT, RIGHT, Site, Strip
from aaff.synthetic.street import street
from aaff.synthetic.things import Thing


@dataclass(frozen=True)
class Chunk:
    """One piece of street with all that stays where it is."""

    strip: Strip
    things: tuple[Thing, ...]


@lru_cache(maxsize=512)
def chunk(drive: int, k: int) -> Chunk:
    """Chunk number ``k`` of a drive: metres k · 48 … (k + 1) · 48."""
    site = Site(street(drive), k)
    build_junction(site)
    for side in (LEFT, RIGHT):
        build_lots(site, side)
        build_pavement(site, side)
        build_parking(site, side)
    build_middle(site)
    return Chunk(site.strip, tuple(site.things))


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
