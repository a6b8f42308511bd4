"""People on foot and on two wheels, with limbs that move."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from aaff.data.scenes.canvas import RAW, Canvas
from aaff.data.scenes.street import Color, generator
from aaff.data.scenes.textures import FloatArray

_SKIN: tuple[Color, ...] = ((224.0, 178.0, 150.0), (196.0, 144.0, 112.0), (140.0, 94.0, 70.0), (92.0, 62.0, 48.0))
_FRONT = (0.0, 0.3, -0.95)


class _Figure:
    """A figure in its own axes (right, up, forward), drawn as limbs."""

    def __init__(self, canvas: Canvas, s: float, u: float, heading: float) -> None:
        x, z, street = canvas.camera.place(s, u)
        turn = street + heading
        self.canvas = canvas
        self.place = np.array([x, 0.0, z])
        self.right = np.array([math.cos(turn), 0.0, -math.sin(turn)])
        self.ahead = np.array([math.sin(turn), 0.0, math.cos(turn)])
        self.distance = float(np.hypot(x, z))
        _, depth = canvas.camera.project(self.place[None] + (0.0, 0.9, 0.0))
        self.visible = depth[0] > 1.5
        self.scale = canvas.camera.focal / max(float(depth[0]), 0.1)
        self.sunlit = canvas.sunlit(x, z)

    def world(self, points: list[tuple[float, float, float]]) -> FloatArray:
        p = np.array(points)
        return self.place + p[:, :1] * self.right + p[:, 1:2] * (0.0, 1.0, 0.0) + p[:, 2:] * self.ahead

    def pixels(self, points: list[tuple[float, float, float]]) -> FloatArray:
        return self.canvas.camera.project(self.world(points))[0]

    def paint(self, color: Color | FloatArray) -> Color:
        return self.canvas.paint(color, _FRONT, self.distance, self.sunlit)

    def limb(self, points: list[tuple[float, float, float]], thick: float, color: Color, raw: int) -> None:
        where = self.pixels(points)
        for a, b in zip(where[:-1], where[1:], strict=True):
            self.canvas.line(a, b, thick * self.scale, color, raw)

    def body(self, points: list[tuple[float, float, float]], color: Color, raw: int) -> None:
        hull = cv2.convexHull(self.pixels(points).astype(np.float32))[:, 0].astype(np.float64)
        self.canvas.polygon(hull, color, raw)

    def ball(self, center: tuple[float, float, float], radius: float, color: Color, raw: int) -> None:
        x, y = self.pixels([center])[0]
        turn = np.linspace(0, 2 * np.pi, 13)[:-1]
        r = max(0.8, radius * self.scale)
        self.canvas.polygon(np.stack([x + r * np.cos(turn), y + r * 1.15 * np.sin(turn)], 1), color, raw)


def _color(rng: np.random.Generator) -> FloatArray:
    """Clothes: dark, muted or bright."""
    base = rng.uniform(20, 90, 3) if rng.random() < 0.45 else rng.uniform(30, 215, 3)
    return np.asarray(base)


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
        canvas.cast(np.array([(x + d, y, z) for d in (-0.2, 0.2) for y in (0.0, 1.6)]), 0.9)
        canvas.contact(
            np.array([(x - 0.25, 0, z - 0.2), (x + 0.25, 0, z - 0.2), (x + 0.25, 0, z + 0.2), (x - 0.25, 0, z + 0.2)]),
            0.6,
        )

    def draw(self, canvas: Canvas) -> None:
        figure = _Figure(canvas, self.s, self.u, self.heading)
        if not figure.visible:
            return
        rng = generator(self.seed, 30)
        child = bool(rng.random() < 0.14)
        k = float(rng.uniform(0.6, 0.75)) if child else float(rng.uniform(0.94, 1.08))
        raw = RAW["Child" if child else "Pedestrian"]
        skin = figure.paint(_SKIN[int(rng.integers(0, len(_SKIN)))])
        coat, legs = _color(rng), _color(rng) * 0.7
        hair = figure.paint(rng.uniform(20, 110, 3))
        top, low = figure.paint(coat), figure.paint(legs)
        dark = figure.paint(coat * 0.75)
        swing = math.sin(canvas.camera.time * 7.5 * (1.0 if self.speed else 0.0) + self.seed % 7) * (
            0.42 if self.speed else 0.08
        )
        skirt = bool(rng.random() < 0.2)
        for side, phase in ((-1.0, swing), (1.0, -swing)):
            hip = (0.09 * side * k, 0.88 * k, 0.0)
            knee = (0.09 * side * k, 0.48 * k, 0.4 * phase * k)
            foot = (0.09 * side * k, 0.05 * k, (0.85 * phase - 0.1 * max(0.0, -phase)) * k)
            figure.limb([hip, knee, foot], 0.15 * k, low, raw)
            figure.limb([foot, (foot[0], 0.04, foot[2] + 0.14 * k)], 0.09 * k, figure.paint((34.0, 30.0, 30.0)), raw)
        far = [
            (-0.27 * k, 1.36 * k, 0.0),
            (-0.31 * k, 1.08 * k, -0.15 * swing),
            (-0.28 * k, 0.84 * k, -0.45 * swing * k),
        ]
        near = [(0.27 * k, 1.36 * k, 0.0), (0.31 * k, 1.08 * k, 0.15 * swing), (0.28 * k, 0.84 * k, 0.45 * swing * k)]
        figure.limb(far, 0.11 * k, dark, raw)
        hem = 0.55 if skirt else 0.8
        spread = 0.26 if skirt else 0.19
        figure.body(
            [
                (-0.24 * k, 1.42 * k, 0.0),
                (0.24 * k, 1.42 * k, 0.0),
                (0.0, 1.42 * k, 0.11 * k),
                (0.0, 1.42 * k, -0.11 * k),
                (-spread * k, hem * k, 0.0),
                (spread * k, hem * k, 0.0),
                (0.0, hem * k, 0.14 * k),
                (0.0, hem * k, -0.14 * k),
            ],
            top,
            raw,
        )
        figure.limb(near, 0.11 * k, dark, raw)
        figure.ball((0.28 * k, 0.82 * k, 0.45 * swing * k), 0.05 * k, skin, raw)
        figure.limb([(0.0, 1.42 * k, 0.0), (0.0, 1.54 * k, 0.02)], 0.1 * k, skin, raw)
        figure.ball((0.0, 1.62 * k, 0.02), 0.115 * k, skin, raw)
        figure.ball((0.0, 1.67 * k, -0.02), 0.105 * k, hair, raw)
        extra = rng.random()
        if extra < 0.15 and not child:
            figure.limb([(0.33 * k, 0.8 * k, 0.1), (0.33 * k, 0.5 * k, 0.1)], 0.24 * k, figure.paint(_color(rng)), raw)
        elif extra < 0.24 and not child:
            self._pram(figure, rng)
        elif extra < 0.32:
            self._dog(figure, rng, swing)

    def _pram(self, figure: _Figure, rng: np.random.Generator) -> None:
        raw = RAW["CartLuggagePram"]
        cloth, frame = figure.paint(_color(rng)), figure.paint((60.0, 60.0, 64.0))
        figure.limb([(0.0, 1.0, 0.35), (0.0, 0.6, 0.7), (0.0, 0.2, 1.1)], 0.06, frame, raw)
        figure.body(
            [(x, y, z) for x in (-0.22, 0.22) for y, z in ((0.5, 0.55), (0.95, 0.6), (0.85, 1.1), (0.45, 1.15))],
            cloth,
            raw,
        )
        for x in (-0.22, 0.22):
            for z in (0.55, 1.15):
                figure.ball((x, 0.13, z), 0.13, frame, raw)

    def _dog(self, figure: _Figure, rng: np.random.Generator, swing: float) -> None:
        raw = RAW["Animal"]
        fur = figure.paint(np.array((120.0, 90.0, 60.0)) * rng.uniform(0.4, 1.6))
        for x in (0.5, 0.62):
            for z, phase in ((0.15, swing), (0.6, -swing)):
                figure.limb([(x, 0.35, z), (x, 0.02, z + 0.2 * phase)], 0.07, fur, raw)
        figure.limb([(0.56, 0.42, 0.12), (0.56, 0.44, 0.62)], 0.24, fur, raw)
        figure.ball((0.56, 0.58, 0.76), 0.12, fur, raw)
        figure.limb([(0.56, 0.48, 0.1), (0.56, 0.66, -0.08)], 0.05, fur, raw)


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
        figure = _Figure(canvas, self.s, self.u, self.heading)
        high = 1.0 if self.parked else 1.6
        canvas.cast(
            figure.world([(0.0, 0.0, -0.8), (0.0, 0.0, 0.8), (0.0, high, -0.3), (0.0, high, 0.3), (0.15, high, 0.0)]),
            0.85,
        )
        canvas.contact(figure.world([(-0.2, 0.0, -0.8), (0.2, 0.0, -0.8), (0.2, 0.0, 0.8), (-0.2, 0.0, 0.8)]), 0.5)

    def draw(self, canvas: Canvas) -> None:
        figure = _Figure(canvas, self.s, self.u, self.heading)
        if not figure.visible:
            return
        rng = generator(self.seed, 31)
        scooter = bool(rng.random() < 0.3)
        raw = RAW["MotorcycleScooter" if scooter else "Bicyclist"]
        frame = figure.paint(rng.uniform(20, 220, 3))
        if scooter:
            self._scooter(figure, frame, raw)
        else:
            self._bicycle(figure, frame, raw)
        if not self.parked:
            self._person(figure, rng, raw, canvas.camera.time)

    def _wheel(self, figure: _Figure, z: float, radius: float, thick: float, raw: int, solid: bool) -> None:
        turn = np.linspace(0, 2 * np.pi, 15)
        ring = figure.pixels([(0.0, radius + radius * math.sin(t), z + radius * math.cos(t)) for t in turn])
        points = np.rint(ring * 16).astype(np.int32)
        canvas = figure.canvas
        black = figure.paint((24.0, 24.0, 26.0))
        wide = max(1, round(thick * figure.scale))
        if np.abs(ring).max() > 8000:
            return
        if solid:
            cv2.fillConvexPoly(canvas.image, points, black, cv2.LINE_AA, 4)
        cv2.fillConvexPoly(canvas.raw, points, raw, cv2.LINE_8, 4)
        cv2.polylines(canvas.image, [points], True, black, wide, cv2.LINE_AA, 4)
        cv2.polylines(canvas.raw, [points], True, raw, wide, cv2.LINE_8, 4)

    def _bicycle(self, figure: _Figure, frame: Color, raw: int) -> None:
        for z in (-0.52, 0.52):
            self._wheel(figure, z, 0.34, 0.06, raw, False)
        rear, front, crank, saddle, head = (
            (0, 0.34, -0.52),
            (0, 0.34, 0.52),
            (0, 0.3, -0.02),
            (0, 0.9, -0.18),
            (0, 0.85, 0.38),
        )
        figure.limb([rear, crank, head, front], 0.06, frame, raw)
        figure.limb([crank, saddle, rear], 0.05, frame, raw)
        figure.limb([(0, 0.8, -0.14), head], 0.05, frame, raw)
        figure.limb([head, (0, 1.02, 0.36)], 0.05, frame, raw)
        dark = figure.paint((30.0, 30.0, 32.0))
        figure.limb([(-0.25, 1.03, 0.34), (0.25, 1.03, 0.34)], 0.05, dark, raw)
        figure.limb([(0, 0.93, -0.3), (0, 0.93, -0.08)], 0.09, dark, raw)

    def _scooter(self, figure: _Figure, frame: Color, raw: int) -> None:
        for z in (-0.55, 0.6):
            self._wheel(figure, z, 0.28, 0.1, raw, True)
        figure.body(
            [(x, y, z) for x in (-0.18, 0.18) for y, z in ((0.35, -0.75), (0.8, -0.8), (0.85, -0.1), (0.3, 0.1))],
            frame,
            raw,
        )
        figure.body(
            [(x, y, z) for x in (-0.2, 0.2) for y, z in ((0.3, 0.3), (1.0, 0.38), (1.0, 0.5), (0.3, 0.5))], frame, raw
        )
        dark = figure.paint((34.0, 34.0, 36.0))
        figure.limb([(0, 0.86, -0.65), (0, 0.86, -0.1)], 0.2, dark, raw)
        figure.limb([(-0.32, 1.06, 0.36), (0.32, 1.06, 0.36)], 0.06, dark, raw)
        figure.ball((0.0, 0.85, 0.52), 0.09, figure.paint((230.0, 226.0, 210.0)), raw)

    def _person(self, figure: _Figure, rng: np.random.Generator, raw: int, time: float) -> None:
        coat, legs = _color(rng), _color(rng) * 0.7
        if rng.random() < 0.3:
            coat = np.array((206.0, 224.0, 60.0))  # high visibility
        top, low = figure.paint(coat), figure.paint(legs)
        skin = figure.paint(_SKIN[int(rng.integers(0, len(_SKIN)))])
        turn = time * 6.0 + self.seed % 5
        for side, phase in ((-1.0, turn), (1.0, turn + math.pi)):
            foot = (0.1 * side, 0.3 + 0.16 * math.sin(phase), 0.02 + 0.16 * math.cos(phase))
            knee = (0.12 * side, 0.72 + 0.08 * math.sin(phase), 0.2 + 0.06 * math.cos(phase))
            figure.limb([(0.1 * side, 0.96, -0.16), knee, foot], 0.14, low, raw)
        figure.body(
            [
                (-0.22, 1.45, 0.1),
                (0.22, 1.45, 0.1),
                (0, 1.47, 0.18),
                (-0.17, 0.92, -0.2),
                (0.17, 0.92, -0.2),
                (0, 0.95, -0.28),
            ],
            top,
            raw,
        )
        dark = figure.paint(coat * 0.78)
        for side in (-1.0, 1.0):
            figure.limb([(0.24 * side, 1.4, 0.1), (0.26 * side, 1.16, 0.2), (0.22 * side, 1.05, 0.34)], 0.1, dark, raw)
        figure.limb([(0, 1.46, 0.12), (0, 1.58, 0.16)], 0.1, skin, raw)
        figure.ball((0.0, 1.64, 0.18), 0.115, skin, raw)
        helmet = figure.paint(rng.uniform(20, 230, 3))
        figure.ball((0.0, 1.7, 0.15), 0.12, helmet, raw)
