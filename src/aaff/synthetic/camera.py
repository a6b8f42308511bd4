"""A pinhole camera driving along a street: from (s, u) and height to pixels, and from pixels to the ground."""

from __future__ import annotations

import math

import numpy as np

from aaff.preprocess import Size
from aaff.synthetic.street import FPS, Street
from aaff.synthetic.textures import Float32Array, FloatArray

Point = tuple[float, float, float]
"""x to the right, y up from the ground, z ahead, in metres; the camera stands at x = z = 0."""
Pixel = tuple[float, float]

NEAR = 0.4
"""Nearest depth in metres that is drawn."""
FAR = 200.0
"""Metres ahead within which single things are drawn."""
_BEHIND, _AHEAD = 40, 340
_CELL = 0.25


class Camera:
    """Where the camera of one frame stands and looks.

    Single points are handled as plain numbers: a frame has thousands of shapes of few corners, for which
    arrays cost more than they save.

    Attributes:
        s, u: its place on the street in metres.
        time: seconds since the drive began.
        size: picture size.
        focal: in pixels.
        height: above the ground in metres.
        base_heading: direction of the street where the camera is, against the drive's own axes, in radians.
        rotation: rows right, down, ahead of the camera in the axes of ``Point``.
    """

    def __init__(self, street: Street, frame: int, size: Size) -> None:
        self.time = time = frame / FPS
        self.size = size
        self.s = street.camera_s(time)
        self.u = street.camera_u + 0.35 * math.sin(0.23 * time + street.phase[0])
        self.height = street.lens.height + 0.015 * math.sin(7.0 * time)
        self.focal = street.lens.focal * size.width
        self.cx, self.cy = (size.width - 1) / 2, (size.height - 1) / 2
        yaw = street.lens.yaw + 0.03 * math.sin(0.31 * time + street.phase[1])
        pitch = street.lens.pitch + 0.006 * math.sin(5.3 * time) + 0.01 * math.sin(0.6 * time)
        self.rotation = _rotation(yaw, pitch, 0.008 * math.sin(0.9 * time))
        self._begin = self.s - _BEHIND
        s = self._begin + np.arange(_BEHIND + _AHEAD, dtype=np.float64)
        self.base_heading = float(street.heading(np.array([self.s]))[0])
        heading = street.heading(s) - self.base_heading
        dx, dz = np.sin(heading), np.cos(heading)
        x = np.concatenate([[0.0], np.cumsum((dx[1:] + dx[:-1]) / 2)])
        z = np.concatenate([[0.0], np.cumsum((dz[1:] + dz[:-1]) / 2)])
        x -= x[_BEHIND] + self.u
        z -= z[_BEHIND]
        self._lines = (x.tolist(), z.tolist(), heading.tolist())
        # The centre line by depth, for the inverse from the ground to (s, u).
        depth = np.arange(0.0, z[-1], _CELL)
        self._depth_table = tuple(
            np.interp(depth, z, values).astype(np.float32) for values in (s - self._begin, x, np.tan(heading))
        )

    def place(self, s: float, u: float) -> tuple[float, float, float]:
        """x, z and the street's heading at a place."""
        xs, zs, headings = self._lines
        where = min(max(s - self._begin, 0.0), len(xs) - 1.001)
        i = int(where)
        part = where - i
        heading = headings[i] + part * (headings[i + 1] - headings[i])
        x = xs[i] + part * (xs[i + 1] - xs[i])
        z = zs[i] + part * (zs[i + 1] - zs[i])
        return x + u * math.cos(heading), z - u * math.sin(heading), heading

    def pixel(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        """Pixel x, pixel y and depth of a point; depths below ``NEAR`` count as it for the pixel."""
        (a, b, c), (d, e, f), (g, h, i) = self.rotation
        y -= self.height
        depth = g * x + h * y + i * z
        scale = self.focal / (depth if depth > NEAR else NEAR)
        return self.cx + scale * (a * x + b * y + c * z), self.cy + scale * (d * x + e * y + f * z), depth

    def pixels(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """``pixel`` for many: pixels [N, 2] and depths [N] of points [N, 3]."""
        # Written out: the result must not depend on how a BLAS splits a product between threads.
        x, y, z = points[:, 0], points[:, 1] - self.height, points[:, 2]
        (a, b, c), (d, e, f), (g, h, i) = self.rotation
        depth = g * x + h * y + i * z
        scale = self.focal / np.maximum(depth, NEAR)
        where = np.empty((len(points), 2))
        where[:, 0] = self.cx + scale * (a * x + b * y + c * z)
        where[:, 1] = self.cy + scale * (d * x + e * y + f * z)
        return where, depth

    def sees(self, x: float, z: float, radius: float) -> bool:
        """Whether something of this radius around (x, z) can be in the picture, seen from above."""
        (a, _, c), _, (g, _, i) = self.rotation
        depth, aside = g * x + i * z + radius, a * x + c * z
        return depth > NEAR and abs(aside) - 1.5 * radius < depth * (self.cx + 2) / self.focal

    def rays(self, top: int, bottom: int) -> tuple[Float32Array, Float32Array, Float32Array]:
        """Direction x, y, z (axes of ``Point``) through the pixels of rows top … bottom−1, each [rows, W]."""
        x = ((np.arange(self.size.width) - self.cx) / self.focal).astype(np.float32)[None, :]
        y = ((np.arange(top, bottom) - self.cy) / self.focal).astype(np.float32)[:, None]
        right, down, ahead = (np.array(row, np.float32) for row in self.rotation)
        return (
            x * right[0] + (y * down[0] + ahead[0]),
            x * right[1] + (y * down[1] + ahead[1]),
            x * right[2] + (y * down[2] + ahead[2]),
        )

    def ground(self, x: Float32Array, z: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Metres along from ``origin`` and across of ground points; to first order of the street's bend."""
        along, center, slope = self._depth_table
        i = np.clip(z * np.float32(1 / _CELL), 0, len(along) - 1).astype(np.int32)
        rest = z - i.astype(np.float32) * np.float32(_CELL)
        lean = slope[i]
        straight = 1 / (1 + lean * lean)  # cos² of the heading
        aside = x - center[i] - rest * lean
        cosine = np.sqrt(straight)
        return along[i] + rest / cosine + aside * lean * cosine, aside * cosine

    @property
    def origin(self) -> float:
        """Metres along the street that ``ground`` counts from."""
        return self._begin


def _rotation(yaw: float, pitch: float, roll: float) -> tuple[Point, Point, Point]:
    cy, sy, cp, sp, cr, sr = *_turn(yaw), *_turn(pitch), *_turn(roll)
    ahead = (sy * cp, sp, cy * cp)
    right, down = (cy, 0.0, -sy), (sy * sp, -cp, cy * sp)
    return (
        (cr * right[0] + sr * down[0], cr * right[1] + sr * down[1], cr * right[2] + sr * down[2]),
        (cr * down[0] - sr * right[0], cr * down[1] - sr * right[1], cr * down[2] - sr * right[2]),
        ahead,
    )


def _turn(angle: float) -> tuple[float, float]:
    return math.cos(angle), math.sin(angle)
