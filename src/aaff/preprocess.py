"""Sizes and resizing: from a frame of any size to the network's input size and back.

Training, evaluation and deployment all use these functions, so that scores and predictions are consistent.  Sizes on
the command line are WIDTHxHEIGHT; arrays are [H, W].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from aaff.errors import DataError, OptionError, shown
from aaff.labels import UInt8Array

_LONGEST_SIDE = 65_535


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
            OptionError: the text does not have this form, or a side is 0 or above 65535.
        """
        parts = [part.strip() for part in text.lower().replace("×", "x").split("x")]
        if len(parts) == 2 and all(p.isascii() and p.isdigit() and len(p) <= 5 for p in parts):
            size = cls(int(parts[0]), int(parts[1]))
            if min(size) > 0 and max(size) <= _LONGEST_SIDE:
                return size
        raise OptionError(f"size {shown(text)} is not WIDTHxHEIGHT (each 1 to {_LONGEST_SIDE}), such as 480x360")

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


def bgr(frame: UInt8Array) -> UInt8Array:
    """Convert an OpenCV frame, BGR uint8 [H, W, 3], to RGB.

    Raises:
        DataError: the array is not [H, W, 3].

    >>> bgr(np.array([[[255, 0, 10]]], np.uint8)).tolist()
    [[[10, 0, 255]]]
    """
    if not isinstance(frame, np.ndarray) or frame.ndim != 3 or frame.shape[2] != 3:
        given = f"an array {list(frame.shape)}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise DataError(f"a BGR frame is an array [height, width, 3], not {given}")
    return np.ascontiguousarray(frame[..., ::-1])


_WIDEST = 2.5
"""Largest aspect ratio (width / height) that is preserved."""
_GRID = 32
"""Computed sizes are multiples of this, the deepest stride of common networks; this also keeps the number of different
sizes small, each of which is compiled once."""


def network_size(frame: Size, model: Size) -> Size:
    """The input size for a frame, for a network that takes any size.

    A frame that is wider than the model's size keeps its aspect ratio at about the same number of pixels, and so about
    the same latency; stretching a 16:9 frame to 4:3 costs 2 points of mean IoU (``results/street_aspect.json``).  All
    other frames, and frames wider than 2.5:1, are stretched to the model's size.

    >>> network_size(Size(1280, 720), Size(480, 360))
    Size(width=544, height=320)
    >>> network_size(Size(640, 480), Size(480, 360)), network_size(Size(720, 1280), Size(480, 360))
    (Size(width=480, height=360), Size(width=480, height=360))
    """
    aspect = frame.width / frame.height
    if not 1.1 * model.width / model.height < aspect <= _WIDEST:
        return model
    width = (model.width * model.height * aspect) ** 0.5
    return Size(_GRID * max(1, round(width / _GRID)), _GRID * max(1, round(width / aspect / _GRID)))


def resize_image(image: UInt8Array, size: Size) -> UInt8Array:
    """Resize a frame uint8 [H, W, 3] bilinearly; returns the same array if it already has the size."""
    if Size.of(image) == size:
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def resize_label(label: UInt8Array, size: Size) -> UInt8Array:
    """Resize a class map uint8 [H, W] by nearest neighbour, so that no new ids appear."""
    if Size.of(label) == size:
        return label
    return np.asarray(cv2.resize(label, size, interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
