"""People on foot and on two wheels, with limbs that move."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from aaff.synthetic.camera import Pixel, Point
from aaff.synthetic.canvas import RAW, SUB, Canvas, fixed
from aaff.synthetic.looks import any_color, kept, pick, tinted
from aaff.synthetic.street import Color

_SKIN: tuple[Color, ...] = ((224.0, 178.0, 150.0), (196.0, 144.0, 112.0), (140.0, 94.0, 70.0), (92.0, 62.0, 48.0))
_FRONT = (0.0, 0.3, -0.954)
_DARK = (32.0, 30.0, 32.0)
_FINE = 10.0  # pixels per metre from which limbs are drawn


class Figure:
    """A figure's own axes (right, up, forward) at one place of a frame, and ways to draw in them."""

    def __init__(self, canvas: Canvas, s: float, u: float, heading: float) -> None:
        x, z, street = canvas.camera.place(s, u)
        self.canvas = canvas
        self.x, self.z = x, z
        self.cos, self.sin = math.cos(street + heading), math.sin(street + heading)
        depth = canvas.camera.pixel(x, 0.9, z)[2]
        self.visible = depth > 1.6 and canvas.camera.sees(x, z, 1.2)
        self.scale = canvas.camera.focal / max(depth, 0.1)
        self.distance = math.hypot(x, z)
        self.sunlit = canvas.sunlit(x, z) if self.visible else 1.0

    def point(self, right: float, up: float, forward: float) -> Point:
        return self.x + right * self.cos + forward * self.sin, up, self.z - right * self.sin + forward * self.cos

    def pixel(self, where: Point) -> Pixel:
        x, y, _ = self.canvas.camera.pixel(*self.point(*where))
        return x, y

    def paint(self, color: Sequence[float]) -> Color:
        return self.canvas.paint(color, _FRONT, self.distance, self.sunlit)

    def limb(self, points: Sequence[Point], thick: float, color: Color, raw: int) -> None:
        """A chain of round-ended pieces, ``thick`` in metres."""
        last = self.pixel(points[0])
        for where in points[1:]:
            here = self.pixel(where)
            self.canvas.line(last, here, thick * self.scale, color, raw)
            last = here

    def body(self, points: Sequence[Point], color: Color, raw: int) -> None:
        """The convex hull of points."""
        hull = cv2.convexHull(np.array([self.pixel(p) for p in points], np.float32))[:, 0].tolist()
        self.canvas.polygon([(x, y) for x, y in hull], color, raw)

    def ball(self, center: Point, radius: float, color: Color, raw: int) -> None:
        self.canvas.disc(self.pixel(center), max(0.7, radius * self.scale), color, raw)


def _clothes(rng: np.random.Generator) -> Color:
    """Dark, muted or bright."""
    return any_color(rng, 20, 90) if rng.random() < 0.45 else any_color(rng, 30, 215)


class _Person(NamedTuple):
    child: bool
    size: float
    skin: Color
    coat: Color
    legs: Color
    hair: Color
    skirt: bool
    extra: float
    other: Color


@kept
def _person(rng: np.random.Generator) -> _Person:
    child = bool(rng.random() < 0.14)
    return _Person(
        child,
        float(rng.uniform(0.6, 0.75) if child else rng.uniform(0.94, 1.08)),
        pick(rng, _SKIN),
        _clothes(rng),
        tinted(_clothes(rng), 0.7),
        any_color(rng, 20, 110),
        bool(rng.random() < 0.2),
        float(rng.random()),
        _clothes(rng),
    )


@dataclass(frozen=True)
class Walker:
    """Someone on foot; ``speed`` in m/s (0 stands), already moved to (s, u) for the frame."""

    s: float
    u: float
    heading: float
    speed: float
    seed: int

    def order(self) -> float:
        return self.s + 0.5 * abs(self.u)

    def shadow(self, canvas: Canvas) -> None:
        x, z, _ = canvas.camera.place(self.s, self.u)
        canvas.cast(((x - 0.2, 0.0, z), (x + 0.2, 0.0, z), (x - 0.2, 1.6, z), (x + 0.2, 1.6, z)), 0.9)
        a, b = 0.25, 0.2
        canvas.contact(((x - a, 0.0, z - b), (x + a, 0.0, z - b), (x + a, 0.0, z + b), (x - a, 0.0, z + b)), 0.6)

    def draw(self, canvas: Canvas) -> None:
        figure = Figure(canvas, self.s, self.u, self.heading)
        if not figure.visible:
            return
        look = _person(self.seed)
        k, raw = look.size, RAW["Child" if look.child else "Pedestrian"]
        pace = canvas.camera.time * 7.5 if self.speed else 0.0
        swing = math.sin(pace + self.seed % 7) * (0.42 if self.speed else 0.08)
        skin, top, low = figure.paint(look.skin), figure.paint(look.coat), figure.paint(look.legs)
        if figure.scale < _FINE:
            figure.limb(((0.0, 0.85 * k, 0.0), (0.0, 0.1 * k, 0.0)), 0.3 * k, low, raw)
            figure.limb(((0.0, 1.32 * k, 0.0), (0.0, 0.85 * k, 0.0)), 0.45 * k, top, raw)
            figure.ball((0.0, 1.63 * k, 0.0), 0.13 * k, skin, raw)
            return
        for side, phase in ((-1.0, swing), (1.0, -swing)):
            hip = (0.09 * side * k, 0.88 * k, 0.0)
            knee = (0.09 * side * k, 0.48 * k, 0.4 * phase * k)
            foot = (0.09 * side * k, 0.05 * k, (0.85 * phase - 0.1 * max(0.0, -phase)) * k)
            figure.limb((hip, knee, foot), 0.155 * k, low, raw)
            figure.limb((foot, (foot[0], 0.04, foot[2] + 0.14 * k)), 0.09 * k, figure.paint(_DARK), raw)
        dark = figure.paint(tinted(look.coat, 0.75))
        self._arm(figure, -1.0, swing, k, dark, raw)
        hem, spread = (0.55, 0.26) if look.skirt else (0.8, 0.19)
        shoulder = (
            (-0.25 * k, 1.42 * k, 0.0),
            (0.25 * k, 1.42 * k, 0.0),
            (0.0, 1.44 * k, 0.11 * k),
            (0.0, 1.44 * k, -0.11 * k),
        )
        waist = (
            (-spread * k, hem * k, 0.0),
            (spread * k, hem * k, 0.0),
            (0.0, hem * k, 0.14 * k),
            (0.0, hem * k, -0.14 * k),
        )
        figure.body((*shoulder, *waist), top, raw)
        self._arm(figure, 1.0, swing, k, dark, raw)
        figure.ball((0.28 * k, 0.82 * k, 0.45 * swing * k), 0.05 * k, skin, raw)
        figure.limb(((0.0, 1.42 * k, 0.0), (0.0, 1.54 * k, 0.02)), 0.1 * k, skin, raw)
        figure.ball((0.0, 1.62 * k, 0.02), 0.12 * k, skin, raw)
        figure.ball((0.0, 1.67 * k, -0.02), 0.11 * k, figure.paint(look.hair), raw)
        other = figure.paint(look.other)
        if look.extra < 0.15 and not look.child:  # a bag
            figure.limb(((0.33 * k, 0.8 * k, 0.1), (0.33 * k, 0.5 * k, 0.1)), 0.24 * k, other, raw)
        elif look.extra < 0.24 and not look.child:
            _pram(figure, other)
        elif look.extra < 0.33:
            _dog(figure, look.extra, swing)

    @staticmethod
    def _arm(figure: Figure, side: float, swing: float, k: float, color: Color, raw: int) -> None:
        reach = side * swing
        shoulder, elbow = (0.27 * side * k, 1.36 * k, 0.0), (0.31 * side * k, 1.08 * k, 0.15 * reach)
        figure.limb((shoulder, elbow, (0.28 * side * k, 0.84 * k, 0.45 * reach * k)), 0.11 * k, color, raw)


def _pram(figure: Figure, cloth: Color) -> None:
    raw, frame = RAW["CartLuggagePram"], figure.paint((60.0, 60.0, 64.0))
    figure.limb(((0.0, 1.0, 0.35), (0.0, 0.6, 0.7), (0.0, 0.2, 1.1)), 0.06, frame, raw)
    side_view = ((0.5, 0.55), (0.95, 0.6), (0.85, 1.1), (0.45, 1.15))
    figure.body([(x, y, z) for x in (-0.22, 0.22) for y, z in side_view], cloth, raw)
    for x in (-0.22, 0.22):
        for z in (0.55, 1.15):
            figure.ball((x, 0.13, z), 0.13, frame, raw)


def _dog(figure: Figure, shade: float, swing: float) -> None:
    raw = RAW["Animal"]
    fur = figure.paint(tinted((120.0, 90.0, 60.0), 0.4 + 14 * (shade - 0.24)))
    for x in (0.5, 0.62):
        for z, phase in ((0.15, swing), (0.6, -swing)):
            figure.limb(((x, 0.35, z), (x, 0.02, z + 0.2 * phase)), 0.07, fur, raw)
    figure.limb(((0.56, 0.42, 0.12), (0.56, 0.44, 0.62)), 0.24, fur, raw)
    figure.ball((0.56, 0.58, 0.76), 0.12, fur, raw)
    figure.limb(((0.56, 0.48, 0.1), (0.56, 0.66, -0.08)), 0.05, fur, raw)


class _Ride(NamedTuple):
    scooter: bool
    frame: Color
    coat: Color
    legs: Color
    skin: Color
    helmet: Color


@kept
def _ride(rng: np.random.Generator) -> _Ride:
    scooter = bool(rng.random() < 0.25)
    frame = any_color(rng, 20, 220)
    coat = (206.0, 224.0, 60.0) if rng.random() < 0.3 else _clothes(rng)
    return _Ride(scooter, frame, coat, tinted(_clothes(rng), 0.7), pick(rng, _SKIN), any_color(rng, 20, 230))


@dataclass(frozen=True)
class Rider:
    """A cyclist or scooter rider at (s, u); a parked one has no rider."""

    s: float
    u: float
    heading: float
    speed: float
    seed: int
    parked: bool = False

    def order(self) -> float:
        return self.s + 0.5 * abs(self.u)

    def shadow(self, canvas: Canvas) -> None:
        figure = Figure(canvas, self.s, self.u, self.heading)
        high = 1.0 if self.parked else 1.6
        corners = ((0.0, 0.0, -0.8), (0.0, 0.0, 0.8), (0.0, high, -0.3), (0.0, high, 0.3), (0.15, high, 0.0))
        canvas.cast([figure.point(*c) for c in corners], 0.85)
        ground = ((-0.2, 0.0, -0.8), (0.2, 0.0, -0.8), (0.2, 0.0, 0.8), (-0.2, 0.0, 0.8))
        canvas.contact([figure.point(*c) for c in ground], 0.5)

    def draw(self, canvas: Canvas) -> None:
        figure = Figure(canvas, self.s, self.u, self.heading)
        if not figure.visible:
            return
        look = _ride(self.seed)
        raw = RAW["MotorcycleScooter" if look.scooter else "Bicyclist"]
        if figure.scale < _FINE:
            figure.limb(((0.0, 0.25, -0.5), (0.0, 0.25, 0.5)), 0.3, figure.paint(look.frame), raw)
            figure.limb(((0.0, 0.6, 0.0), (0.0, 0.3, 0.0)), 0.3, figure.paint(look.legs), raw)
            if not self.parked:
                figure.limb(((0.0, 1.4, 0.0), (0.0, 0.95, -0.15)), 0.42, figure.paint(look.coat), raw)
                figure.ball((0.0, 1.65, 0.1), 0.13, figure.paint(look.skin), raw)
            return
        (_scooter if look.scooter else _bicycle)(figure, figure.paint(look.frame), raw)
        if not self.parked:
            _seated(figure, look, raw, canvas.camera.time * 6.0 + self.seed % 5)


_TURN = tuple((math.cos(t), math.sin(t)) for t in np.linspace(0, 2 * math.pi, 15).tolist())


def _wheel(figure: Figure, z: float, radius: float, thick: float, raw: int, solid: bool) -> None:
    points = fixed([figure.pixel((0.0, radius + radius * s, z + radius * c)) for c, s in _TURN])
    canvas, black = figure.canvas, figure.paint((24.0, 24.0, 26.0))
    wide = max(1, round(thick * figure.scale))
    if solid:
        cv2.fillConvexPoly(canvas.image, points, black, cv2.LINE_AA, SUB)
    # One sees through the spokes, but annotators fill the wheel.
    cv2.fillConvexPoly(canvas.raw, points, raw, cv2.LINE_8, SUB)
    cv2.polylines(canvas.image, [points], True, black, wide, cv2.LINE_AA, SUB)
    cv2.polylines(canvas.raw, [points], True, raw, wide, cv2.LINE_8, SUB)


def _bicycle(figure: Figure, frame: Color, raw: int) -> None:
    for z in (-0.52, 0.52):
        _wheel(figure, z, 0.34, 0.06, raw, False)
    rear, front, crank = (0.0, 0.34, -0.52), (0.0, 0.34, 0.52), (0.0, 0.3, -0.02)
    saddle, head = (0.0, 0.9, -0.18), (0.0, 0.85, 0.38)
    figure.limb((rear, crank, head, front), 0.06, frame, raw)
    figure.limb((crank, saddle, rear), 0.05, frame, raw)
    figure.limb(((0.0, 0.8, -0.14), head, (0.0, 1.02, 0.36)), 0.05, frame, raw)
    dark = figure.paint(_DARK)
    figure.limb(((-0.25, 1.03, 0.34), (0.25, 1.03, 0.34)), 0.05, dark, raw)
    figure.limb(((0.0, 0.93, -0.3), (0.0, 0.93, -0.08)), 0.09, dark, raw)


def _scooter(figure: Figure, frame: Color, raw: int) -> None:
    for z in (-0.55, 0.6):
        _wheel(figure, z, 0.28, 0.1, raw, True)
    tail, shield = (
        ((0.35, -0.75), (0.8, -0.8), (0.85, -0.1), (0.3, 0.1)),
        ((0.3, 0.3), (1.0, 0.38), (1.0, 0.5), (0.3, 0.5)),
    )
    for wide, shape in ((0.18, tail), (0.2, shield)):
        figure.body([(x, y, z) for x in (-wide, wide) for y, z in shape], frame, raw)
    dark = figure.paint(_DARK)
    figure.limb(((0.0, 0.86, -0.65), (0.0, 0.86, -0.1)), 0.2, dark, raw)
    figure.limb(((-0.32, 1.06, 0.36), (0.32, 1.06, 0.36)), 0.06, dark, raw)
    figure.ball((0.0, 0.85, 0.52), 0.09, figure.paint((230.0, 226.0, 210.0)), raw)


def _seated(figure: Figure, look: _Ride, raw: int, turn: float) -> None:
    top, low, skin = figure.paint(look.coat), figure.paint(look.legs), figure.paint(look.skin)
    for side, phase in ((-1.0, turn), (1.0, turn + math.pi)):
        foot = (0.1 * side, 0.3 + 0.16 * math.sin(phase), 0.02 + 0.16 * math.cos(phase))
        knee = (0.12 * side, 0.72 + 0.08 * math.sin(phase), 0.2 + 0.06 * math.cos(phase))
        figure.limb(((0.1 * side, 0.96, -0.16), knee, foot), 0.14, low, raw)
    shoulders = ((-0.22, 1.45, 0.1), (0.22, 1.45, 0.1), (0.0, 1.47, 0.18))
    figure.body((*shoulders, (-0.17, 0.92, -0.2), (0.17, 0.92, -0.2), (0.0, 0.95, -0.28)), top, raw)
    dark = figure.paint(tinted(look.coat, 0.78))
    for side in (-1.0, 1.0):
        figure.limb(((0.24 * side, 1.4, 0.1), (0.26 * side, 1.16, 0.2), (0.22 * side, 1.05, 0.34)), 0.1, dark, raw)
    figure.limb(((0.0, 1.46, 0.12), (0.0, 1.58, 0.16)), 0.1, skin, raw)
    figure.ball((0.0, 1.64, 0.18), 0.12, skin, raw)
    figure.ball((0.0, 1.7, 0.15), 0.125, figure.paint(look.helmet), raw)
