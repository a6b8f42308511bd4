"""What stands behind the pavement: houses with their front gardens, parks, yards, car parks."""

from __future__ import annotations

import math
from typing import NamedTuple

from aaff.synthetic.buildings import Barrier, House
from aaff.synthetic.site import Ground, Site
from aaff.synthetic.vehicles import Vehicle


class _District(NamedTuple):
    """What is usual in a part of a town.

    Attributes:
        width: of a lot in metres, least and most.
        uses: shares of house, park, yard, car park.
        storeys: least, and most + 1.
        setbacks: metres from pavement to house, one of these.
        styles: shares of the styles of ``aaff.synthetic.facades.facade``.
        joined: share of houses that touch the next.
        shops: share of houses with a shop, where there is no front garden.
    """

    width: tuple[float, float]
    uses: tuple[float, float, float, float]
    storeys: tuple[int, int]
    setbacks: tuple[float, ...]
    styles: tuple[float, float, float, float]
    joined: float
    shops: float


_DISTRICTS = (
    _District((5, 9), (0.82, 0.06, 0.08, 0.04), (2, 4), (0.0, 2.0, 4.0), (0.6, 0.3, 0.1, 0.0), 0.85, 0.3),
    _District((9, 18), (0.72, 0.08, 0.1, 0.1), (3, 7), (0.0,), (0.25, 0.25, 0.25, 0.25), 0.85, 0.65),
    _District((9, 14), (0.66, 0.2, 0.1, 0.04), (2, 3), (3.0, 5.0, 8.0), (0.5, 0.5, 0.0, 0.0), 0.0, 0.0),
    _District((10, 18), (0.2, 0.6, 0.16, 0.04), (2, 4), (3.0, 5.0, 8.0), (0.3, 0.3, 0.3, 0.1), 0.0, 0.0),
)
"""Terrace, town, suburb, park road: the kinds of ``aaff.synthetic.street.Street``."""


def build_lots(site: Site, side: int) -> None:
    """Fill one side of a chunk."""
    district = _DISTRICTS[site.road.kind]
    s = site.begin + site.mouth[side]
    while site.end - s > 4.0:
        width = min(site.between(*district.width), site.end - s)
        if site.end - s - width < 4.0:
            width = site.end - s
        use = int(site.rng.choice(4, p=district.uses))
        (_house, _park, _yard, _car_park)[use](site, side, s, width)
        s += width
    if site.road.kind == 3 and side == 0:
        site.strip.walk[side] = Ground.SHOULDER


def _house(site: Site, side: int, s: float, width: float) -> None:
    district, sign, edge = _DISTRICTS[site.road.kind], site.sign(side), site.edge(side)
    setback = float(site.rng.choice(district.setbacks))
    storeys = int(site.rng.integers(*district.storeys))
    gap = 0.0 if site.chance(district.joined) else site.between(1.0, 3.0)
    style = int(site.rng.choice(4, p=district.styles))
    shop = setback == 0 and site.chance(district.shops)
    roof = 0.0 if style == 3 or site.chance(0.25) else site.between(1.8, 3.6)
    height = storeys * site.between(2.8, 3.4)
    u = sign * (edge + setback)
    before = next((t for t in reversed(site.things) if isinstance(t, House)), None)
    hidden = before is not None and before.u == u and before.height >= height and before.s + before.width > s - 0.01
    site.add(House(s, u, width - gap, height, storeys, style, shop, roof, site.seed(), not hidden))
    if setback == 0:
        return
    ground = Ground.GRASS if site.chance(0.7) else Ground.PARKING if site.chance(0.5) else Ground.PAVEMENT
    site.strip.beyond[side, site.cells(s, s + width)] = ground
    _front(site, side, s, width - (1.2 if site.chance(0.7) else 0.0))
    if setback >= 3 and site.chance(0.5 * site.road.tree_density + 0.2):
        site.tree(s + site.between(1, width - 1), sign * (edge + setback * 0.5), 0.7)


def _front(site: Site, side: int, s: float, length: float) -> None:
    """What closes a front garden: fence, hedge, wall or nothing."""
    what = int(site.rng.choice(4, p=(0.45, 0.25, 0.2, 0.1)))
    if what == 3:
        return
    kind = ("Fence", "VegetationMisc", "Wall")[what]
    height = site.between(*((0.9, 1.6), (0.8, 1.9), (0.6, 1.3))[what])
    site.add(Barrier(s, site.sign(side) * (site.edge(side) + 0.1), length, height, kind, site.seed()))


def _park(site: Site, side: int, s: float, width: float) -> None:
    sign, edge = site.sign(side), site.edge(side)
    site.strip.beyond[side, site.cells(s, s + width)] = Ground.GRASS
    for _ in range(int(site.rng.integers(2, 5))):
        site.tree(s + site.between(0, width), sign * (edge + site.between(1.5, 14)), 1.2)
    if site.chance(0.7):
        site.add(Barrier(s, sign * (edge + 0.1), width, site.between(0.9, 1.5), "Fence", site.seed()))


def _yard(site: Site, side: int, s: float, width: float) -> None:
    """A yard behind a high fence or wall."""
    sign, edge = site.sign(side), site.edge(side)
    kind = "Fence" if site.chance(0.75) else "Wall"
    site.add(Barrier(s, sign * (edge + 0.1), width, site.between(1.4, 2.4), kind, site.seed()))
    site.tree(s + width / 2, sign * (edge + 4.0), 1.1)


def _car_park(site: Site, side: int, s: float, width: float) -> None:
    sign, edge = site.sign(side), site.edge(side)
    site.strip.beyond[side, site.cells(s, s + width)] = Ground.PARKING
    for n in range(int(width / 2.8)):
        if site.chance(0.7):
            site.add(Vehicle(s + 1.4 + 2.8 * n, sign * (edge + 4.0), sign * math.pi / 2, site.seed()))
    for share in (0.25, 0.75):
        site.tree(s + width * share, sign * (edge + 12.0), 1.2)
