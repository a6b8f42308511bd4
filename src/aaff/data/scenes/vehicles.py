"""Cars, vans, buses and lorries as solids with lit faces."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from aaff.data.scenes.camera import NEAR
from aaff.data.scenes.canvas import RAW, Canvas
from aaff.data.scenes.street import Color, generator
from aaff.data.scenes.textures import FloatArray

_GLASS = (52.0, 62.0, 70.0)
_TYRE = (26.0, 26.0, 28.0)
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


@dataclass(frozen=True)
class Face:
    """One flat piece of a vehicle: corners [N, 3] (right, up, forward), outward normal, colour."""

    corners: FloatArray
    normal: FloatArray
    color: Color
    shiny: bool = False


@dataclass(frozen=True)
class Model:
    """A vehicle's shape and its raw class."""

    faces: tuple[Face, ...]
    length: float
    width: float
    height: float
    raw: int


@lru_cache(maxsize=256)
def model(seed: int) -> Model:
    """The vehicle of a seed: mostly cars, some vans, buses, lorries, trailers."""
    rng = generator(seed, 20)
    kind = str(
        rng.choice(
            ["hatch", "saloon", "estate", "suv", "van", "bus", "lorry", "trailer"],
            p=[0.3, 0.2, 0.13, 0.13, 0.1, 0.05, 0.06, 0.03],
        )
    )
    tint = np.array(_PAINTS[int(rng.integers(0, len(_PAINTS)))]) * rng.uniform(0.85, 1.08)
    paint: Color = (float(tint[0]), float(tint[1]), float(tint[2]))
    # Side view as (forward, height, half width) from the front bumper over the roof to the rear bumper;
    # the second number of `cabin` is the last point of the roof.
    w = float(rng.uniform(0.83, 0.92))
    shapes: dict[str, tuple[list[tuple[float, float, float]], tuple[int, int], str]] = {
        "hatch": (
            [
                (2.0, 0.35, w),
                (1.95, 0.72, w),
                (1.0, 0.95, w),
                (0.35, 1.46, w - 0.18),
                (-1.5, 1.45, w - 0.18),
                (-1.9, 0.98, w),
                (-1.98, 0.72, w),
                (-2.0, 0.35, w),
            ],
            (3, 4),
            "Car",
        ),
        "saloon": (
            [
                (2.25, 0.35, w),
                (2.2, 0.7, w),
                (1.1, 0.93, w),
                (0.35, 1.42, w - 0.18),
                (-0.95, 1.4, w - 0.18),
                (-1.6, 0.98, w),
                (-2.25, 0.92, w),
                (-2.28, 0.35, w),
            ],
            (3, 4),
            "Car",
        ),
        "estate": (
            [
                (2.2, 0.35, w),
                (2.15, 0.72, w),
                (1.1, 0.95, w),
                (0.4, 1.46, w - 0.16),
                (-1.9, 1.46, w - 0.16),
                (-2.2, 1.0, w),
                (-2.24, 0.75, w),
                (-2.26, 0.35, w),
            ],
            (3, 4),
            "Car",
        ),
        "suv": (
            [
                (2.2, 0.45, w + 0.05),
                (2.18, 0.95, w + 0.05),
                (1.2, 1.15, w + 0.05),
                (0.6, 1.8, w - 0.08),
                (-1.95, 1.8, w - 0.08),
                (-2.15, 1.2, w + 0.05),
                (-2.2, 0.9, w + 0.05),
                (-2.2, 0.45, w + 0.05),
            ],
            (3, 4),
            "SUVPickupTruck",
        ),
        "van": (
            [
                (2.5, 0.4, w + 0.1),
                (2.45, 1.0, w + 0.1),
                (1.8, 1.25, w + 0.1),
                (1.15, 2.1, w),
                (-2.4, 2.15, w),
                (-2.48, 1.3, w + 0.1),
                (-2.5, 0.9, w + 0.1),
                (-2.5, 0.4, w + 0.1),
            ],
            (3, 4),
            "SUVPickupTruck",
        ),
        "bus": (
            [
                (5.2, 0.4, 1.25),
                (5.2, 1.2, 1.25),
                (5.18, 1.3, 1.25),
                (5.0, 3.0, 1.25),
                (-5.2, 3.0, 1.25),
                (-5.25, 1.4, 1.25),
                (-5.25, 1.2, 1.25),
                (-5.25, 0.4, 1.25),
            ],
            (3, 4),
            "Truck_Bus",
        ),
        "lorry": (
            [
                (3.8, 0.5, 1.2),
                (3.8, 1.2, 1.2),
                (3.78, 1.4, 1.2),
                (3.6, 2.5, 1.2),
                (2.1, 2.6, 1.2),
                (2.0, 1.5, 1.2),
                (2.0, 1.2, 1.2),
                (2.0, 0.5, 1.2),
            ],
            (3, 4),
            "Truck_Bus",
        ),
        "trailer": (
            [
                (1.4, 0.5, 0.9),
                (1.4, 0.7, 0.9),
                (1.4, 0.8, 0.9),
                (1.35, 1.5, 0.88),
                (-1.35, 1.5, 0.88),
                (-1.4, 0.8, 0.9),
                (-1.4, 0.7, 0.9),
                (-1.4, 0.5, 0.9),
            ],
            (3, 4),
            "OtherMoving",
        ),
    }
    profile, roof, name = shapes[kind]
    faces = _shell(np.array(profile), roof, paint, kind, rng)
    length = 4.0 if kind == "hatch" else profile[0][0] - profile[-1][0]
    if kind == "lorry":
        box = np.array([220.0, 220.0, 214.0]) if rng.random() < 0.6 else rng.uniform(60, 220, 3)
        faces += _box(1.22, 0.9, 3.2, 1.8, -4.2, (float(box[0]), float(box[1]), float(box[2])))
        faces += _box(1.1, 0.5, 0.9, 1.8, -4.2, (44.0, 44.0, 46.0))
        length = 8.0
    wheels = {"bus": (3.4, -3.0), "lorry": (2.8, -2.6), "trailer": (0.0,)}.get(
        kind, (profile[0][0] - 0.85, profile[-1][0] + 0.8)
    )
    radius = 0.48 if kind in ("bus", "lorry") else 0.32 if kind != "suv" else 0.37
    faces += _wheels(wheels, radius, float(profile[0][2]))
    return Model(tuple(faces), length, 2 * profile[0][2], max(p[1] for p in profile), RAW[name])


def _shell(profile: FloatArray, roof: tuple[int, int], paint: Color, kind: str, rng: np.random.Generator) -> list[Face]:
    faces: list[Face] = []
    z, y, half = profile[:, 0], profile[:, 1], profile[:, 2]
    solid = kind == "trailer"
    for i in range(len(profile) - 1):
        a, b = i, i + 1
        run = np.array([0.0, y[b] - y[a], z[b] - z[a]])
        normal = np.array([0.0, -run[2], run[1]]) / max(1e-6, float(np.linalg.norm(run)))
        corners = np.array(
            [[-half[a], y[a], z[a]], [half[a], y[a], z[a]], [half[b], y[b], z[b]], [-half[b], y[b], z[b]]]
        )
        faces.append(Face(corners, normal, paint, True))
        glass = i in (roof[0] - 1, roof[1]) and not solid and not (kind in ("van", "lorry") and i == roof[1])
        if glass:
            middle = corners.mean(0)
            faces.append(Face(middle + (corners - middle) * (0.9, 0.82, 0.82) + 0.012 * normal, normal, _GLASS, True))
    _ends(faces, profile, kind, rng)
    floor = np.array([z[0], z[-1]])
    for sign in (-1.0, 1.0):
        outward = np.array([sign, 0.0, 0.0])
        lower = [(z[i], y[i], half[i]) for i in (0, 1, 2, len(z) - 3, len(z) - 2, len(z) - 1)]
        faces.append(Face(np.array([[sign * h, b, a] for a, b, h in lower]), outward, paint, True))
        sill = np.array(
            [
                [sign * half[0], 0.2, floor[0] - 0.15],
                [sign * half[0], 0.38, floor[0]],
                [sign * half[0], 0.38, floor[1]],
                [sign * half[0], 0.2, floor[1] + 0.15],
            ]
        )
        faces.append(Face(sill, outward, (40.0, 40.0, 42.0)))
        first, last = roof[0] - 1, roof[1] + 1
        cabin = np.array([[sign * half[i], y[i], z[i]] for i in (first, roof[0], roof[1], last)])
        lean = np.array([sign, 0.3, 0.0]) / math.sqrt(1.09)
        faces.append(Face(cabin, lean, paint, True))
        if solid:
            continue
        middle = cabin.mean(0)
        pane = middle + (cabin - middle) * (1.0, 0.74, 0.9) + 0.02 * lean
        if kind in ("van", "lorry"):  # only the front door has a window
            pane[2:, 2] = pane[1, 2] - 0.9
            pane[3, 1] = pane[0, 1]
        faces.append(Face(pane, lean, _GLASS, True))
        if kind not in ("van", "lorry"):
            pillars = (0.42,) if kind != "bus" else (0.15, 0.3, 0.45, 0.6, 0.75, 0.9)
            for at in pillars:
                low, high = pane[0] + at * (pane[3] - pane[0]), pane[1] + at * (pane[2] - pane[1])
                step = np.array([0.0, 0.0, 0.06])
                faces.append(Face(np.stack([low - step, high - step, high + step, low + step]), lean, paint))
    for end, direction in ((0, 1.0), (len(z) - 1, -1.0)):
        skirt = np.array(
            [
                [-half[end] * 0.95, 0.16, z[end] - 0.1 * direction],
                [half[end] * 0.95, 0.16, z[end] - 0.1 * direction],
                [half[end], y[end], z[end]],
                [-half[end], y[end], z[end]],
            ]
        )
        faces.append(Face(skirt, np.array([0.0, -0.2, direction]), (34.0, 34.0, 36.0)))
    return faces


def _ends(faces: list[Face], profile: FloatArray, kind: str, rng: np.random.Generator) -> None:
    """Lights, grille and number plates."""
    z, y, half = profile[:, 0], profile[:, 1], profile[:, 2]
    n = len(z)
    yellow = (224.0, 190.0, 60.0)
    rear = n - 2 if y[n - 2] > 0.5 else n - 1
    for sign in (-1.0, 1.0):
        front = np.array([0.0, 0.0, 1.0])
        x = sign * half[1] * 0.72
        level = (y[0] + y[1]) / 2 + 0.1
        lamp = np.array(
            [
                [x - 0.2, level - 0.08, z[0] + 0.02],
                [x + 0.2, level - 0.08, z[0] + 0.02],
                [x + 0.2, level + 0.1, z[1] + 0.03],
                [x - 0.2, level + 0.1, z[1] + 0.03],
            ]
        )
        if kind != "trailer":
            faces.append(Face(lamp, front, (226.0, 228.0, 220.0)))
        back = np.array([0.0, 0.0, -1.0])
        high = max(y[rear] - 0.04, 0.72)
        tail = np.array(
            [
                [x - 0.12, high - 0.24, z[-1] - 0.03],
                [x + 0.12, high - 0.24, z[-1] - 0.03],
                [x + 0.12, high, z[-1] - 0.02],
                [x - 0.12, high, z[-1] - 0.02],
            ]
        )
        faces.append(Face(tail, back, (190.0, 24.0, 28.0)))
    plate = np.array([[-0.26, 0.45, 0.0], [0.26, 0.45, 0.0], [0.26, 0.57, 0.0], [-0.26, 0.57, 0.0]])
    faces.append(Face(plate + (0.0, 0.0, z[0] + 0.04), np.array([0.0, 0.0, 1.0]), (232.0, 232.0, 226.0)))
    faces.append(
        Face(
            plate + (0.0, 0.1, z[-1] - 0.05),
            np.array([0.0, 0.0, -1.0]),
            yellow if rng.random() < 0.5 else (230.0, 230.0, 226.0),
        )
    )
    grille = np.array([[-0.35, 0.6, 0.0], [0.35, 0.6, 0.0], [0.32, 0.68, -0.03], [-0.32, 0.68, -0.03]])
    faces.append(Face(grille + (0.0, 0.0, z[0] + 0.03), np.array([0.0, 0.0, 1.0]), (30.0, 30.0, 32.0)))


def _box(half: float, low: float, high: float, front: float, back: float, color: Color) -> list[Face]:
    x, corners = half, []
    for normal, points in (
        ((0, 0, 1), [(-x, low, front), (x, low, front), (x, high, front), (-x, high, front)]),
        ((0, 0, -1), [(-x, low, back), (x, low, back), (x, high, back), (-x, high, back)]),
        ((-1, 0, 0), [(-x, low, back), (-x, low, front), (-x, high, front), (-x, high, back)]),
        ((1, 0, 0), [(x, low, back), (x, low, front), (x, high, front), (x, high, back)]),
        ((0, 1, 0), [(-x, high, back), (x, high, back), (x, high, front), (-x, high, front)]),
    ):
        corners.append(Face(np.array(points, np.float64), np.array(normal, np.float64), color))
    return corners


def _wheels(places: tuple[float, ...], radius: float, half: float) -> list[Face]:
    faces = []
    turn = np.linspace(0, 2 * np.pi, 13)[:-1]
    for sign in (-1.0, 1.0):
        for z in places:
            for size, color, out in (
                (1.0, _TYRE, 0.01),
                (0.6, (150.0, 152.0, 156.0), 0.02),
                (0.2, (60.0, 60.0, 62.0), 0.03),
            ):
                ring = np.stack(
                    [
                        np.full(12, sign * (half + out)),
                        radius + radius * size * np.sin(turn),
                        z + radius * size * np.cos(turn),
                    ],
                    1,
                )
                faces.append(Face(ring, np.array([sign, 0.0, 0.0]), color))
            for edge in (1.0, -1.0):  # tread seen from ahead and behind
                tread = np.array(
                    [[half - 0.2, 0.02, 0.0], [half, 0.02, 0.0], [half, 0.35, 0.0], [half - 0.2, 0.35, 0.0]]
                ) * (sign, 1.0, 1.0)
                faces.append(Face(tread + (0.0, 0.0, z + edge * radius * 0.8), np.array([0.0, 0.0, edge]), _TYRE))
    return faces


@dataclass(frozen=True)
class Vehicle:
    """A vehicle at (s, u); ``heading`` in radians against the street, 0 = the way the camera drives."""

    s: float
    u: float
    heading: float
    seed: int

    def order(self) -> float:
        return self.s + 0.5 * abs(self.u)

    def _pose(self, canvas: Canvas) -> tuple[FloatArray, FloatArray]:
        """Rotation [3, 3] (rows: right, up, forward) and place [3]."""
        x, z, street = canvas.camera.place(self.s, self.u)
        turn = street + self.heading
        c, s = math.cos(turn), math.sin(turn)
        return np.array([[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]]), np.array([x, 0.0, z])

    def _outline(self, canvas: Canvas) -> FloatArray:
        shape = model(self.seed)
        rotation, place = self._pose(canvas)
        a, b = shape.width / 2, shape.length / 2
        base = np.array([[-a, 0, -b], [a, 0, -b], [a, 0, b], [-a, 0, b]])
        return _turn(base, rotation) + place

    def shadow(self, canvas: Canvas) -> None:
        shape = model(self.seed)
        base = self._outline(canvas)
        middle = base.mean(0)
        canvas.cast(np.concatenate([base, middle + 0.8 * (base - middle) + (0.0, shape.height, 0.0)]))
        canvas.contact(middle + 1.04 * (base - middle), 0.85)

    def draw(self, canvas: Canvas) -> None:
        shape = model(self.seed)
        rotation, place = self._pose(canvas)
        camera = canvas.camera
        center = place + (0.0, 0.7, 0.0)
        _, depth = camera.project(center[None])
        if depth[0] < -shape.length / 2:
            return
        distance = float(np.hypot(place[0], place[2]))
        sunlit = canvas.sunlit(float(place[0]), float(place[2]))
        eye = np.array([0.0, camera.height, 0.0])
        points = _turn(np.concatenate([f.corners for f in shape.faces]), rotation) + place
        normals = _turn(np.stack([f.normal for f in shape.faces]), rotation)
        pixels, depths = camera.project(points)
        simple = depths.min() >= NEAR
        high = pixels.max(0)
        low = pixels.min(0)
        if simple and (high[0] < 0 or low[0] >= canvas.width or high[1] < 0):
            return
        horizon = canvas.haze
        start = 0
        for face, normal in zip(shape.faces, normals, strict=True):
            stop = start + len(face.corners)
            part = slice(start, stop)
            start = stop
            if float(((eye - points[part][0]) * normal).sum()) <= 0.0:
                continue
            color = np.array(face.color)
            if face.shiny:  # varnish and glass mirror the sky, the more the more they face it
                mirror = 0.1 + 0.28 * max(0.0, float(normal[1])) + (0.14 if face.color is _GLASS else 0.0)
                color = color * (1 - mirror) + horizon * mirror
            seen = canvas.paint(color, (float(normal[0]), float(normal[1]), float(normal[2])), distance, sunlit)
            if simple:
                canvas.polygon(pixels[part], seen, shape.raw)
            else:
                canvas.face(points[part], seen, shape.raw)


def _turn(points: FloatArray, rotation: FloatArray) -> FloatArray:
    """Points [N, 3] from a thing's own axes to the camera's street axes."""
    return points[:, :1] * rotation[0] + points[:, 1:2] * rotation[1] + points[:, 2:] * rotation[2]
