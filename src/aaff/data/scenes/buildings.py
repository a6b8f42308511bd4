"""Walls of the street: houses, fences, hedges, garden walls, bridges."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from aaff.data.scenes.canvas import RAW, Canvas
from aaff.data.scenes.street import generator
from aaff.data.scenes.textures import TEXELS, FloatArray, UInt8Array, facade, leaves, railing

_ROOFS = ((120, 66, 52), (84, 84, 90), (104, 86, 76), (66, 70, 78))


@dataclass(frozen=True)
class House:
    """A house whose front stands along the street from ``s`` to ``s + width`` at ``u``; sizes in metres."""

    s: float
    u: float
    width: float
    height: float
    storeys: int
    style: int
    shop: bool
    roof: float
    seed: int

    _DEPTH = 9.0

    def order(self) -> float:
        return self.s + self.width + 0.5 * abs(self.u)

    def _corners(self, canvas: Canvas) -> tuple[FloatArray, FloatArray]:
        """Ground corners: front near, front far, back near, back far [4, 3]; and the front's outward normal."""
        side = math.copysign(1.0, self.u)
        x, z = canvas.camera.at(np.array([self.s, self.s + self.width]), np.array([self.u, self.u]))
        near, far = np.array([x[0], 0.0, z[0]]), np.array([x[1], 0.0, z[1]])
        run = (far - near) / max(1e-6, float(np.hypot(x[1] - x[0], z[1] - z[0])))
        inward = np.array([run[2], 0.0, -run[0]]) * side
        return np.stack([near, far, near + self._DEPTH * inward, far + self._DEPTH * inward]), -inward

    def shadow(self, canvas: Canvas) -> None:
        base, _ = self._corners(canvas)
        canvas.cast(np.concatenate([base, base + (0.0, self.height + 0.6 * self.roof, 0.0)]))

    def draw(self, canvas: Canvas) -> None:
        base, outward = self._corners(canvas)
        near, far, back_near, back_far = base
        up = np.array([0.0, self.height, 0.0])
        distance = float(np.hypot(near[0] + far[0], near[2] + far[2]) / 2)
        normal = (float(outward[0]), 0.0, float(outward[2]))
        run = far - near
        toward = -run / max(1e-6, float(np.linalg.norm(run)))
        raw = RAW["Building"]
        rng = generator(self.seed, 5)
        if self.roof > 0:
            color = np.array(_ROOFS[int(rng.integers(0, len(_ROOFS)))]) * rng.uniform(0.8, 1.15)
            ridge_near = (near + back_near) / 2 + up + (0.0, self.roof, 0.0)
            ridge_far = (far + back_far) / 2 + up + (0.0, self.roof, 0.0)
            slope = np.array([outward[0] * self.roof, self._DEPTH / 2, outward[2] * self.roof])
            slope /= np.linalg.norm(slope)
            eave = 0.3 * outward
            canvas.texture(
                _tiles(),
                np.stack([ridge_near, ridge_far, far + up + eave, near + up + eave]),
                color / 128.0 * canvas.light((float(slope[0]), float(slope[1]), float(slope[2]))),
                raw,
            )
            for _ in range(int(rng.integers(0, 3))):
                self._chimney(canvas, ridge_near + rng.uniform(0.05, 0.95) * (ridge_far - ridge_near), distance)
        texture, boards = facade(self.seed, self.width, self.height, self.storeys, self.style, self.shop)
        plain = texture[TEXELS // 2 : TEXELS, :].mean((0, 1))
        end_normal = (float(toward[0]), 0.0, float(toward[2]))
        side = canvas.paint(plain * 0.95, end_normal, distance)
        canvas.face(np.stack([near, back_near, back_near + up, near + up]), side, raw)
        if self.roof > 0:
            canvas.face(
                np.stack([near + up, (near + back_near) / 2 + up + (0.0, self.roof, 0.0), back_near + up]), side, raw
            )
        place = canvas.texture(texture, np.stack([near + up, far + up, far, near]), canvas.light(normal), raw)
        if place is not None:
            for left, top, right, bottom in boards:
                quad = np.array([[[left, top], [right, top], [right, bottom], [left, bottom]]])
                pixels = cv2.perspectiveTransform(quad, place)[0]
                if np.abs(pixels).max() < 4000 and distance < 45:
                    cv2.fillConvexPoly(
                        canvas.raw, np.rint(pixels * 16).astype(np.int32), RAW["Misc_Text"], cv2.LINE_8, 4
                    )

    def _chimney(self, canvas: Canvas, foot: FloatArray, distance: float) -> None:
        pixels, depth = canvas.camera.project(np.stack([foot - (0, 0.6, 0), foot + (0, 1.2, 0)]))
        if depth.min() < 1.0:
            return
        wide = 0.5 * canvas.camera.focal / depth[0]
        (x, low), (_, high) = pixels
        color = canvas.paint((120.0, 76.0, 60.0), (0.0, 0.3, -1.0), distance)
        canvas.polygon(
            np.array([[x - wide, high], [x + wide, high], [x + wide, low], [x - wide, low]]), color, RAW["Building"]
        )


def _tiles() -> UInt8Array:
    """Roof tiles, grey 128 on average: uint8 [48, 64, 3]."""
    picture = np.full((48, 64, 3), 132, np.uint8)
    picture[::6] = 104
    picture[::12, ::5] = 112
    return picture


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

    def _ends(self, canvas: Canvas) -> FloatArray:
        count = max(2, math.ceil(self.length / 3.0) + 1)
        s = np.linspace(self.s, self.s + self.length, count)
        x, z = canvas.camera.at(s, np.full(count, self.u))
        return np.stack([x, np.zeros(count), z], 1)

    def shadow(self, canvas: Canvas) -> None:
        line = self._ends(canvas)[[0, -1]]
        canvas.cast(np.concatenate([line, line + (0.0, self.height, 0.0)]), 0.6 if self.kind == "Fence" else 1.0)

    def draw(self, canvas: Canvas) -> None:
        line = self._ends(canvas)
        up = np.array([0.0, self.height, 0.0])
        side = -math.copysign(1.0, self.u)
        rng = generator(self.seed, 6)
        tint = rng.uniform(0.8, 1.15)
        cover: UInt8Array | None = None
        if self.kind == "Fence":
            picture, cover = railing(self.seed % 16)
        elif self.kind == "Wall":
            picture = facade(self.seed % 64, 3.0, 1.2, 1, 0 if self.seed % 3 else 2, False)[0][-6:, :]
            picture = _bricks(self.seed % 8)
        else:
            green = np.array([62, 92, 42]) * rng.uniform(0.75, 1.15)
            picture = np.clip(leaves(self.seed % 8)[:, :96, None] / 128.0 * green, 0, 255).astype(np.uint8)
        for near, far in zip(line[-2::-1], line[:0:-1], strict=True):
            run = (far - near) / max(1e-6, float(np.linalg.norm(far - near)))
            normal = (side * float(run[2]), 0.0, -side * float(run[0]))
            middle = (near + far) / 2
            sunlit = canvas.sunlit(float(middle[0]), float(middle[2]))
            gain = canvas.light(normal, sunlit) * tint
            corners = np.stack([near + up, far + up, far, near])
            canvas.texture(picture, corners, gain, RAW[self.kind], cover)
        if self.kind != "Fence":
            self._thickness(canvas, line, up, side)

    def _thickness(self, canvas: Canvas, line: FloatArray, up: FloatArray, side: float) -> None:
        """The end and the top that make a wall or hedge solid."""
        deep = 0.3 if self.kind == "Wall" else 0.9
        run = line[1] - line[0]
        back = np.array([run[2], 0.0, -run[0]]) / max(1e-6, float(np.linalg.norm(run))) * -side * deep
        color = (140.0, 120.0, 104.0) if self.kind == "Wall" else (56.0, 80.0, 40.0)
        distance = float(np.hypot(line[0, 0], line[0, 2]))
        end = canvas.paint(color, (0.0, 0.0, -1.0), distance)
        canvas.face(np.stack([line[0], line[0] + back, line[0] + back + up, line[0] + up]), end, RAW[self.kind])
        if self.height < canvas.camera.height:
            top = canvas.paint(color, (0.0, 1.0, 0.0), distance)
            canvas.face(np.stack([line[0], line[0] + back, line[-1] + back, line[-1]]) + up, top, RAW[self.kind])


def _bricks(variant: int) -> UInt8Array:
    rng = generator(variant, 7)
    base = np.array(((150, 92, 70), (170, 158, 138), (128, 84, 72), (188, 180, 170))[variant % 4])
    picture = np.empty((24, 72, 3))
    picture[:] = base
    for row in range(6):
        for brick in range(10):
            left = brick * 8 - (4 if row % 2 else 0)
            picture[row * 4 : row * 4 + 3, max(0, left) : max(0, left + 7)] *= rng.uniform(0.82, 1.12)
    picture[3::4] = base * 0.78 + 40
    picture[:2] = base * 1.15
    return np.clip(picture, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Bridge:
    """A railway bridge across the street at ``s``: abutments (Tunnel), deck (Bridge), now and then a train."""

    s: float
    u: float
    half: float
    seed: int

    _CLEAR, _DECK, _DEPTH = 4.8, 1.6, 5.0

    def order(self) -> float:
        return self.s + self._DEPTH

    def _point(self, canvas: Canvas, s: float, u: float, y: float) -> FloatArray:
        x, z, _ = canvas.camera.place(s, u)
        return np.array([x, y, z])

    def shadow(self, canvas: Canvas) -> None:
        wide = self.half + 12
        top = self._CLEAR + self._DECK
        canvas.cast(
            np.stack([self._point(canvas, self.s + d, u, top) for d in (0.0, self._DEPTH) for u in (-wide, wide)])
        )
        canvas.contact(
            np.stack(
                [
                    self._point(canvas, self.s + d, u, 0.0)
                    for d, u in (
                        (0.0, -self.half),
                        (0.0, self.half),
                        (self._DEPTH, self.half),
                        (self._DEPTH, -self.half),
                    )
                ]
            ),
            0.7,
        )

    def draw(self, canvas: Canvas) -> None:
        rng = generator(self.seed, 8)
        arch = rng.random() < 0.5
        color = np.array((128, 92, 76) if arch else (120, 124, 122)) * rng.uniform(0.8, 1.1)
        x, z, _ = canvas.camera.place(self.s, 0.0)
        distance = float(np.hypot(x, z))
        face = (0.0, 0.0, -1.0)
        p, wide, top = self._point, self.half + 14.0, self._CLEAR + self._DECK
        front = canvas.paint(color, face, distance)
        for sign in (-1.0, 1.0):
            inner = [
                p(canvas, self.s + d, sign * self.half, y)
                for d, y in ((0, 0), (self._DEPTH, 0), (self._DEPTH, self._CLEAR), (0, self._CLEAR))
            ]
            canvas.face(np.stack(inner), canvas.paint(color * 0.55, (0.0, 0.0, -1.0), distance, 0.0), RAW["Tunnel"])
            canvas.texture(
                _bricks(self.seed % 2),
                np.stack(
                    [
                        p(canvas, self.s, a, y)
                        for a, y in (
                            (sign * self.half, self._CLEAR),
                            (sign * wide, self._CLEAR),
                            (sign * wide, 0),
                            (sign * self.half, 0),
                        )
                    ]
                ),
                canvas.light(face),
                RAW["Archway" if arch else "Wall"],
            )
        under = [
            p(canvas, self.s + d, u, self._CLEAR)
            for d, u in ((0, -self.half), (0, self.half), (self._DEPTH, self.half), (self._DEPTH, -self.half))
        ]
        canvas.face(np.stack(under), canvas.paint(color * 0.35, face, distance, 0.0), RAW["Tunnel"])
        deck = [
            p(canvas, self.s, u, y) for u, y in ((-wide, self._CLEAR), (wide, self._CLEAR), (wide, top), (-wide, top))
        ]
        if rng.random() < 0.6:
            self._train(canvas, rng, top, wide, distance)
        canvas.face(np.stack(deck), front, RAW["Bridge"])
        rail = [p(canvas, self.s, u, y) for u, y in ((-wide, top + 1.0), (wide, top + 1.0), (wide, top), (-wide, top))]
        picture, cover = railing(0)
        canvas.texture(
            np.tile(picture, (1, 8, 1)), np.stack(rail), canvas.light(face), RAW["Fence"], np.tile(cover, (1, 8))
        )

    def _train(self, canvas: Canvas, rng: np.random.Generator, top: float, wide: float, distance: float) -> None:
        paint = rng.uniform(40, 210, 3)
        s = self.s + self._DEPTH / 2
        body = np.zeros((24, 96, 3), np.uint8)
        body[:] = np.clip(paint, 0, 255).astype(np.uint8)
        body[4:12, :] = (46, 54, 62)
        body[4:12, ::8] = paint.astype(np.uint8)
        body[:2] = (190, 190, 190)
        for car in range(3):
            left = -wide + car * wide * 2 / 3 + 0.3
            right = left + wide * 2 / 3 - 0.6
            corners = [
                self._point(canvas, s, u, y)
                for u, y in ((left, top + 3.6), (right, top + 3.6), (right, top + 0.2), (left, top + 0.2))
            ]
            canvas.texture(body, np.stack(corners), canvas.light((0.0, 0.0, -1.0)), RAW["Train"])
