"""What one number hides: confidence against accuracy, accuracy near borders, and objects by their size.

Three accumulators over the frames of a split, beside the confusion matrix of ``aaff.evaluation``.
Ignored pixels (255) never count.  Each gives plain JSON with raw counts, from which figures are made.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from aaff.labels import IGNORE, UInt8Array

FLOAT = npt.NDArray[np.float32]

CONFIDENCE_BINS = 20
"""Equal bins of confidence between 0 and 1."""

BORDER_WIDTHS = (1, 2, 4, 8, 16, 32)
"""A pixel lies within w of a border when its distance to the nearest border pixel is below w."""

OBJECT_AREAS = (32, 128, 512, 2048, 8192)
"""Edges between size bins, in pixels of a 480×360 frame."""

_REFERENCE_AREA = 480 * 360


class Calibration:
    """How often a pixel is right, by the confidence it was given (reliability curve)."""

    def __init__(self) -> None:
        self.pixels = np.zeros(CONFIDENCE_BINS, np.int64)
        self.right = np.zeros(CONFIDENCE_BINS, np.int64)
        self.confidence = np.zeros(CONFIDENCE_BINS)

    def update(self, ground_truth: UInt8Array, predicted: UInt8Array, confidence: FLOAT) -> None:
        """Count a frame.

        Args:
            ground_truth, predicted: class maps uint8 [H, W].
            confidence: probability of the answered class, float32 [H, W] in 0–1.
        """
        counted = ground_truth != IGNORE
        given = confidence[counted]
        place = np.minimum((given * CONFIDENCE_BINS).astype(np.int64), CONFIDENCE_BINS - 1)
        self.pixels += np.bincount(place, minlength=CONFIDENCE_BINS)
        self.right += np.bincount(place[(ground_truth == predicted)[counted]], minlength=CONFIDENCE_BINS)
        self.confidence += np.bincount(place, weights=given, minlength=CONFIDENCE_BINS)

    def to_dict(self) -> dict[str, Any]:
        """Counts per bin and ``ece``, the expected calibration error: mean |confidence − accuracy| over pixels."""
        total = max(int(self.pixels.sum()), 1)
        return {
            "ece": float(np.abs(self.confidence - self.right).sum() / total),
            "mean_confidence": float(self.confidence.sum() / total),
            "pixels": self.pixels.tolist(),
            "right": self.right.tolist(),
            "confidence_sum": [round(float(x), 3) for x in self.confidence],
        }


class Borders:
    """Confusion by distance to the nearest border between two labelled classes (trimap)."""

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.counts = np.zeros((len(BORDER_WIDTHS) + 1, num_classes, num_classes), np.int64)

    def update(self, ground_truth: UInt8Array, predicted: UInt8Array) -> None:
        """Count a frame; class maps uint8 [H, W]."""
        counted = ground_truth != IGNORE
        band = np.digitize(border_distance(ground_truth)[counted], BORDER_WIDTHS)
        code = (band * self.num_classes + ground_truth[counted]) * self.num_classes + predicted[counted]
        self.counts += np.bincount(code, minlength=self.counts.size).reshape(self.counts.shape)

    def to_dict(self) -> dict[str, Any]:
        """``widths``, and one confusion matrix per band: below the first width, between each two, beyond the last."""
        return {"widths": list(BORDER_WIDTHS), "counts": self.counts.tolist()}


def border_distance(ground_truth: UInt8Array) -> FLOAT:
    """Distance of each pixel to the nearest border pixel, float32 [H, W]; large where there is no border.

    A border pixel is a labelled one with a neighbour (above, below, left, right) of another labelled class.

    >>> border_distance(np.array([[0, 0, 0, 1]], np.uint8)).round().tolist()
    [[2.0, 1.0, 0.0, 0.0]]
    """
    border = np.zeros(ground_truth.shape, np.bool_)
    for near, far in ((ground_truth[1:], ground_truth[:-1]), (ground_truth[:, 1:], ground_truth[:, :-1])):
        differ = (near != far) & (near != IGNORE) & (far != IGNORE)
        if near.shape[1] == ground_truth.shape[1]:
            border[1:] |= differ
            border[:-1] |= differ
        else:
            border[:, 1:] |= differ
            border[:, :-1] |= differ
    if not border.any():
        return np.full(ground_truth.shape, 1e6, np.float32)
    away = cv2.distanceTransform((~border).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away, np.float32)


class Objects:
    """Objects by class and size: connected regions of a class in the ground truth, and how much of each is right."""

    def __init__(self, num_classes: int) -> None:
        shape = (num_classes, len(OBJECT_AREAS) + 1)
        self.objects, self.found = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self.pixels, self.right = np.zeros(shape, np.int64), np.zeros(shape, np.int64)

    def update(self, ground_truth: UInt8Array, predicted: UInt8Array) -> None:
        """Count a frame; class maps uint8 [H, W].  Regions touch by edges or corners."""
        scale = _REFERENCE_AREA / ground_truth.size
        for index in np.unique(ground_truth):
            if index == IGNORE:
                continue
            count, regions, stats, _ = cv2.connectedComponentsWithStats((ground_truth == index).astype(np.uint8))
            areas = stats[1:, cv2.CC_STAT_AREA].astype(np.int64)
            right = np.bincount(regions[predicted == index], minlength=count)[1:]
            place = np.digitize(areas * scale, OBJECT_AREAS)
            np.add.at(self.objects[index], place, 1)
            np.add.at(self.found[index], place, (2 * right >= areas).astype(np.int64))
            np.add.at(self.pixels[index], place, areas)
            np.add.at(self.right[index], place, right)

    def to_dict(self) -> dict[str, Any]:
        """``areas`` (edges of the bins) and counts [class][bin]; an object is found when half its pixels are right."""
        return {
            "areas": list(OBJECT_AREAS),
            "objects": self.objects.tolist(),
            "found": self.found.tolist(),
            "pixels": self.pixels.tolist(),
            "right": self.right.tolist(),
        }


def pack_frames(counts: Mapping[str, npt.NDArray[np.int64]]) -> dict[str, Any]:
    """Confusion matrices of single frames, compressed for JSON, so that later statistics need no second run.

    Args:
        counts: by name of the frame, [C, C], rows ground truth.

    >>> packed = pack_frames({"a": np.eye(2, dtype=np.int64)})
    >>> packed["frames"], packed["classes"]
    (['a'], 2)
    >>> unpack_frames(packed)["a"].tolist()
    [[1, 0], [0, 1]]
    """
    stacked = np.stack(list(counts.values())).astype("<u4") if counts else np.zeros((0, 0, 0), "<u4")
    data = base64.b64encode(zlib.compress(stacked.tobytes(), 9)).decode()
    return {"frames": list(counts), "classes": stacked.shape[1], "encoding": "base64 zlib uint32-le", "data": data}


def unpack_frames(packed: Mapping[str, Any]) -> dict[str, npt.NDArray[np.int64]]:
    """What ``pack_frames`` was given."""
    names, classes = packed["frames"], packed["classes"]
    flat = np.frombuffer(zlib.decompress(base64.b64decode(packed["data"])), "<u4").astype(np.int64)
    return dict(zip(names, flat.reshape(len(names), classes, classes), strict=True))
