"""Shapes of cars, vans, buses and lorries: solids of flat faces, in metres (right, up, forward)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aaff.synthetic.camera import Point
from aaff.synthetic.canvas import RAW
from aaff.synthetic.looks import any_color, pick, tinted
from aaff.synthetic.street import Color, generator
from aaff.synthetic.textures import FloatArray

_GLASS: Color = (52.0, 62.0, 70.0)
_PAINT: Color = (-1.0, 0.0, 0.0)  # stand-ins, replaced vehicle by vehicle
_LOAD: Color = (-2.0, 0.0, 0.0)
_TYRE: Color = (26.0, 26.0, 28.0)
_PAINTS: tuple[Color, ...] = (
    (188.0, 192.0, 196.0),
    (224.0, 224.0, 220.0),
    (30.0, 32.0, 36.0),
    (160.0, 26.0, 32.0),
    (34.0, 58.0, 128.0),
    (90.0, 94.0, 98.0),
    (30.0, 84.0, 66.0),
    (196.0, 160.0, 60.0),
    (110.0, 140.0, 168.0),
    (120.0, 40.0, 60.0),
)


class _Kind(NamedTuple):
    """A kind of vehicle.

    Attributes:
        share: how often it is met.
        raw: its raw class.
        profile: side view as (forward, height, half width), from the front bumper over bonnet, foot of the
            windscreen, front and rear of the roof, foot of the rear window, boot, to the rear bumper.
        wheels: where its axles are.
        radius: of the wheels.
    """

    share: float
    raw: str
    profile: tuple[Point, ...]
    wheels: tuple[float, ...]
    radius: float = 0.32


_W, _R = 0.87, 0.69  # half widths of a car at the waist and at the roof
# fmt: off
_KINDS: dict[str, _Kind] = {
    "hatch": _Kind(0.3, "Car", (
        (2.0, 0.35, _W), (1.95, 0.72, _W), (1.0, 0.95, _W), (0.35, 1.46, _R),
        (-1.5, 1.45, _R), (-1.9, 0.98, _W), (-1.98, 0.72, _W), (-2.0, 0.35, _W)), (1.2, -1.25)),
    "saloon": _Kind(0.2, "Car", (
        (2.25, 0.35, _W), (2.2, 0.7, _W), (1.1, 0.93, _W), (0.35, 1.42, _R),
        (-0.95, 1.4, _R), (-1.6, 0.98, _W), (-2.25, 0.92, _W), (-2.28, 0.35, _W)), (1.4, -1.4)),
    "estate": _Kind(0.13, "Car", (
        (2.2, 0.35, _W), (2.15, 0.72, _W), (1.1, 0.95, _W), (0.4, 1.46, _R),
        (-1.9, 1.46, _R), (-2.2, 1.0, _W), (-2.24, 0.75, _W), (-2.26, 0.35, _W)), (1.35, -1.4)),
    "suv": _Kind(0.13, "SUVPickupTruck", (
        (2.2, 0.45, 0.93), (2.18, 0.95, 0.93), (1.2, 1.15, 0.93), (0.6, 1.8, 0.8),
        (-1.95, 1.8, 0.8), (-2.15, 1.2, 0.93), (-2.2, 0.9, 0.93), (-2.2, 0.45, 0.93)), (1.35, -1.4), 0.37),
    "van": _Kind(0.1, "SUVPickupTruck", (
        (2.5, 0.4, 0.97), (2.45, 1.0, 0.97), (1.8, 1.25, 0.97), (1.15, 2.1, 0.87),
        (-2.4, 2.15, 0.87), (-2.48, 1.3, 0.97), (-2.5, 0.9, 0.97), (-2.5, 0.4, 0.97)), (1.65, -1.7)),
    "bus": _Kind(0.05, "Truck_Bus", (
        (5.2, 0.4, 1.25), (5.2, 1.2, 1.25), (5.18, 1.3, 1.25), (5.0, 3.0, 1.25),
        (-5.2, 3.0, 1.25), (-5.25, 1.4, 1.25), (-5.25, 1.2, 1.25), (-5.25, 0.4, 1.25)), (3.4, -3.0), 0.48),
    "lorry": _Kind(0.06, "Truck_Bus", (
        (3.8, 0.5, 1.2), (3.8, 1.2, 1.2), (3.78, 1.4, 1.2), (3.6, 2.5, 1.2),
        (2.1, 2.6, 1.2), (2.0, 1.5, 1.2), (2.0, 1.2, 1.2), (2.0, 0.5, 1.2)), (2.8, -2.6), 0.48),
    "trailer": _Kind(0.03, "OtherMoving", (
        (1.4, 0.5, 0.9), (1.4, 0.7, 0.9), (1.4, 0.8, 0.9), (1.35, 1.5, 0.88),
        (-1.35, 1.5, 0.88), (-1.4, 0.8, 0.9), (-1.4, 0.7, 0.9), (-1.4, 0.5, 0.9)), (0.0,)),
}
# fmt: on
_SCREEN, _ROOF_END = 2, 4  # points of the profile: foot of the windscreen, rear of the roof


@dataclass(frozen=True)
class Model:
    """A vehicle of P corners in F faces.

    Attributes:
        corners: float64 [P, 3], face after face.
        starts, ends: int64 [F], where each face's corners lie.
        normals: float64 [F, 3], pointing outward.
        colors: float64 [F, 3], RGB.
        gloss, glass: float64 [F], 1 for varnish and panes, 1 for panes.
        fine: bool [F], faces that can be left out far away.
        length, width, height: in metres.
        raw: raw id.
    """

    corners: FloatArray
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    normals: FloatArray
    colors: FloatArray
    gloss: FloatArray
    glass: FloatArray
    fine: npt.NDArray[np.bool_]
    length: float
    width: float
    height: float
    raw: int


@lru_cache(maxsize=1024)
def model(seed: int) -> Model:
    """The vehicle of a seed: mostly cars, some vans, buses, lorries, trailers."""
    rng = generator(seed, 20)
    names = list(_KINDS)
    name = names[int(rng.choice(len(names), p=[k.share for k in _KINDS.values()]))]
    paint = tinted(pick(rng, _PAINTS), float(rng.uniform(0.85, 1.08)))
    load = (220.0, 220.0, 214.0) if rng.random() < 0.6 else any_color(rng, 60, 220)
    shape = _shape(name, bool(rng.random() < 0.5))
    colors = shape.colors.copy()
    for stand_in, color in ((_PAINT, paint), (_LOAD, load)):
        colors[(shape.colors == stand_in).all(1)] = color
    return replace(shape, colors=colors)


@lru_cache(maxsize=32)
def _shape(name: str, yellow: bool) -> Model:
    """A kind of vehicle with stand-ins for the colours of body and load."""
    builder = _Builder(name, _KINDS[name], _PAINT)
    builder.treads()  # first, because the body hides what it stands before
    builder.body()
    builder.ends(yellow)
    if name == "lorry":
        builder.box(1.1, 0.5, 0.95, 1.8, -4.2, (44.0, 44.0, 46.0))
        builder.box(1.22, 0.95, 3.2, 1.8, -4.2, _LOAD)
        builder.tail_lights(0.9, 0.85, -4.23)
    builder.wheels()
    return builder.finish()


class _Builder:
    """Collects faces."""

    def __init__(self, name: str, kind: _Kind, paint: Color) -> None:
        self.name, self.kind, self.paint = name, kind, paint
        self.faces: list[tuple[FloatArray, FloatArray, Color, bool, bool, bool]] = []

    def add(
        self,
        points: FloatArray | Sequence[Point],
        normal: FloatArray | Point,
        color: Color,
        *,
        gloss: bool = False,
        glass: bool = False,
        fine: bool = False,
    ) -> None:
        corners = np.array(points, np.float64)
        self.faces.append((corners, np.array(normal, np.float64), color, gloss, glass, fine))

    def body(self) -> None:
        """The hull along the profile, its two sides, and the panes."""
        profile = self.kind.profile
        closed = self.name in ("van", "lorry")
        for i in range(len(profile) - 1):
            (za, ya, wa), (zb, yb, wb) = profile[i], profile[i + 1]
            length = math.hypot(yb - ya, zb - za)
            normal = np.array([0.0, (za - zb) / length, (yb - ya) / length])
            strip = np.array([(-wa, ya, za), (wa, ya, za), (wb, yb, zb), (-wb, yb, zb)])
            self.add(strip, normal, self.paint, gloss=True)
            if i == _SCREEN or (i == _ROOF_END and not closed):
                self._pane(strip, normal, (0.9, 0.82, 0.82))
        for sign in (-1.0, 1.0):
            self._side(sign, closed)

    def _pane(self, frame: FloatArray, normal: FloatArray, shrink: Point) -> None:
        if self.name != "trailer":
            middle = frame.mean(0)
            self.add(middle + (frame - middle) * shrink + 0.015 * normal, normal, _GLASS, gloss=True, glass=True)

    def _side(self, sign: float, closed: bool) -> None:
        profile = self.kind.profile
        flat = np.array([sign, 0.0, 0.0])
        lower = [profile[i] for i in (0, 1, 2, -3, -2, -1)]
        self.add([(sign * w, y, z) for z, y, w in lower], flat, self.paint, gloss=True)
        (front, _, half), (rear, _, _) = profile[0], profile[-1]
        x = sign * half
        sill = ((x, 0.2, front - 0.15), (x, 0.38, front), (x, 0.38, rear), (x, 0.2, rear + 0.15))
        self.add(sill, flat, (40.0, 40.0, 42.0))
        cabin = np.array([(sign * w, y, z) for z, y, w in profile[_SCREEN : _ROOF_END + 2]])
        lean = np.array([sign, 0.3, 0.0]) / math.hypot(1.0, 0.3)
        self.add(cabin, lean, self.paint, gloss=True)
        if self.name == "trailer":
            return
        middle = cabin.mean(0)
        pane = middle + (cabin - middle) * (1.0, 0.74, 0.9) + 0.02 * lean
        if closed:  # only the front door has a window
            pane[2:, 2] = pane[1, 2] - 0.9
            pane[3, 1] = pane[0, 1]
        self.add(pane, lean, _GLASS, gloss=True, glass=True)
        pillars = () if closed else (0.15, 0.3, 0.45, 0.6, 0.75, 0.9) if self.name == "bus" else (0.42,)
        step = np.array([0.0, 0.0, 0.06])
        for at in pillars:
            low, high = pane[0] + at * (pane[3] - pane[0]), pane[1] + at * (pane[2] - pane[1])
            self.add(np.stack([low - step, high - step, high + step, low + step]), lean, self.paint, fine=True)

    def ends(self, yellow: bool) -> None:
        """Skirts, lights, grille and number plates."""
        profile = self.kind.profile
        (z0, y0, w0), (z1, y1, w1) = profile[0], profile[1]
        (z9, y9, w9), level = profile[-1], (y0 + y1) / 2 + 0.1
        forward, backward = (0.0, 0.0, 1.0), (0.0, 0.0, -1.0)
        for z, y, w, way in ((z0, y0, w0, 1.0), (z9, y9, w9, -1.0)):
            low, inner = z - 0.1 * way, 0.95 * w
            skirt = ((-inner, 0.16, low), (inner, 0.16, low), (w, y, z), (-w, y, z))
            self.add(skirt, (0.0, -0.2, way), (34.0, 34.0, 36.0))
        high = max(profile[-2][1] - 0.04, 0.72)
        for sign in (-1.0, 1.0):
            x = sign * w1 * 0.72
            a, b, low, up = x - 0.2, x + 0.2, level - 0.08, level + 0.1
            lamp = ((a, low, z0 + 0.02), (b, low, z0 + 0.02), (b, up, z1 + 0.02), (a, up, z1 + 0.02))
            if self.name != "trailer":
                self.add(lamp, forward, (226.0, 228.0, 220.0))
        self.tail_lights(w1 * 0.72, high, z9 - 0.03)
        for z, lift, facing, color in (
            (z0 + 0.04, 0.0, forward, (232.0, 232.0, 226.0)),
            (z9 - 0.05, 0.1, backward, (224.0, 190.0, 60.0) if yellow else (230.0, 230.0, 226.0)),
        ):
            a, b = 0.45 + lift, 0.57 + lift
            self.add(((-0.26, a, z), (0.26, a, z), (0.26, b, z), (-0.26, b, z)), facing, color, fine=True)
        z = z0 + 0.03
        grille = ((-0.35, 0.6, z), (0.35, 0.6, z), (0.32, 0.68, z - 0.03), (-0.32, 0.68, z - 0.03))
        self.add(grille, forward, (30.0, 30.0, 32.0), fine=True)

    def tail_lights(self, aside: float, high: float, z: float) -> None:
        """Two red lamps below ``high``."""
        for sign in (-1.0, 1.0):
            a, b, low = sign * aside - 0.12, sign * aside + 0.12, high - 0.24
            self.add(((a, low, z), (b, low, z), (b, high, z), (a, high, z)), (0.0, 0.0, -1.0), (190.0, 24.0, 28.0))

    def box(self, x: float, low: float, high: float, front: float, back: float, color: Color) -> None:
        """A load box, without its floor."""
        self.add(((-x, low, front), (x, low, front), (x, high, front), (-x, high, front)), (0.0, 0.0, 1.0), color)
        self.add(((-x, low, back), (x, low, back), (x, high, back), (-x, high, back)), (0.0, 0.0, -1.0), color)
        self.add(((-x, high, back), (x, high, back), (x, high, front), (-x, high, front)), (0.0, 1.0, 0.0), color)
        for sign in (-1.0, 1.0):
            s = sign * x
            self.add(((s, low, back), (s, low, front), (s, high, front), (s, high, back)), (sign, 0.0, 0.0), color)

    def treads(self) -> None:
        """Tyres seen from ahead and behind."""
        radius, half = self.kind.radius, self.kind.profile[0][2]
        for sign in (-1.0, 1.0):
            for z in self.kind.wheels:
                for edge in (1.0, -1.0):
                    a, b, at = sign * (half - 0.2), sign * half, z + edge * radius * 0.8
                    self.add(((a, 0.02, at), (b, 0.02, at), (b, 0.35, at), (a, 0.35, at)), (0.0, 0.0, edge), _TYRE)

    def wheels(self) -> None:
        """Tyres, rims and hubs seen from the side."""
        radius, half = self.kind.radius, self.kind.profile[0][2]
        turn = np.linspace(0, 2 * np.pi, 13)[:-1]
        rim, hub = (150.0, 152.0, 156.0), (60.0, 60.0, 62.0)
        for sign in (-1.0, 1.0):
            for z in self.kind.wheels:
                for size, color, out, fine in (
                    (1.0, _TYRE, 0.01, False),
                    (0.6, rim, 0.02, False),
                    (0.2, hub, 0.03, True),
                ):
                    up, along = radius + radius * size * np.sin(turn), z + radius * size * np.cos(turn)
                    ring = np.stack([np.full(12, sign * (half + out)), up, along], 1)
                    self.add(ring, (sign, 0.0, 0.0), color, fine=fine)

    def finish(self) -> Model:
        corners, normals, colors, gloss, glass, fine = zip(*self.faces, strict=True)
        ends = np.cumsum([len(c) for c in corners])
        everything = np.concatenate(corners)
        low, high = everything.min(0), everything.max(0)
        return Model(
            everything,
            np.concatenate([[0], ends[:-1]]).astype(np.int64),
            ends.astype(np.int64),
            np.stack(normals),
            np.array(colors),
            np.array(gloss, np.float64),
            np.array(glass, np.float64),
            np.array(fine, np.bool_),
            float(high[2] - low[2]),
            float(high[0] - low[0]),
            float(high[1]),
            RAW[self.kind.raw],
        )
