"""From a frame of any size to what a network takes, and back: one place for sizes and for resizing.

Training, evaluation and the deployed model all use these functions, so that a score and a prediction
mean the same picture.  Sizes on the command line are WIDTHxHEIGHT; arrays are [H, W].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from aaff.errors import OptionError
from aaff.labels import UInt8Array


class Size(NamedTuple):
    """Width and height in pixels.

    >>> Size.parse("480x360")
    Size(width=480, height=360)
    """

    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Size:
        """Read ``WIDTHxHEIGHT``.

        Raises:
            OptionError: the text is something else or a side is below 1.
        """
        parts = text.lower().replace("×", "x").split("x")
        if len(parts) == 2 and all(p.strip().isdigit() and int(p) > 0 for p in parts):
            return cls(int(parts[0]), int(parts[1]))
        raise OptionError(f"size {text!r} is not WIDTHxHEIGHT, such as 480x360")

    @classmethod
    def of(cls, image: npt.NDArray[np.generic]) -> Size:
        """Size of an array [H, W] or [H, W, C]."""
        return cls(int(image.shape[1]), int(image.shape[0]))

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True)
class Normalization:
    """Mean and standard deviation per RGB channel, on the scale 0–255: x = (rgb − mean) / std."""

    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)


def resize_image(image: UInt8Array, size: Size) -> UInt8Array:
    """Frame uint8 [H, W, 3] at another size, bilinear; the same array when it already fits."""
    if Size.of(image) == size:
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def resize_label(label: UInt8Array, size: Size) -> UInt8Array:
    """Class map uint8 [H, W] at another size by nearest pixel centre: no id that was not there."""
    if Size.of(label) == size:
        return label
    return np.asarray(cv2.resize(label, size, interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
