"""Vehicles on the street."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from aaff.synthetic.camera import NEAR, Point
from aaff.synthetic.canvas import SUB, Canvas, raised
from aaff.synthetic.models import model
from aaff.synthetic.textures import FloatArray

_FINE = 14.0  # pixels per metre from which lights, plates and pillars are drawn


@dataclass(frozen=True)
class Vehicle:
    """A vehicle at (s, u); ``heading`` in radians against the street, 0 = the way the camera drives."""

    s: float
    u: float
    heading: float
    seed: int

    def order(self) -> float:
        return self.s + 0.5 * abs(self.u)

    def shadow(self, canvas: Canvas) -> None:
        shape = model(self.seed)
        x, z, street = canvas.camera.place(self.s, self.u)
        c, s = math.cos(street + self.heading), math.sin(street + self.heading)
        a, b = shape.width / 2, shape.length / 2

        def corner(right: float, forward: float) -> Point:
            return x + right * c + forward * s, 0.0, z - right * s + forward * c

        base = [corner(i * a, j * b) for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        roof = [raised(corner(0.8 * i * a, 0.8 * j * b), shape.height) for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        canvas.cast(base + roof)
        canvas.contact([corner(1.05 * i * a, 1.02 * j * b) for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))], 0.85)

    def draw(self, canvas: Canvas) -> None:
        shape, camera = model(self.seed), canvas.camera
        x, z, street = camera.place(self.s, self.u)
        if not camera.sees(x, z, 0.5 * shape.length + 0.3):
            return
        c, s = math.cos(street + self.heading), math.sin(street + self.heading)
        axes = np.array([[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]])
        place = np.array([x, 0.0, z])
        corners = _turn(shape.corners, axes) + place
        normals = _turn(shape.normals, axes)
        eye = np.array([0.0, camera.height, 0.0])
        facing = ((eye - corners[shape.starts]) * normals).sum(1) > 0
        pixels, depths = camera.pixels(corners)
        whole = depths.min() >= NEAR
        if whole and camera.focal / max(1.0, float(depths.mean())) < _FINE:
            facing &= ~shape.fine
        colors = self._colors(canvas, x, z, normals)
        points = np.rint(np.clip(pixels, -9000, 9000) * (1 << SUB)).astype(np.int32)
        for i in np.flatnonzero(facing).tolist():
            part = slice(shape.starts[i], shape.ends[i])
            if whole:
                cv2.fillConvexPoly(canvas.image, points[part], colors[i], cv2.LINE_AA, SUB)
                cv2.fillConvexPoly(canvas.raw, points[part], shape.raw, cv2.LINE_8, SUB)
            else:
                canvas.face([(p[0], p[1], p[2]) for p in corners[part].tolist()], colors[i], shape.raw)

    def _colors(self, canvas: Canvas, x: float, z: float, normals: FloatArray) -> list[tuple[float, float, float]]:
        """Colour of each face as the camera sees it: matt colour, mirrored sky, haze."""
        shape, weather = model(self.seed), canvas.street.weather
        haze, sun = np.array(canvas.haze), canvas.sun
        sunlit = canvas.sunlit(x, z)
        mirror = (shape.gloss * (0.1 + 0.28 * np.maximum(0.0, normals[:, 1])) + shape.glass * 0.14)[:, None]
        color = shape.colors * (1 - mirror) + haze * mirror
        facing = np.maximum(0.0, normals[:, 0] * sun[0] + normals[:, 1] * sun[1] + normals[:, 2] * sun[2])
        direct = weather.sun_strength * sunlit * facing[:, None] * (1.06, 1.0, 0.88)
        light = np.array(weather.ambient) * (0.78 + 0.22 * normals[:, 1:2]) + direct
        veil = canvas.veil(math.hypot(x, z))
        seen = np.minimum(color * light, 255) * (1 - veil) + haze * veil
        return [(r, g, b) for r, g, b in seen.tolist()]


def _turn(points: FloatArray, axes: FloatArray) -> FloatArray:
    """Points [N, 3] from a thing's own axes to those of the camera's street."""
    return np.asarray(points[:, :1] * axes[0] + points[:, 1:2] * axes[1] + points[:, 2:] * axes[2])
