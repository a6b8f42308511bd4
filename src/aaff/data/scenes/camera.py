"""A pinhole camera driving along a street: from (s, u) and height to pixels."""

from __future__ import annotations

import math

import numpy as np

from aaff.data.scenes.street import FPS, Street
from aaff.data.scenes.textures import FloatArray
from aaff.preprocess import Size

NEAR = 0.4
"""Nearest depth in metres that is drawn."""
FAR = 230.0
"""Metres ahead within which single things are drawn."""
_BEHIND, _STEP = 40.0, 1.0


class Camera:
    """Where the camera of one frame stands and looks.

    Camera-street axes: x to the right, y up from the ground, z ahead along the street where the camera is;
    the camera stands at x = z = 0.

    Attributes:
        s, u: its place on the street in metres.
        time: seconds since the drive began.
        size: picture size.
        focal: in pixels.
        center: (x, y) of the optical axis in pixels.
        rotation: float64 [3, 3], from camera-street axes to right, down, ahead.
    """

    def __init__(self, street: Street, frame: int, size: Size) -> None:
        self.street = street
        self.time = time = frame / FPS
        self.size = size
        self.s = street.camera_s(time)
        self.u = street.camera_u + 0.35 * math.sin(0.23 * time + street.phase[0])
        self.height = street.lens.height + 0.015 * math.sin(7.0 * time)
        self.focal = street.lens.focal * size.width
        self.center = ((size.width - 1) / 2, (size.height - 1) / 2)
        self.yaw = street.lens.yaw + 0.03 * math.sin(0.31 * time + street.phase[1])
        self.pitch = street.lens.pitch + 0.006 * math.sin(5.3 * time) + 0.01 * math.sin(0.6 * time)
        self.rotation = _rotation(self.yaw, self.pitch, 0.008 * math.sin(0.9 * time))
        self._s = self.s + np.arange(-_BEHIND, FAR + 120.0, _STEP)
        self.base_heading = float(street.heading(np.array([self.s]))[0])
        self._heading = street.heading(self._s) - self.base_heading
        dx, dz = np.sin(self._heading) * _STEP, np.cos(self._heading) * _STEP
        self._x = np.concatenate([[0.0], np.cumsum((dx[1:] + dx[:-1]) / 2)])
        self._z = np.concatenate([[0.0], np.cumsum((dz[1:] + dz[:-1]) / 2)])
        here = int(_BEHIND / _STEP)
        self._x -= self._x[here] + self.u
        self._z -= self._z[here]

    def at(self, s: FloatArray, u: FloatArray) -> tuple[FloatArray, FloatArray]:
        """x and z [N] of places on the street."""
        heading = np.interp(s, self._s, self._heading)
        x, z = np.interp(s, self._s, self._x), np.interp(s, self._s, self._z)
        return x + u * np.cos(heading), z - u * np.sin(heading)

    def place(self, s: float, u: float) -> tuple[float, float, float]:
        """x, z and the street's heading at one place."""
        where = (s - self._s[0]) / _STEP
        i = min(max(int(where), 0), len(self._s) - 2)
        part = where - i
        heading = float(self._heading[i] + part * (self._heading[i + 1] - self._heading[i]))
        x = float(self._x[i] + part * (self._x[i + 1] - self._x[i]))
        z = float(self._z[i] + part * (self._z[i + 1] - self._z[i]))
        return x + u * math.cos(heading), z - u * math.sin(heading), heading

    def project(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Pixels [N, 2] and depths [N] of points [N, 3]; depths below :data:`NEAR` are raised to it."""
        p = points - (0.0, self.height, 0.0)
        r = self.rotation
        # Written out: the result must not depend on how a BLAS splits a product between threads.
        right = p[:, 0] * r[0, 0] + p[:, 1] * r[0, 1] + p[:, 2] * r[0, 2]
        down = p[:, 0] * r[1, 0] + p[:, 1] * r[1, 1] + p[:, 2] * r[1, 2]
        ahead = p[:, 0] * r[2, 0] + p[:, 1] * r[2, 1] + p[:, 2] * r[2, 2]
        depth = np.maximum(ahead, NEAR)
        pixels = np.stack([self.center[0] + self.focal * right / depth, self.center[1] + self.focal * down / depth], 1)
        return pixels, ahead

    def rays(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Direction x, y, z (camera-street axes, y up) through every pixel, each [H, W]."""
        x = (np.arange(self.size.width) - self.center[0]) / self.focal
        y = (np.arange(self.size.height) - self.center[1]) / self.focal
        r = self.rotation
        return (
            x[None, :] * r[0, 0] + y[:, None] * r[1, 0] + r[2, 0],
            x[None, :] * r[0, 1] + y[:, None] * r[1, 1] + r[2, 1],
            x[None, :] * r[0, 2] + y[:, None] * r[1, 2] + r[2, 2],
        )

    def ground(self, x: FloatArray, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(s, u) of ground points; exact on a straight street, to first order of the bend otherwise."""
        where = np.interp(z, self._z, np.arange(len(self._z)))
        i = where.astype(np.intp)
        heading = self._heading[i]
        aside = x - np.interp(where, np.arange(len(self._x)), self._x)
        return self._s[0] + where * _STEP + aside * np.sin(heading), aside * np.cos(heading)


def _rotation(yaw: float, pitch: float, roll: float) -> FloatArray:
    cy, sy, cp, sp, cr, sr = (
        math.cos(yaw),
        math.sin(yaw),
        math.cos(pitch),
        math.sin(pitch),
        math.cos(roll),
        math.sin(roll),
    )
    # Rows: the camera's right, down and ahead in camera-street axes (right, up, ahead).
    ahead = np.array([sy * cp, sp, cy * cp])
    right = np.array([cy, 0.0, -sy])
    down = np.array([sy * sp, -cp, cy * sp])
    return np.stack([cr * right + sr * down, cr * down - sr * right, ahead])
