"""Small and thin things of the street: trees, lamps, signs, lights, bollards, bins, cones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from aaff.data.scenes.canvas import RAW, Canvas
from aaff.data.scenes.street import Color, generator
from aaff.data.scenes.textures import FloatArray, foliage

_LEAVES: tuple[tuple[Color, ...], ...] = (
    ((74.0, 104.0, 44.0), (58.0, 88.0, 42.0), (92.0, 118.0, 52.0)),
    ((96.0, 104.0, 48.0), (72.0, 92.0, 40.0), (112.0, 108.0, 50.0)),
    ((164.0, 104.0, 44.0), (140.0, 72.0, 40.0), (150.0, 124.0, 52.0), (88.0, 92.0, 44.0)),
    ((128.0, 150.0, 66.0), (206.0, 176.0, 186.0), (104.0, 132.0, 60.0)),
)
_FRONT = (0.0, 0.25, -0.97)


class _Upright:
    """Shared by things on a post: where the post stands in the picture."""

    s: float
    u: float

    def order(self) -> float:
        return self.s + 0.5 * abs(self.u)

    def _foot(self, canvas: Canvas) -> tuple[FloatArray, float, float] | None:
        """Foot (x, 0, z), pixels per metre there, and distance; None when it is not in front of the camera."""
        x, z, _ = canvas.camera.place(self.s, self.u)
        foot = np.array([x, 0.0, z])
        _, depth = canvas.camera.project(foot[None])
        if depth[0] < 1.2:
            return None
        return foot, canvas.camera.focal / float(depth[0]), float(np.hypot(x, z))

    def _post(
        self, canvas: Canvas, foot: FloatArray, scale: float, high: float, wide: float, color: Color
    ) -> FloatArray:
        """Draw a post of ``wide`` metres; returns the pixels of its foot and top [2, 2]."""
        pixels, _ = canvas.camera.project(np.stack([foot, foot + (0.0, high, 0.0)]))
        half = max(0.5, wide * scale / 2)
        (x0, y0), (x1, y1) = pixels
        quad = np.array([[x0 - half, y0], [x1 - half, y1], [x1 + half, y1], [x0 + half, y0]])
        canvas.polygon(quad, color, RAW["Column_Pole"])
        if half > 1.5:  # the side away from the light is darker
            dark = tuple(0.72 * c for c in color)
            right = np.array([[x0 + half * 0.2, y0], [x1 + half * 0.2, y1], [x1 + half, y1], [x0 + half, y0]])
            cv2.fillConvexPoly(canvas.image, np.rint(right * 16).astype(np.int32), dark, cv2.LINE_AA, 4)
        return pixels

    def _thin_shadow(self, canvas: Canvas, high: float, wide: float) -> None:
        x, z, _ = canvas.camera.place(self.s, self.u)
        points = [(x + d, y, z) for d in (-wide / 2, wide / 2) for y in (0.0, high)]
        canvas.cast(np.array(points), 0.85)


@dataclass(frozen=True)
class Tree(_Upright):
    """A tree ``height`` metres high with a crown of ``radius`` metres."""

    s: float
    u: float
    height: float
    radius: float
    seed: int

    def shadow(self, canvas: Canvas) -> None:
        x, z, _ = canvas.camera.place(self.s, self.u)
        turn = np.linspace(0, 2 * np.pi, 9)[:-1]
        middle = self.height - self.radius
        ring = np.stack(
            [x + 0.8 * self.radius * np.cos(turn), np.full(8, middle), z + 0.8 * self.radius * np.sin(turn)], 1
        )
        canvas.cast(ring + (0.0, 0.5 * self.radius, 0.0), 0.75)
        canvas.cast(ring - (0.0, 0.4 * self.radius, 0.0), 0.75)
        self._thin_shadow(canvas, middle, 0.3)

    def draw(self, canvas: Canvas) -> None:
        found = self._foot(canvas)
        if found is None:
            return
        foot, scale, distance = found
        rng = generator(self.seed, 9)
        sunlit = canvas.sunlit(foot[0], foot[2])
        bark = canvas.paint((88.0, 74.0, 60.0), _FRONT, distance, sunlit)
        middle = self.height - self.radius
        crown_base = max(1.6, middle - self.radius * 0.5)
        pixels, _ = canvas.camera.project(np.stack([foot, foot + (0.0, crown_base, 0.0), foot + (0.0, middle, 0.0)]))
        wide = max(0.6, 0.028 * self.height * scale)
        (x0, y0), (x1, y1), (cx, cy) = pixels
        trunk = np.array(
            [[x0 - wide * 1.25, y0], [x1 - wide * 0.7, y1 - 2], [x1 + wide * 0.7, y1 - 2], [x0 + wide * 1.25, y0]]
        )
        canvas.polygon(trunk, bark, RAW["Tree"])
        for bend in (-0.5, 0.45):
            canvas.line((x1, y1), (cx + bend * self.radius * scale, cy), wide, bark, RAW["Tree"])
        colors = _LEAVES[canvas.street.weather.season]
        color = np.array(colors[int(rng.integers(0, len(colors)))]) * rng.uniform(0.8, 1.15)
        light, cover = foliage(int(rng.integers(0, 20)))
        if (canvas.street.weather.sun[0] > 0) != bool(rng.random() < 0.1):
            light, cover = light[:, ::-1], cover[:, ::-1]
        r = self.radius * scale * 1.12
        lit = color * (canvas.light((0.0, 0.7, -0.7)) + 0.1)
        box = (cx - r, cy - r * 1.02, cx + r, cy + r * 0.98)
        canvas.sprite(light, cover, box, (float(lit[0]), float(lit[1]), float(lit[2])), RAW["Tree"], distance)


@dataclass(frozen=True)
class Lamp(_Upright):
    """A street lamp; ``toward`` is the direction of its arm."""

    s: float
    u: float
    height: float
    toward: float
    seed: int

    def shadow(self, canvas: Canvas) -> None:
        self._thin_shadow(canvas, self.height, 0.16)

    def draw(self, canvas: Canvas) -> None:
        found = self._foot(canvas)
        if found is None:
            return
        foot, scale, distance = found
        rng = generator(self.seed, 10)
        grey = float(rng.choice([56.0, 110.0, 168.0]))
        color = canvas.paint((grey, grey * 1.02, grey), _FRONT, distance, canvas.sunlit(foot[0], foot[2]))
        self._post(canvas, foot, scale, self.height, 0.17, color)
        self._post(canvas, foot, scale, 1.1, 0.26, color)
        arm = float(rng.uniform(0.6, 1.8))
        top = foot + (0.0, self.height, 0.0)
        tip = top + (self.toward * arm, 0.25, 0.0)
        pixels, _ = canvas.camera.project(np.stack([top, tip]))
        canvas.line(pixels[0], pixels[1], 0.1 * scale, color, RAW["Column_Pole"])
        head = pixels[1]
        canvas.line(head, head + (self.toward * 0.6 * scale, 0.0), 0.17 * scale, color, RAW["Column_Pole"])


@dataclass(frozen=True)
class Bollard(_Upright):
    """A waist-high post."""

    s: float
    u: float

    def shadow(self, canvas: Canvas) -> None:
        self._thin_shadow(canvas, 1.0, 0.2)

    def draw(self, canvas: Canvas) -> None:
        found = self._foot(canvas)
        if found is not None:
            foot, scale, distance = found
            sunlit = canvas.sunlit(foot[0], foot[2])
            self._post(canvas, foot, scale, 1.0, 0.2, canvas.paint((52.0, 52.0, 56.0), _FRONT, distance, sunlit))


@dataclass(frozen=True)
class Sign(_Upright):
    """A traffic sign on a post."""

    s: float
    u: float
    height: float
    seed: int

    def shadow(self, canvas: Canvas) -> None:
        self._thin_shadow(canvas, self.height, 0.3)

    def draw(self, canvas: Canvas) -> None:
        found = self._foot(canvas)
        if found is None:
            return
        foot, scale, distance = found
        rng = generator(self.seed, 11)
        sunlit = canvas.sunlit(foot[0], foot[2])

        def lit(color: Color) -> Color:
            return canvas.paint(color, _FRONT, distance, sunlit)

        pixels = self._post(canvas, foot, scale, self.height + 0.3, 0.11, lit((140.0, 142.0, 144.0)))
        kind = int(rng.integers(0, 7))
        size = float(rng.uniform(0.36, 0.5)) * scale
        (x, top), raw = pixels[1], RAW["SignSymbol"]
        y = top + size * 0.7
        back = bool(rng.random() < 0.12)  # seen from behind
        if kind in (0, 1, 5):
            rim = ((200.0, 30.0, 36.0), (36.0, 84.0, 176.0), (200.0, 30.0, 36.0))[(0, 1, 5).index(kind)]
            disc(canvas, x, y, size, lit((128.0, 130.0, 132.0) if back else rim), raw)
            if not back and kind != 1:
                disc(canvas, x, y, size * 0.72, lit((238.0, 236.0, 230.0)), raw)
                if kind == 5:
                    canvas.line((x - size * 0.35, y), (x + size * 0.35, y), size * 0.26, lit((30.0, 30.0, 30.0)), raw)
            elif not back:
                canvas.line(
                    (x - size * 0.3, y + size * 0.3),
                    (x + size * 0.3, y - size * 0.3),
                    size * 0.26,
                    lit((236.0, 236.0, 236.0)),
                    raw,
                )
        elif kind in (2, 3):
            tip = -1.0 if kind == 2 else 1.0
            triangle = np.array([[0.0, tip], [0.95, -0.65 * tip], [-0.95, -0.65 * tip]])
            canvas.polygon(triangle * size * 1.1 + (x, y), lit((204.0, 36.0, 36.0)), raw)
            canvas.polygon(triangle * size * 0.68 + (x, y), lit((240.0, 238.0, 230.0)), raw)
        else:
            wide, high = ((1.3, 0.75), (1.0, 1.35))[int(rng.integers(0, 2))]
            plate = ((24.0, 96.0, 66.0), (40.0, 78.0, 160.0), (236.0, 232.0, 224.0), (222.0, 186.0, 40.0))[
                int(rng.integers(0, 4))
            ]
            corners = np.array([[-wide, -high], [wide, -high], [wide, high], [-wide, high]]) * size
            canvas.polygon(corners + (x, y), lit(plate), raw)
            ink = lit((240.0, 240.0, 240.0) if sum(plate) < 400 else (30.0, 30.0, 34.0))
            for row in (-0.4, 0.1, 0.5):
                reach = float(rng.uniform(0.4, 0.8)) * wide
                canvas.line(
                    (x - wide * size * 0.8, y + row * high * size),
                    (x - wide * size * 0.8 + 1.7 * reach * size, y + row * high * size),
                    size * 0.14,
                    ink,
                    raw,
                )


def disc(canvas: Canvas, x: float, y: float, radius: float, color: Color, raw: int) -> None:
    """Fill a circle in pixels."""
    turn = np.linspace(0, 2 * np.pi, 17)[:-1]
    canvas.polygon(np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], 1), color, raw)


@dataclass(frozen=True)
class TrafficLight(_Upright):
    """Traffic lights; ``phase`` 0 red, 1 amber, 2 green at the start of the drive."""

    s: float
    u: float
    phase: int
    tall: bool

    _LAMPS: ClassVar[tuple[Color, ...]] = ((235.0, 40.0, 30.0), (245.0, 170.0, 40.0), (40.0, 225.0, 130.0))

    def shadow(self, canvas: Canvas) -> None:
        self._thin_shadow(canvas, 3.2, 0.35)

    def draw(self, canvas: Canvas) -> None:
        found = self._foot(canvas)
        if found is None:
            return
        foot, scale, distance = found
        sunlit = canvas.sunlit(foot[0], foot[2])
        high = 4.2 if self.tall else 2.6
        pixels = self._post(canvas, foot, scale, high, 0.13, canvas.paint((60.0, 62.0, 64.0), _FRONT, distance, sunlit))
        x, y = pixels[1]
        wide, tall = 0.26 * scale, 1.15 * scale
        raw = RAW["TrafficLight"]
        box = np.array([[-wide, -tall], [wide, -tall], [wide, 0.0], [-wide, 0.0]]) + (x, y)
        canvas.polygon(box, canvas.paint((26.0, 27.0, 28.0), _FRONT, distance, sunlit), raw)
        now = (self.phase + int(canvas.camera.time / 6.0)) % 3
        for lamp in range(3):
            glow = self._LAMPS[lamp] if lamp == now else tuple(0.25 * c for c in self._LAMPS[lamp])
            disc(canvas, x, y - tall * (0.82 - 0.31 * lamp), wide * 0.58, (glow[0], glow[1], glow[2]), raw)


@dataclass(frozen=True)
class Board(_Upright):
    """An advertising board on the pavement (Misc_Text)."""

    s: float
    u: float
    seed: int

    def shadow(self, canvas: Canvas) -> None:
        self._thin_shadow(canvas, 1.5, 0.9)

    def draw(self, canvas: Canvas) -> None:
        found = self._foot(canvas)
        if found is None:
            return
        foot, scale, distance = found
        rng = generator(self.seed, 12)
        pixels, _ = canvas.camera.project(foot[None])
        x, y = pixels[0]
        color = rng.uniform(30, 230, 3)
        wide, tall = 0.45 * scale, float(rng.uniform(1.1, 1.9)) * scale
        sunlit = canvas.sunlit(foot[0], foot[2])
        box = np.array([[-wide, -tall], [wide, -tall], [wide, -0.06 * scale], [-wide, -0.06 * scale]])
        canvas.polygon(box + (x, y), canvas.paint((60.0, 56.0, 52.0), _FRONT, distance, sunlit), RAW["Misc_Text"])
        inner = box * (0.84, 0.92)
        canvas.polygon(inner + (x, y - 0.03 * scale), canvas.paint(color, _FRONT, distance, sunlit), RAW["Misc_Text"])
        ink = canvas.paint((245.0, 242.0, 230.0) if color.sum() < 420 else (40.0, 36.0, 36.0), _FRONT, distance, sunlit)
        for row in (0.8, 0.62, 0.5, 0.3):
            reach = wide * float(rng.uniform(0.3, 0.66))
            canvas.line((x - reach, y - row * tall), (x + reach, y - row * tall), 0.09 * scale, ink, RAW["Misc_Text"])


@dataclass(frozen=True)
class Bin(_Upright):
    """A litter bin: clutter that nobody labelled (void)."""

    s: float
    u: float
    seed: int

    def shadow(self, canvas: Canvas) -> None:
        self._thin_shadow(canvas, 1.1, 0.6)

    def draw(self, canvas: Canvas) -> None:
        found = self._foot(canvas)
        if found is None:
            return
        foot, scale, distance = found
        rng = generator(self.seed, 13)
        paints: tuple[Color, ...] = ((36.0, 60.0, 44.0), (40.0, 40.0, 44.0), (60.0, 70.0, 110.0), (170.0, 40.0, 36.0))
        color = np.array(paints[int(rng.integers(0, len(paints)))])
        pixels, _ = canvas.camera.project(foot[None])
        x, y = pixels[0]
        wide, tall = 0.3 * scale, 1.05 * scale
        sunlit = canvas.sunlit(foot[0], foot[2])
        body = np.array([[-wide, -tall], [wide, -tall], [wide * 0.85, 0.0], [-wide * 0.85, 0.0]]) + (x, y)
        canvas.polygon(body, canvas.paint(color, _FRONT, distance, sunlit), RAW["Void"])
        lid = np.array(
            [
                [-wide * 1.1, -tall * 1.08],
                [wide * 1.1, -tall * 1.08],
                [wide * 1.1, -tall * 0.94],
                [-wide * 1.1, -tall * 0.94],
            ]
        )
        canvas.polygon(lid + (x, y), canvas.paint(color * 0.7, _FRONT, distance, sunlit), RAW["Void"])


@dataclass(frozen=True)
class Cone(_Upright):
    """A traffic cone."""

    s: float
    u: float

    def shadow(self, canvas: Canvas) -> None:
        self._thin_shadow(canvas, 0.7, 0.3)

    def draw(self, canvas: Canvas) -> None:
        found = self._foot(canvas)
        if found is None:
            return
        foot, scale, distance = found
        pixels, _ = canvas.camera.project(foot[None])
        where = pixels[0]
        sunlit = canvas.sunlit(foot[0], foot[2])
        orange = canvas.paint((226.0, 84.0, 30.0), _FRONT, distance, sunlit)
        white = canvas.paint((236.0, 234.0, 230.0), _FRONT, distance, sunlit)
        for low, high, color in ((0.0, 0.3, orange), (0.3, 0.5, white), (0.5, 0.8, orange)):
            a, b = 0.24 * (1 - low) * scale, 0.24 * (1 - high) * scale
            band = np.array([[-a, -low * scale], [a, -low * scale], [b, -high * scale], [-b, -high * scale]])
            canvas.polygon(band + where, color, RAW["TrafficCone"])


@dataclass(frozen=True)
class Island(_Upright):
    """A keep-left bollard in the middle of the road: a lit sign on a short post."""

    s: float
    u: float
    seed: int

    def shadow(self, canvas: Canvas) -> None:
        self._thin_shadow(canvas, 1.3, 0.5)

    def draw(self, canvas: Canvas) -> None:
        found = self._foot(canvas)
        if found is None:
            return
        foot, scale, distance = found
        sunlit = canvas.sunlit(foot[0], foot[2])
        pixels = self._post(
            canvas, foot, scale, 1.2, 0.16, canvas.paint((230.0, 226.0, 216.0), _FRONT, distance, sunlit)
        )
        x, y = pixels[1]
        disc(canvas, x, y, 0.36 * scale, canvas.paint((36.0, 84.0, 180.0), _FRONT, distance, sunlit), RAW["SignSymbol"])
        lean = 0.16 * scale * canvas.street.lane_side
        white = canvas.paint((240.0, 240.0, 240.0), _FRONT, distance, sunlit)
        canvas.line((x - lean, y - 0.16 * scale), (x + lean, y + 0.16 * scale), 0.08 * scale, white, RAW["SignSymbol"])
        if math.fmod(self.seed, 2.0) == 0.0:
            canvas.line((x, y + 0.36 * scale), (x, y + 0.7 * scale), 0.3 * scale, white, RAW["SignSymbol"])
