"""From native logits to a full-size class map: bilinear resizing and argmax, computed only where necessary.

If four neighbouring native logits have the same argmax, every bilinear interpolation of them has it too: a class that
leads in all four corners leads in every convex combination.  So a cell between four agreeing corners is filled with
their class, and only cells on a border between classes, about an eighth of them in street scenes, are interpolated.
The result equals that of the full computation, except where two classes tie up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from aaff.errors import ModelError
from aaff.labels import UInt8Array
from aaff.preprocess import Size

Logits = npt.NDArray[np.float32]
Scalar = TypeVar("Scalar", bound=np.generic)

STRIDES = (1, 2, 4, 8)
"""Supported strides: pixels between neighbouring native logits, along both axes."""

_CHUNK = 4096
"""Number of border cells processed at once, so that their values stay in the CPU cache."""


class Upsampler:
    """Computes class maps of one size from logits at 1/``stride`` of it.  Thread-safe: it has tables but no buffers.

    With ``align_corners=False`` the pixels between two native rows are at (i + ½) / stride of the distance, so at
    1/8, 3/8, 5/8 and 7/8 for stride 4; rows and columns beyond the outermost logits repeat them (as in
    ``F.interpolate`` and ONNX ``half_pixel``).

    Args:
        size: width and height of the class maps, both multiples of ``stride``.
        stride: pixels between neighbouring native logits, one of ``STRIDES``.
        packing: n, if the logits are packed by n×n (``SegmentationNetwork.packed_logits``).

    Raises:
        ModelError: ``size`` is not a multiple of the stride, or the stride is not supported.

    >>> Upsampler(Size(8, 4), 4)(np.array([[[1.0, 0.0]], [[0.0, 1.0]]], np.float32))
    array([[0, 0, 0, 0, 1, 1, 1, 1],
           [0, 0, 0, 0, 1, 1, 1, 1],
           [0, 0, 0, 0, 1, 1, 1, 1],
           [0, 0, 0, 0, 1, 1, 1, 1]], dtype=uint8)
    """

    def __init__(self, size: Size, stride: int, packing: int = 1) -> None:
        if not fits(size, stride):
            raise ModelError(
                f"class maps of {size} cannot be made from logits at stride {stride}; both sides must be multiples of "
                f"it, and it must be one of {', '.join(map(str, STRIDES))}"
            )
        self.size, self.stride, self.packing = size, stride, packing
        # The pixels of a cell's row are written as one number of ``stride`` bytes.
        self._word = np.dtype(f"u{stride}")
        self._fill = self._word.type(int.from_bytes(b"\x01" * stride))
        self._rows, self._columns = size.height // stride, size.width // stride
        # One cell lies between two rows and two columns; half a cell juts out on every side of the frame.
        rows, columns = np.arange(self._rows + 1), np.arange(self._columns + 1)
        above, below = np.maximum(rows - 1, 0), np.minimum(rows, self._rows - 1)
        left, right = np.maximum(columns - 1, 0), np.minimum(columns, self._columns - 1)
        places = self._places()
        corners = [places[np.ix_(row, column)] for row in (above, below) for column in (left, right)]
        self._corners = np.stack([corner.ravel() for corner in corners])
        near = (np.arange(stride, dtype=np.float32) + 0.5) / stride
        pair = np.stack([1 - near, near], axis=1)
        self._weights = np.ascontiguousarray(np.einsum("ya,xb->yxab", pair, pair).reshape(stride**2, 4))
        # Where the row of a cell lies in a canvas of such numbers.
        pitch = self._columns + 1
        self._origins = (rows[:, None] * stride * pitch + columns).ravel()
        self._lines = np.arange(stride)[:, None] * pitch

    def _places(self) -> npt.NDArray[np.intp]:
        """Index in a plane of packed logits of each row and column."""
        n = self.packing
        shape = (n, n, -(-self._rows // n), -(-self._columns // n))
        return self._unpacked(np.arange(np.prod(shape)).reshape(shape))

    def _unpacked(self, packed: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        """[n, n, ⌈rows/n⌉, ⌈columns/n⌉] → [rows, columns]."""
        n = self.packing
        unpacked = np.empty((self._rows, self._columns), packed.dtype)
        for row in range(n):
            for column in range(n):
                part = unpacked[row::n, column::n]
                part[:] = packed[row, column, : part.shape[0], : part.shape[1]]
        return unpacked

    def __call__(self, logits: Logits) -> UInt8Array:
        """The class map uint8 [H, W] of native logits; ties go to the lowest id.  The array belongs to the caller.

        Args:
            logits: float32 [C·n², ⌈H/(n·stride)⌉, ⌈W/(n·stride)⌉], n being the packing.
        """
        n = self.packing
        planes = logits.reshape(len(logits) // n**2, -1)
        highest = self._unpacked(_argmax(planes[0].copy(), planes[1:]).reshape(n, n, *logits.shape[1:]))
        if self.stride == 1:
            return highest
        padded = cv2.copyMakeBorder(highest, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
        corner = padded[:-1, :-1]
        border = corner != padded[:-1, 1:]
        border |= corner != padded[1:, :-1]
        border |= corner != padded[1:, 1:]
        canvas = np.repeat(corner * self._fill, self.stride, axis=0)
        cells = np.flatnonzero(border)
        for start in range(0, len(cells), _CHUNK):
            part = cells[start : start + _CHUNK]
            canvas.reshape(-1)[self._origins.take(part) + self._lines] = self._interpolate(planes, part)
        half = self.stride // 2
        return canvas.view(np.uint8)[half:-half, half:-half].copy()

    def _interpolate(self, planes: Logits, cells: npt.NDArray[np.intp]) -> npt.NDArray[np.unsignedinteger]:
        """The pixels of these cells, [row in the cell, cell], one integer per row."""
        corners = planes.take(self._corners.take(cells, axis=1), axis=1)  # [C, 4, cells]
        ids = _argmax(self._weights @ corners[0], (self._weights @ corner for corner in corners[1:]))
        lines = ids.reshape(self.stride, self.stride, -1).transpose(0, 2, 1).copy()
        return lines.view(self._word)[..., 0]


def _argmax(best: Logits, others: Iterable[Logits]) -> UInt8Array:
    """Index of the highest of ``best``, ``others[0]``, … at every place; ties go to the first.  Overwrites ``best``."""
    ids = np.zeros(best.shape, np.uint8)
    leads = np.empty(best.shape, np.bool_)
    for index, values in enumerate(others, start=1):
        np.greater(values, best, out=leads)
        # Ids only increase, so a maximum can replace a masked copy, which takes ten times as long.
        np.maximum(ids, leads.view(np.uint8) * np.uint8(index), out=ids)
        np.maximum(best, values, out=best)
    return ids


def fits(size: Size, stride: int) -> bool:
    """Whether class maps of this size can be computed from logits at this stride."""
    return stride in STRIDES and size.width % stride == 0 and size.height % stride == 0
