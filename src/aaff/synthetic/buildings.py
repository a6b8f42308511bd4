"""Walls of the street: houses, fences, hedges, garden walls."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from aaff.synthetic.camera import Point
from aaff.synthetic.canvas import RAW, SUB, Canvas, between, fixed, raised
from aaff.synthetic.facades import facade
from aaff.synthetic.looks import kept, pick, tinted
from aaff.synthetic.street import Color
from aaff.synthetic.textures import FloatArray, Texture, bricks, fence, hedge, tiles

_ROOFS: tuple[Color, ...] = ((120.0, 66.0, 52.0), (84.0, 84.0, 90.0), (104.0, 86.0, 76.0), (66.0, 70.0, 78.0))
_READABLE = 45.0  # metres up to which writing is labelled as such
_DETAILED = 120.0  # metres up to which ends and chimneys are drawn with texture


@kept
def _roof(rng: np.random.Generator) -> tuple[Color, tuple[float, ...]]:
    """Colour of the tiles, and places of the chimneys along the ridge, 0–1."""
    color = tinted(pick(rng, _ROOFS), float(rng.uniform(0.8, 1.15)))
    return color, tuple(rng.uniform(0.05, 0.95, int(rng.integers(0, 3))).tolist())


@dataclass(frozen=True)
class House:
    """A house whose front stands along the street from ``s`` to ``s + width`` at ``u``; sizes in metres.

    Where the house before it hides its near end it is not ``free``.
    """

    s: float
    u: float
    width: float
    height: float
    storeys: int
    style: int
    shop: bool
    roof: float
    seed: int
    free: bool = True

    _DEPTH = 9.0

    def order(self) -> float:
        return self.s + self.width + 0.5 * abs(self.u)

    def _base(self, canvas: Canvas) -> tuple[Point, Point, Point, Point, Point]:
        """Ground corners (front near, front far, back near, back far) and the front's outward normal."""
        side = math.copysign(1.0, self.u)
        x0, z0, _ = canvas.camera.place(self.s, self.u)
        x1, z1, _ = canvas.camera.place(self.s + self.width, self.u)
        length = max(1e-6, math.hypot(x1 - x0, z1 - z0))
        ix, iz = (z1 - z0) / length * side, -(x1 - x0) / length * side
        deep_x, deep_z = self._DEPTH * ix, self._DEPTH * iz
        return (
            (x0, 0.0, z0),
            (x1, 0.0, z1),
            (x0 + deep_x, 0.0, z0 + deep_z),
            (x1 + deep_x, 0.0, z1 + deep_z),
            (-ix, 0.0, -iz),
        )

    def shadow(self, canvas: Canvas) -> None:
        base = self._base(canvas)[:4]
        high = self.height + 0.6 * self.roof
        canvas.cast([*base, *(raised(p, high) for p in base)])

    def draw(self, canvas: Canvas) -> None:
        near, far, back_near, back_far, outward = self._base(canvas)
        distance = math.hypot(near[0] + far[0], near[2] + far[2]) / 2
        if not canvas.camera.sees((near[0] + back_far[0]) / 2, (near[2] + back_far[2]) / 2, 0.5 * self.width + 6.0):
            return
        high, raw = self.height, RAW["Building"]
        near_top, far_top, back_top = raised(near, high), raised(far, high), raised(back_near, high)
        if self.roof > 0:
            self._roof(canvas, near_top, far_top, back_top, raised(back_far, high), outward, distance)
        front = facade(self.seed, self.width, self.height, self.storeys, self.style, self.shop)
        length = max(1e-6, math.hypot(far[0] - near[0], far[2] - near[2]))
        toward = ((near[0] - far[0]) / length, 0.0, (near[2] - far[2]) / length)
        gable = canvas.paint(front.wall, toward, distance)
        right = self.u > 0
        if self.free and distance < _DETAILED:
            end = facade(self.seed, self._DEPTH, self.height, self.storeys, self.style, False)
            corners = (near_top, back_top, back_near, near) if right else (back_top, near_top, near, back_near)
            canvas.texture(end.texture, corners, canvas.light(toward), raw)
        elif self.free:
            canvas.face((near_top, back_top, back_near, near), gable, raw)
        if self.roof > 0:
            ridge = raised(between(near_top, back_top, 0.5), self.roof)
            canvas.face((near_top, ridge, back_top), gable, raw)
        corners = (far_top, near_top, near, far) if right else (near_top, far_top, far, near)
        place = canvas.texture(front.texture, corners, canvas.light(outward), raw)
        if place is not None and distance < _READABLE:
            self._writing(canvas, front.boards, place)

    def _roof(
        self,
        canvas: Canvas,
        near: Point,
        far: Point,
        back_near: Point,
        back_far: Point,
        outward: Point,
        distance: float,
    ) -> None:
        color, chimneys = _roof(self.seed)
        ridge_near = raised(between(near, back_near, 0.5), self.roof)
        ridge_far = raised(between(far, back_far, 0.5), self.roof)
        size = math.hypot(self.roof, self._DEPTH / 2)
        slope = (outward[0] * self.roof / size, self._DEPTH / 2 / size, outward[2] * self.roof / size)
        eave_near = (near[0] + 0.3 * outward[0], near[1], near[2] + 0.3 * outward[2])
        eave_far = (far[0] + 0.3 * outward[0], far[1], far[2] + 0.3 * outward[2])
        light = canvas.light(slope)
        gain = (color[0] / 128 * light[0], color[1] / 128 * light[1], color[2] / 128 * light[2])
        canvas.texture(tiles(), (ridge_near, ridge_far, eave_far, eave_near), gain, RAW["Building"])
        if distance < _DETAILED:
            for share in chimneys:
                self._chimney(canvas, between(ridge_near, ridge_far, share), distance)

    def _chimney(self, canvas: Canvas, foot: Point, distance: float) -> None:
        x0, low, depth = canvas.camera.pixel(foot[0], foot[1] - 0.6, foot[2])
        x1, high, _ = canvas.camera.pixel(foot[0], foot[1] + 1.2, foot[2])
        if depth < 1.0:
            return
        wide = 0.5 * canvas.camera.focal / depth
        color = canvas.paint((120.0, 76.0, 60.0), (0.0, 0.3, -0.95), distance)
        quad = ((x1 - wide, high), (x1 + wide, high), (x0 + wide, low), (x0 - wide, low))
        canvas.polygon(quad, color, RAW["Building"])

    def _writing(
        self, canvas: Canvas, boards: tuple[tuple[float, float, float, float], ...], place: FloatArray
    ) -> None:
        """Label the name boards of shops."""
        for left, top, right, bottom in boards:
            quad = np.array([[[left, top], [right, top], [right, bottom], [left, bottom]]])
            pixels = cv2.perspectiveTransform(quad, place)[0]
            if np.abs(pixels).max() < 4000:
                corners = [(float(x), float(y)) for x, y in pixels]
                cv2.fillConvexPoly(canvas.raw, fixed(corners), RAW["Misc_Text"], cv2.LINE_8, SUB)


@dataclass(frozen=True)
class Barrier:
    """A fence, hedge or low wall along the street from ``s`` to ``s + length``; ``kind`` is its raw class."""

    s: float
    u: float
    length: float
    height: float
    kind: str
    seed: int

    def order(self) -> float:
        return self.s + self.length + 0.5 * abs(self.u)

    def _line(self, canvas: Canvas) -> list[Point]:
        """Points along its foot; near the camera at most 6 m apart, so that it follows the bend."""
        count = max(1, math.ceil(self.length / (6.0 if self.s - canvas.camera.s < 40.0 else 18.0)))
        steps = (canvas.camera.place(self.s + self.length * i / count, self.u) for i in range(count + 1))
        return [(x, 0.0, z) for x, z, _ in steps]

    def shadow(self, canvas: Canvas) -> None:
        line = self._line(canvas)
        ends = (line[0], line[-1])
        canvas.cast([*ends, *(raised(p, self.height) for p in ends)], 0.6 if self.kind == "Fence" else 1.0)

    def _texture(self, count: int) -> Texture:
        panels = max(1, round(self.length / count / 3.0))
        if self.kind == "Fence":
            return fence(self.seed % 16, panels)
        return bricks(self.seed % 8, panels) if self.kind == "Wall" else hedge(self.seed % 8, panels)

    def draw(self, canvas: Canvas) -> None:
        line = self._line(canvas)
        middle = between(line[0], line[-1], 0.5)
        if not canvas.camera.sees(middle[0], middle[2], 0.5 * self.length + 1.0):
            return
        side = -math.copysign(1.0, self.u)
        texture, raw = self._texture(len(line) - 1), RAW[self.kind]
        if self.kind != "Fence" and self.height < canvas.camera.height:
            self._thickness(canvas, line, side)
        for i in range(len(line) - 2, -1, -1):
            near, far = line[i], line[i + 1]
            length = max(1e-6, math.hypot(far[0] - near[0], far[2] - near[2]))
            normal = (side * (far[2] - near[2]) / length, 0.0, -side * (far[0] - near[0]) / length)
            sunlit = canvas.sunlit((near[0] + far[0]) / 2, (near[2] + far[2]) / 2)
            corners = (raised(near, self.height), raised(far, self.height), far, near)
            canvas.texture(texture, corners, canvas.light(normal, sunlit), raw)
        if self.kind != "Fence":
            self._end(canvas, line, side)

    def _back(self, line: list[Point], side: float) -> tuple[float, float]:
        """x and z from the front to the back of a wall or hedge."""
        deep = (0.3 if self.kind == "Wall" else 0.9) * -side
        run = (line[1][0] - line[0][0], line[1][2] - line[0][2])
        length = max(1e-6, math.hypot(*run))
        return run[1] / length * deep, -run[0] / length * deep

    def _thickness(self, canvas: Canvas, line: list[Point], side: float) -> None:
        dx, dz = self._back(line, side)
        color = (150.0, 138.0, 124.0) if self.kind == "Wall" else (70.0, 98.0, 48.0)
        top = canvas.paint(color, (0.0, 1.0, 0.0), math.hypot(line[0][0], line[0][2]))
        near, far = raised(line[0], self.height), raised(line[-1], self.height)
        quad = (near, (near[0] + dx, near[1], near[2] + dz), (far[0] + dx, far[1], far[2] + dz), far)
        canvas.face(quad, top, RAW[self.kind])

    def _end(self, canvas: Canvas, line: list[Point], side: float) -> None:
        dx, dz = self._back(line, side)
        foot = line[0]
        color = (128.0, 108.0, 92.0) if self.kind == "Wall" else (48.0, 70.0, 34.0)
        shade = canvas.paint(color, (0.0, 0.0, -1.0), math.hypot(foot[0], foot[2]))
        back = (foot[0] + dx, 0.0, foot[2] + dz)
        canvas.face((foot, back, raised(back, self.height), raised(foot, self.height)), shade, RAW[self.kind])
