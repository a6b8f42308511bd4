"""Small and thin things of the street: lamps, signs, lights, bollards, bins, cones, boards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from aaff.synthetic.camera import Pixel
from aaff.synthetic.canvas import RAW, Canvas
from aaff.synthetic.looks import any_color, kept, pick, tinted
from aaff.synthetic.street import Color

FRONT = (0.0, 0.25, -0.968)
"""Normal taken for things that always show the camera their face."""
_WHITE, _BLACK = (238.0, 236.0, 230.0), (30.0, 30.0, 32.0)


class Foot:
    """Where an upright thing stands in one frame, and its light.

    Attributes:
        x, z: metres.
        scale: pixels per metre.
        distance: metres from the camera.
    """

    def __init__(self, canvas: Canvas, x: float, z: float, depth: float) -> None:
        self.canvas = canvas
        self.x, self.z = x, z
        self.scale = canvas.camera.focal / depth
        self.distance = math.hypot(x, z)
        self._sunlit = canvas.sunlit(x, z)

    def paint(self, color: Sequence[float]) -> Color:
        """A colour in the light that falls here."""
        return self.canvas.paint(color, FRONT, self.distance, self._sunlit)

    def at(self, y: float) -> Pixel:
        """Pixel of the point ``y`` metres above the foot."""
        px, py, _ = self.canvas.camera.pixel(self.x, y, self.z)
        return px, py

    def post(self, low: float, high: float, wide: float, color: Color) -> None:
        """Draw a round post of ``wide`` metres; its right side is darker."""
        (x0, y0), (x1, y1) = self.at(low), self.at(high)
        half = max(0.55, wide * self.scale / 2)
        raw = RAW["Column_Pole"]
        self.canvas.polygon(((x0 - half, y0), (x1 - half, y1), (x1 + half, y1), (x0 + half, y0)), color, raw)
        if half > 1.5:
            a, dark = half * 0.2, tinted(color, 0.72)
            self.canvas.polygon(((x0 + a, y0), (x1 + a, y1), (x1 + half, y1), (x0 + half, y0)), dark, raw)

    def box(self, center: Pixel, half_wide: float, half_high: float, color: Color, raw: int) -> None:
        """Fill an upright rectangle; sizes in metres."""
        (x, y), a, b = center, half_wide * self.scale, half_high * self.scale
        self.canvas.polygon(((x - a, y - b), (x + a, y - b), (x + a, y + b), (x - a, y + b)), color, raw)


class Upright:
    """Shared by things on one foot at (s, u)."""

    s: float
    u: float
    _SHADOW: ClassVar[tuple[float, float]] = (1.0, 0.2)  # height and width in metres

    def order(self) -> float:
        return self.s + 0.5 * abs(self.u)

    def shadow(self, canvas: Canvas) -> None:
        high, wide = self._SHADOW
        thin_shadow(canvas, self.s, self.u, high, wide)

    def draw(self, canvas: Canvas) -> None:
        x, z, _ = canvas.camera.place(self.s, self.u)
        if not canvas.camera.sees(x, z, 2.5):
            return
        depth = canvas.camera.pixel(x, 0.0, z)[2]
        if depth > 1.2:
            self._draw(canvas, Foot(canvas, x, z, depth))

    def _draw(self, canvas: Canvas, foot: Foot) -> None:
        raise NotImplementedError


def thin_shadow(canvas: Canvas, s: float, u: float, high: float, wide: float) -> None:
    """Cast the shadow of something upright and thin."""
    x, z, _ = canvas.camera.place(s, u)
    a, b = x - wide / 2, x + wide / 2
    canvas.cast(((a, 0.0, z), (b, 0.0, z), (a, high, z), (b, high, z)), 0.85)


@kept
def _lamp(rng: np.random.Generator) -> tuple[float, float]:
    """Grey of the post and length of the arm."""
    return float(rng.choice([56.0, 110.0, 168.0])), float(rng.uniform(0.6, 1.8))


@dataclass(frozen=True)
class Lamp(Upright):
    """A street lamp; ``toward`` is the direction of its arm, −1 or 1."""

    s: float
    u: float
    height: float
    toward: float
    seed: int

    _SHADOW = (6.5, 0.16)

    def _draw(self, canvas: Canvas, foot: Foot) -> None:
        grey, arm = _lamp(self.seed)
        color = foot.paint((grey, grey * 1.02, grey))
        foot.post(0.0, self.height, 0.22, color)
        foot.post(0.0, 1.1, 0.32, color)
        top = foot.at(self.height)
        x, y, _ = canvas.camera.pixel(foot.x + self.toward * arm, self.height + 0.25, foot.z)
        canvas.line(top, (x, y), 0.1 * foot.scale, color, RAW["Column_Pole"])
        canvas.line((x, y), (x + self.toward * 0.6 * foot.scale, y), 0.17 * foot.scale, color, RAW["Column_Pole"])


@dataclass(frozen=True)
class Mast(Upright):
    """A wooden pole for wires, 7 to 9 m."""

    s: float
    u: float
    height: float

    _SHADOW = (8.0, 0.24)

    def _draw(self, canvas: Canvas, foot: Foot) -> None:
        color = foot.paint((106.0, 86.0, 66.0))
        foot.post(0.0, self.height, 0.3, color)
        x, y = foot.at(self.height - 0.5)
        reach = 0.8 * foot.scale
        canvas.line((x - reach, y), (x + reach, y), 0.1 * foot.scale, color, RAW["Column_Pole"])


@dataclass(frozen=True)
class Bollard(Upright):
    """A waist-high post."""

    s: float
    u: float

    def _draw(self, canvas: Canvas, foot: Foot) -> None:
        foot.post(0.0, 1.0, 0.23, foot.paint((52.0, 52.0, 56.0)))
        if foot.scale > 12:
            foot.post(0.8, 0.9, 0.23, foot.paint(_WHITE))


class _Plate(NamedTuple):
    """What a sign shows: its shape, colours and lines of text."""

    kind: int
    size: float
    back: bool
    plate: Color
    wide: float
    high: float
    lines: tuple[float, ...]


@kept
def _plate(rng: np.random.Generator) -> _Plate:
    plates = ((24.0, 96.0, 66.0), (40.0, 78.0, 160.0), (236.0, 232.0, 224.0), (222.0, 186.0, 40.0))
    wide, high = ((1.3, 0.75), (1.0, 1.35))[int(rng.integers(0, 2))]
    return _Plate(
        int(rng.integers(0, 7)),
        float(rng.uniform(0.4, 0.6)),
        bool(rng.random() < 0.12),
        pick(rng, plates),
        wide,
        high,
        tuple(rng.uniform(0.4, 0.85, 3).tolist()),
    )


@dataclass(frozen=True)
class Sign(Upright):
    """A traffic sign on a post ``height`` metres high."""

    s: float
    u: float
    height: float
    seed: int

    _SHADOW = (2.6, 0.3)

    def _draw(self, canvas: Canvas, foot: Foot) -> None:
        look, raw = _plate(self.seed), RAW["SignSymbol"]
        foot.post(0.0, self.height + 0.2, 0.15, foot.paint((140.0, 142.0, 144.0)))
        size = look.size * foot.scale
        x, y = foot.at(self.height)
        white = foot.paint(_WHITE)
        if look.back:  # seen from behind
            canvas.disc((x, y), size, foot.paint((128.0, 130.0, 132.0)), raw)
        elif look.kind in (0, 1):  # forbidden
            canvas.disc((x, y), size, foot.paint((200.0, 30.0, 36.0)), raw)
            canvas.disc((x, y), size * 0.72, white, raw)
            if look.kind:
                canvas.line((x - size * 0.35, y), (x + size * 0.35, y), size * 0.26, foot.paint(_BLACK), raw)
        elif look.kind == 2:  # keep left or right
            canvas.disc((x, y), size, foot.paint((36.0, 84.0, 176.0)), raw)
            canvas.line((x - size * 0.3, y + size * 0.3), (x + size * 0.3, y - size * 0.3), size * 0.26, white, raw)
        elif look.kind in (3, 4):  # danger, give way
            tip = 1.1 * size if look.kind == 3 else -1.1 * size
            for share, color in ((1.0, foot.paint((204.0, 36.0, 36.0))), (0.62, white)):
                t, w, b = tip * share, 1.05 * size * share, 0.65 * tip * share
                canvas.polygon(((x, y - t), (x + w, y + b), (x - w, y + b)), color, raw)
        else:
            self._directions(canvas, foot, look, (x, y))

    def _directions(self, canvas: Canvas, foot: Foot, look: _Plate, center: Pixel) -> None:
        """A rectangular plate with lines of text."""
        raw, (x, y) = RAW["SignSymbol"], center
        wide, high = look.wide * look.size, look.high * look.size
        foot.box(center, wide, high, foot.paint(look.plate), raw)
        ink = foot.paint(_WHITE if sum(look.plate) < 400 else _BLACK)
        left = x - 0.8 * wide * foot.scale
        for row, reach in zip((-0.45, 0.05, 0.5), look.lines, strict=True):
            level = y + row * high * foot.scale
            canvas.line(
                (left, level), (left + 1.8 * reach * wide * foot.scale, level), 0.1 * high * foot.scale, ink, raw
            )


@dataclass(frozen=True)
class TrafficLight(Upright):
    """Traffic lights; ``phase`` 0 red, 1 amber, 2 green where the drive begins."""

    s: float
    u: float
    phase: int
    tall: bool

    _SHADOW = (3.2, 0.35)
    _LAMPS: ClassVar[tuple[Color, ...]] = ((235.0, 40.0, 30.0), (245.0, 170.0, 40.0), (40.0, 225.0, 130.0))

    def _draw(self, canvas: Canvas, foot: Foot) -> None:
        high, raw = (4.2 if self.tall else 2.6), RAW["TrafficLight"]
        foot.post(0.0, high, 0.17, foot.paint((60.0, 62.0, 64.0)))
        x, y = foot.at(high + 0.6)
        foot.box((x, y), 0.33, 0.7, foot.paint((26.0, 27.0, 28.0)), raw)
        now = (self.phase + int(canvas.camera.time / 6.0)) % 3
        for lamp, bright in enumerate(self._LAMPS):
            color = bright if lamp == now else tinted(bright, 0.22)
            canvas.disc((x, y + (0.43 * lamp - 0.43) * foot.scale), 0.18 * foot.scale, color, raw)


@kept
def _board(rng: np.random.Generator) -> tuple[Color, float, tuple[float, ...]]:
    """Colour, height and lengths of the lines of text."""
    return any_color(rng, 30, 230), float(rng.uniform(1.1, 1.9)), tuple(rng.uniform(0.3, 0.66, 4).tolist())


@dataclass(frozen=True)
class Board(Upright):
    """An advertising board on the pavement (Misc_Text)."""

    s: float
    u: float
    seed: int

    _SHADOW = (1.5, 0.9)

    def _draw(self, canvas: Canvas, foot: Foot) -> None:
        color, high, lines = _board(self.seed)
        raw, half = RAW["Misc_Text"], 0.46
        x, y = foot.at(high / 2 + 0.05)
        foot.box((x, y), half, high / 2, foot.paint((60.0, 56.0, 52.0)), raw)
        foot.box((x, y), half * 0.84, high * 0.45, foot.paint(color), raw)
        ink = foot.paint((245.0, 242.0, 230.0) if sum(color) < 420 else (40.0, 36.0, 36.0))
        for row, length in zip((-0.32, -0.14, 0.0, 0.22), lines, strict=True):
            reach, level = half * length * foot.scale, y + row * high * foot.scale
            canvas.line((x - reach, level), (x + reach, level), 0.09 * foot.scale, ink, raw)


@kept
def _bin(rng: np.random.Generator) -> Color:
    return pick(rng, ((36.0, 60.0, 44.0), (40.0, 40.0, 44.0), (60.0, 70.0, 110.0), (170.0, 40.0, 36.0)))


@dataclass(frozen=True)
class Bin(Upright):
    """A litter bin: clutter that nobody labelled (void)."""

    s: float
    u: float
    seed: int

    _SHADOW = (1.1, 0.6)

    def _draw(self, canvas: Canvas, foot: Foot) -> None:
        color = _bin(self.seed)
        foot.box(foot.at(0.5), 0.29, 0.5, foot.paint(color), RAW["Void"])
        foot.box(foot.at(1.04), 0.33, 0.07, foot.paint(tinted(color, 0.7)), RAW["Void"])
        foot.box(foot.at(0.8), 0.2, 0.05, foot.paint(_BLACK), RAW["Void"])


@dataclass(frozen=True)
class Cone(Upright):
    """A traffic cone."""

    s: float
    u: float

    _SHADOW = (0.7, 0.3)

    def _draw(self, canvas: Canvas, foot: Foot) -> None:
        orange, white = foot.paint((226.0, 84.0, 30.0)), foot.paint(_WHITE)
        x, y = foot.at(0.0)
        for low, high, color in ((0.0, 0.3, orange), (0.3, 0.5, white), (0.5, 0.8, orange)):
            a, b = 0.26 * (1 - low) * foot.scale, 0.26 * (1 - high) * foot.scale
            top, bottom = y - high * foot.scale, y - low * foot.scale
            canvas.polygon(((x - a, bottom), (x + a, bottom), (x + b, top), (x - b, top)), color, RAW["TrafficCone"])


@dataclass(frozen=True)
class Island(Upright):
    """A keep-left sign on a white post in the middle of the road."""

    s: float
    u: float

    _SHADOW = (1.3, 0.5)

    def _draw(self, canvas: Canvas, foot: Foot) -> None:
        white = foot.paint(_WHITE)
        foot.post(0.0, 1.2, 0.16, white)
        x, y = foot.at(1.3)
        canvas.disc((x, y), 0.36 * foot.scale, foot.paint((36.0, 84.0, 180.0)), RAW["SignSymbol"])
        lean = 0.16 * foot.scale
        across = lean * canvas.street.lane_side
        canvas.line((x - across, y - lean), (x + across, y + lean), 0.08 * foot.scale, white, RAW["SignSymbol"])
