"""Railway bridges across the street."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aaff.synthetic.camera import Point
from aaff.synthetic.canvas import RAW, Canvas
from aaff.synthetic.looks import any_color, kept, tinted
from aaff.synthetic.street import Color
from aaff.synthetic.textures import Texture, bricks, fence

_TOWARD = (0.0, 0.0, -1.0)
_CLEAR, _DECK, _DEPTH = 4.8, 1.6, 5.0


@kept
def _look(rng: np.random.Generator) -> tuple[bool, Color, Texture | None]:
    """Whether it is an arch of brick, its colour, and the train on it."""
    arch = bool(rng.random() < 0.5)
    color = tinted((128.0, 92.0, 76.0) if arch else (120.0, 124.0, 122.0), float(rng.uniform(0.8, 1.1)))
    paint = any_color(rng, 40, 210)
    if rng.random() < 0.3:
        return arch, color, None
    body = np.empty((24, 96, 3), np.uint8)
    body[:] = np.array(paint, np.uint8)
    body[4:12] = (46, 54, 62)
    body[4:12, ::8] = np.array(paint, np.uint8)
    body[:2] = 190
    return arch, color, Texture(body)


@dataclass(frozen=True)
class Bridge:
    """A bridge at ``s`` with ``half`` metres clear on each side; abutments, deck, railing, often a train."""

    s: float
    u: float
    half: float
    seed: int

    def order(self) -> float:
        return self.s + _DEPTH

    def _points(self, canvas: Canvas, *places: tuple[float, float, float]) -> tuple[Point, ...]:
        """Points at (metres behind its front, u, height)."""
        result = []
        for along, u, y in places:
            x, z, _ = canvas.camera.place(self.s + along, u)
            result.append((x, y, z))
        return tuple(result)

    def shadow(self, canvas: Canvas) -> None:
        wide, top, half = self.half + 12, _CLEAR + _DECK, self.half
        canvas.cast(self._points(canvas, (0, -wide, top), (0, wide, top), (_DEPTH, wide, top), (_DEPTH, -wide, top)))
        below = self._points(canvas, (0, -half, 0), (0, half, 0), (_DEPTH, half, 0), (_DEPTH, -half, 0))
        canvas.contact(below, 0.7)

    def draw(self, canvas: Canvas) -> None:
        arch, color, train = _look(self.seed)
        x, z, _ = canvas.camera.place(self.s, 0.0)
        distance = math.hypot(x, z)
        half, wide, top = self.half, self.half + 14.0, _CLEAR + _DECK
        inside = canvas.paint(tinted(color, 0.6), _TOWARD, distance, 0.0)
        light = canvas.light(_TOWARD)
        for sign in (-1.0, 1.0):
            a, b = sign * half, sign * wide
            inner = self._points(canvas, (0, a, 0), (_DEPTH, a, 0), (_DEPTH, a, _CLEAR), (0, a, _CLEAR))
            canvas.face(inner, inside, RAW["Tunnel"])
            p, q, r, s = self._points(canvas, (0, a, _CLEAR), (0, b, _CLEAR), (0, b, 0), (0, a, 0))
            canvas.texture(bricks(self.seed % 2, 5, 24), (p, q, r, s), light, RAW["Archway" if arch else "Wall"])
        below = self._points(
            canvas, (0, -half, _CLEAR), (0, half, _CLEAR), (_DEPTH, half, _CLEAR), (_DEPTH, -half, _CLEAR)
        )
        canvas.face(below, canvas.paint(tinted(color, 0.4), _TOWARD, distance, 0.0), RAW["Tunnel"])
        if train is not None:
            for car in range(3):
                left = -wide + car * wide * 2 / 3 + 0.3
                right = left + wide * 2 / 3 - 0.6
                p, q, r, s = self._points(
                    canvas,
                    (2.5, left, top + 3.6),
                    (2.5, right, top + 3.6),
                    (2.5, right, top + 0.2),
                    (2.5, left, top + 0.2),
                )
                canvas.texture(train, (p, q, r, s), light, RAW["Train"])
        deck = self._points(canvas, (0, -wide, _CLEAR), (0, wide, _CLEAR), (0, wide, top), (0, -wide, top))
        canvas.face(deck, canvas.paint(color, _TOWARD, distance), RAW["Bridge"])
        p, q, r, s = self._points(canvas, (0, -wide, top + 1), (0, wide, top + 1), (0, wide, top), (0, -wide, top))
        canvas.texture(fence(0, 12), (p, q, r, s), light, RAW["Fence"])
