"""What stands on the pavement and on the road: lamps, signs, street trees, people, parked cars, junctions."""

from __future__ import annotations

import math

from aaff.synthetic.bridges import Bridge
from aaff.synthetic.buildings import Barrier
from aaff.synthetic.furniture import Bin, Board, Bollard, Cone, Island, Lamp, Mast, Sign, TrafficLight
from aaff.synthetic.people import Rider, Walker
from aaff.synthetic.site import LEFT, RIGHT, Site
from aaff.synthetic.vehicles import Vehicle


def build_junction(site: Site) -> None:
    """Perhaps let roads lead off where the chunk begins, with lights, a zebra crossing and a stop line."""
    if not site.chance(0.4):
        return
    sides = (LEFT, RIGHT) if site.chance(0.4) else (int(site.rng.integers(0, 2)),)
    width = site.between(7.0, 11.0)
    end = site.begin + width
    for side in sides:
        site.mouth[side] = width
        site.strip.junction[side, site.cells(site.begin, end)] = True
    if site.chance(0.8):
        for side in (LEFT, RIGHT):
            u = site.sign(side) * (site.road.half_road + 0.5)
            for s in (site.begin - 1.0, end + 0.8):  # before the junction, and repeated behind it
                site.add(TrafficLight(s, u, int(site.rng.integers(0, 3)), site.chance(0.3)))
    if site.chance(0.6):
        site.strip.zebra[site.cells(end + 2.0, end + 5.0)] = True
        site.strip.stop[site.cells(end + 0.9, end + 1.3)] = True


def build_pavement(site: Site, side: int) -> None:
    """Everything along one kerb."""
    road, sign = site.road, site.sign(side)
    half, walk = road.half_road, road.pavement[side]
    start = site.begin + site.mouth[side] + 1.0
    length = site.end - start
    kerb = sign * (half + 0.45)

    def spot() -> float:
        return start + site.between(0, length)

    if site.chance(0.75):
        lamp = Lamp(spot(), kerb, site.between(5, 8), -sign, site.seed())
        site.add(lamp if not road.masts else Mast(lamp.s, kerb, lamp.height + 1.0))
    for _ in range(int(site.rng.poisson(1.5))):
        site.add(Sign(spot(), kerb, site.between(2.0, 2.9), site.seed()))
    if site.chance(0.3):
        site.add(Board(spot(), sign * (half + walk * 0.75), site.seed()))
    if site.chance(0.35):
        s = spot()
        site.add(*(Bollard(s + 1.6 * n, kerb) for n in range(int(site.rng.integers(2, 6)))))
    if site.chance(0.4):
        site.add(Bin(spot(), sign * (half + walk - 0.4), site.seed()))
    if site.chance(0.3):
        rail = min(site.between(6, 15), length)
        # A seed of this form gives a guard rail.
        s, seed = start + site.between(0, length - rail), site.seed() * 4 + 3
        site.add(Barrier(s, sign * (half + 0.3), rail, 1.05, "Fence", seed))
    if site.chance(0.12):
        s = spot()
        site.add(*(Cone(s + 1.2 * n, sign * (half - 0.5 - 0.3 * n)) for n in range(3)))
    if walk > 2.2 and site.chance(road.tree_density):
        for n in range(int(site.rng.integers(1, 4))):
            site.tree(start + (n + 0.5) * length / 3, sign * (half + 1.0), 0.8)
    for _ in range(int(site.rng.poisson(1.2))):
        u = sign * (half + site.between(0.5, walk))
        site.add(Walker(spot(), u, site.between(0, 2 * math.pi), 0.0, site.seed()))
    if site.chance(0.3):
        site.add(Rider(spot(), sign * (half + 0.7), site.between(0, 2 * math.pi), 0.0, site.seed(), parked=True))


def build_parking(site: Site, side: int) -> None:
    """Cars parked along the kerb, where the road is wide enough."""
    road, sign = site.road, site.sign(side)
    if road.half_road < 4.2:
        return
    s = site.begin + site.mouth[side] + 7.0
    while s < site.end - 4.0:
        if site.chance(road.parked[side]):
            heading = 0.0 if sign == road.lane_side else math.pi
            site.add(Vehicle(s, sign * (road.half_road - 1.15), heading, site.seed()))
        s += site.between(5.6, 8.5)


def build_middle(site: Site) -> None:
    """Perhaps a bridge over the road, and a hatched island in its middle."""
    road = site.road
    if site.chance(0.07):
        clear = road.half_road + max(road.pavement) + 1.0
        site.add(Bridge(site.begin + site.between(20, 40), 0.0, clear, site.seed()))
    if site.chance(0.25):
        s = site.begin + site.between(12, 25)
        site.strip.hatch[site.cells(s, s + 12.0)] = True
        site.add(Island(s + 6.0, 0.0))
