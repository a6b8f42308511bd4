"""Photometric augmentation: the effects of other cameras, other lighting and poor recordings.

All effects change only colours, so labels do not change.  The linear ones (white balance and hue) are combined into one
3×3 matrix; the others follow in the order in which they occur in a camera: tone curve, blur, noise, compression.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np
import numpy.typing as npt

from aaff.errors import OptionError
from aaff.labels import UInt8Array

_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


@dataclass(frozen=True)
class Photometric:
    """Random camera effects; 0 disables an effect.

    Attributes:
        gains: red, green and blue are multiplied by log-uniform factors between 1/(1+gains) and 1+gains.
        hue: maximum hue rotation in degrees.
        gamma: log-uniform exponent of the tone curve between 1/(1+gamma) and 1+gamma.
        blur: probability of a Gaussian blur, σ of 0.3 to 1.5 pixels.
        noise: probability of Gaussian noise, σ of 1 to 12 of 255.
        jpeg: probability of JPEG compression, quality 25 to 85.

    Raises:
        OptionError: a value is negative, or a probability is above 1.
    """

    gains: float = 0.0
    hue: float = 0.0
    gamma: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    jpeg: float = 0.0

    def __post_init__(self) -> None:
        for name in ("gains", "hue", "gamma"):
            if not 0 <= getattr(self, name) < np.inf:
                raise OptionError(f"{name} is {getattr(self, name)}; it must be 0 or more")
        for name in ("blur", "noise", "jpeg"):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionError(f"{name} is {getattr(self, name)}; it must be in [0, 1]")

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))

    def __call__(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Apply random effects to a frame RGB uint8 [H, W, 3]; returns the same array if none is applied."""
        if self.gains or self.hue:
            image = np.asarray(cv2.transform(image, self._matrix(rng)), np.uint8)
        if self.gamma:
            exponent = (1 + self.gamma) ** rng.uniform(-1, 1)
            curve = np.rint(255 * (np.arange(256) / 255) ** exponent).astype(np.uint8)
            image = np.asarray(cv2.LUT(image, curve), np.uint8)
        if rng.random() < self.blur:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.5)), np.uint8)
        if rng.random() < self.noise:
            noise = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(1, 12))
            image = np.clip(image + noise, 0, 255).astype(np.uint8)
        if rng.random() < self.jpeg:
            quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 86))]
            packed = cv2.imencode(".jpg", image[..., ::-1], quality)[1]
            image = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR_RGB), np.uint8)
        return image

    def _matrix(self, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """Hue rotation (of I and Q at constant luma) followed by white balance."""
        angle = np.deg2rad(self.hue * rng.uniform(-1, 1))
        turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
        gains = (1 + self.gains) ** rng.uniform(-1, 1, 3)
        return np.asarray(np.diag(gains) @ np.linalg.inv(_TO_YIQ) @ turn @ _TO_YIQ, np.float64)
