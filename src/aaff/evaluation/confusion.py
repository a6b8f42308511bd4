"""The confusion matrix of a whole split, and the metrics computed from it.

Mean IoU on CamVid, Cityscapes and Pascal VOC is defined by counting the pixels of all frames in one matrix and dividing
once; averaging over frames is a different, usually higher number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aaff.errors import DataError
from aaff.labels import IGNORE, UInt8Array

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Metrics:
    """Scores of a confusion matrix, all in [0, 1].

    A class without labelled pixels has no score: its IoU and accuracy are None, and the means exclude it.

    Attributes:
        miou: mean over the classes of the intersection over union (IoU).
        pixel_accuracy: share of the labelled pixels that are predicted correctly.
        mean_class_accuracy: mean over the classes of their accuracy.
        iou: per class, true positives / (labelled + predicted − true positives).
        accuracy: per class, share of its labelled pixels that are predicted correctly (recall).
        pixels: per class, number of labelled pixels.
    """

    miou: float
    pixel_accuracy: float
    mean_class_accuracy: float
    iou: tuple[float | None, ...]
    accuracy: tuple[float | None, ...]
    pixels: tuple[int, ...]

    def means(self) -> dict[str, float]:
        """The three summary scores by name."""
        return {
            "miou": self.miou,
            "pixel_accuracy": self.pixel_accuracy,
            "mean_class_accuracy": self.mean_class_accuracy,
        }

    def per_class(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """``{name: {iou, accuracy, pixels}}`` in the order of the ids; scores of absent classes are None."""
        rows = zip(names, self.iou, self.accuracy, self.pixels, strict=True)
        return {name: {"iou": iou, "accuracy": accuracy, "pixels": n} for name, iou, accuracy, n in rows}


class ConfusionMatrix:
    """Pixel counts by ground truth (row) and prediction (column); ignored pixels are not counted.

    Args:
        num_classes: number of classes C; ids go from 0 to C − 1, and 255 is ignored.
        counts: initial counts int64 [C, C] instead of zeros, such as the sum over ranks.

    >>> matrix = ConfusionMatrix(2)
    >>> matrix.update(np.array([[0, 0, 1, 255]], np.uint8), np.array([[0, 1, 1, 0]], np.uint8))
    >>> matrix.counts.tolist()
    [[1, 1], [0, 1]]
    >>> round(matrix.metrics().pixel_accuracy, 3)
    0.667
    """

    def __init__(self, num_classes: int, counts: npt.ArrayLike | None = None) -> None:
        if not 1 <= num_classes <= IGNORE:
            raise DataError(f"num_classes is {num_classes}; a confusion matrix must have 1 to {IGNORE} classes")
        self.num_classes = num_classes
        self.counts: Counts = np.zeros((num_classes, num_classes), np.int64)
        if counts is not None:
            given = np.asarray(counts)
            if given.shape != self.counts.shape or given.dtype.kind not in "iu" or (given < 0).any():
                raise DataError(
                    f"counts of a confusion matrix of {num_classes} classes must be whole numbers of "
                    f"shape {self.counts.shape}, not {given.dtype} of shape {given.shape}"
                )
            self.counts += given.astype(np.int64)

    def update(self, label: UInt8Array, prediction: UInt8Array, where: str = "a frame") -> None:
        """Count a frame or a batch of frames.

        Args:
            label: uint8 of any shape; class ids, 255 = ignored.
            prediction: uint8 of the same shape; class ids, without 255.
            where: name of the frame in error messages.

        Raises:
            DataError: shapes or types differ, or an id is out of range; nothing is counted in that case.
        """
        if label.shape != prediction.shape:
            raise DataError(f"{where}: the label is {_shape(label)} but the prediction {_shape(prediction)}")
        if label.dtype != np.uint8 or prediction.dtype != np.uint8:
            raise DataError(
                f"{where}: class maps are uint8, not {label.dtype} (label) and {prediction.dtype} (prediction)"
            )
        # One uint16 code per pixel counts all pairs, including invalid ones, in a single pass; this is cheaper than
        # masking ignored pixels first, and both ranges are checked on the 256×256 counts.
        pairs = label.astype(np.uint16)
        pairs <<= 8
        pairs |= prediction
        counts = np.bincount(pairs.ravel(), minlength=1 << 16).reshape(256, 256)
        classes = self.num_classes
        if counts[:, classes:].any():
            raise DataError(f"{where}: the prediction has id {_highest(counts.sum(0))}; ids go from 0 to {classes - 1}")
        if counts[classes:IGNORE].any():
            raise DataError(
                f"{where}: the label has id {_highest(counts[:IGNORE].sum(1))}; "
                f"ids go from 0 to {classes - 1}, or are {IGNORE} for ignored pixels"
            )
        self.counts += counts[:classes, :classes]

    def merge(self, other: ConfusionMatrix) -> ConfusionMatrix:
        """Add the counts of another shard of the same split, and return this matrix.

        Raises:
            DataError: the number of classes differs.
        """
        if other.num_classes != self.num_classes:
            raise DataError(
                f"confusion matrices of {self.num_classes} and {other.num_classes} classes cannot be merged"
            )
        self.counts += other.counts
        return self

    def metrics(self) -> Metrics:
        """Compute all scores.

        Raises:
            DataError: no pixel was counted, so there is no score.
        """
        pixels = self.counts.sum(axis=1)
        if not pixels.any():
            raise DataError("no labelled pixel was counted: every label is empty or ignored, so there is no score")
        right = np.diagonal(self.counts)
        union = pixels + self.counts.sum(axis=0) - right
        present = pixels > 0
        iou = right[present] / union[present]
        accuracy = right[present] / pixels[present]
        return Metrics(
            miou=float(iou.mean()),
            pixel_accuracy=float(right.sum() / pixels.sum()),
            mean_class_accuracy=float(accuracy.mean()),
            iou=_spread(iou, present),
            accuracy=_spread(accuracy, present),
            pixels=tuple(int(n) for n in pixels),
        )


def _spread(values: npt.NDArray[np.float64], present: npt.NDArray[np.bool_]) -> tuple[float | None, ...]:
    found = iter(values.tolist())
    return tuple(next(found) if there else None for there in present)


def _highest(counts: npt.NDArray[np.intp]) -> int:
    return int(np.flatnonzero(counts)[-1])


def _shape(array: npt.NDArray[Any]) -> str:
    return "x".join(str(n) for n in array.shape[::-1])
