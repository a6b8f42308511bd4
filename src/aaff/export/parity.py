"""The check of an exported file: its predictions in every engine are compared with those of the PyTorch network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aaff.errors import DataError
from aaff.evaluation import ConfusionMatrix
from aaff.labels import UInt8Array
from aaff.preprocess import Size, resize_image, resize_label
from aaff.provenance import provenance
from aaff.runtime.engine import Engine

AGREEMENT = 0.999
"""Smallest share of pixels for which an fp32 file must predict the class of the PyTorch network."""
LOSS = 0.005
"""Largest acceptable loss of mean IoU by quantisation: half a point."""

Pair = tuple[UInt8Array, UInt8Array | None]
"""A frame RGB uint8 [H, W, 3] and its label uint8 [H, W] or None."""


@dataclass(frozen=True)
class Row:
    """The comparison of one engine and precision with the PyTorch network.

    Attributes:
        engine: name of the engine.
        precision: the precision it ran in.
        agreement: share of the pixels of all frames with the same class.
        miou: mean IoU of the class maps; None without labels.
        loss: mean IoU of the PyTorch network minus ``miou``; None without labels.
        passed: whether the predictions are close enough.
    """

    engine: str
    precision: str
    agreement: float
    miou: float | None
    loss: float | None
    passed: bool


@dataclass(frozen=True)
class Parity:
    """The comparison of a file with its PyTorch network.

    Attributes:
        source: description of the frames.
        frames: number of frames.
        reference: mean IoU of the PyTorch network in fp32 on these frames; None without labels.
        rows: one row for each engine and precision.
    """

    source: str
    frames: int
    reference: float | None
    rows: tuple[Row, ...]

    @property
    def passed(self) -> bool:
        """Whether every row passed."""
        return all(row.passed for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form with provenance, as stored in the exported file."""
        return {
            "source": self.source,
            "frames": self.frames,
            "resize": "map",
            "limits": {"agreement_fp32": AGREEMENT, "miou_loss": LOSS},
            "passed": self.passed,
            "torch_fp32_miou": self.reference,
            "rows": [dict(vars(row)) for row in self.rows],
            "provenance": provenance(),
        }


def compare(
    reference: Engine,
    engines: Sequence[Engine],
    pairs: Iterable[Pair],
    source: str,
    *,
    progress: Callable[[int], None] | None = None,
) -> Parity:
    """Run all engines on the same frames and compare them.

    Frames are resized as by ``aaff.runtime.Segmenter``, and class maps are resized back to the size of their labels, so
    all engines are scored by the same convention (``resize: map``).

    Args:
        reference: the PyTorch network in fp32.
        engines: the file in its engines and precisions.
        pairs: frames, either all or none with labels.
        source: description of the frames.
        progress: called with the number of frames done.

    Raises:
        DataError: there is no frame, or a quantised file is compared without labels; these are needed since its pixels
            may differ even if its score does not.
    """
    classes, size = reference.card.labels.num_classes, reference.card.size
    everyone = (reference, *engines)
    matrices = [ConfusionMatrix(classes) for _ in everyone]
    equal, pixels, frames, labelled = np.zeros(len(everyone), np.int64), 0, 0, False
    for frame, label in pairs:
        fitting = np.ascontiguousarray(resize_image(frame, size))[None]
        maps = [engine.infer(fitting)[0][0] for engine in everyone]
        equal += [int(np.count_nonzero(maps[0] == other)) for other in maps]
        pixels += maps[0].size
        frames += 1
        if label is not None:
            labelled = True
            for matrix, class_map in zip(matrices, maps, strict=True):
                matrix.update(label, resize_label(class_map, Size.of(label)))
        if progress is not None:
            progress(frames)
    if not frames:
        raise DataError("no frame to compare the exported file on")
    scores = [matrix.metrics().miou if labelled else None for matrix in matrices]
    rows = [
        _row(engine, int(same) / pixels, score, scores[0])
        for engine, same, score in zip(engines, equal[1:], scores[1:], strict=True)
    ]
    return Parity(source, frames, scores[0], tuple(rows))


def _row(engine: Engine, agreement: float, score: float | None, reference: float | None) -> Row:
    if engine.precision == "fp32":
        passed = agreement >= AGREEMENT
        loss = None if score is None or reference is None else reference - score
    elif score is None or reference is None:
        raise DataError(f"{engine.precision} is judged by its mean IoU, which needs frames with labels")
    else:
        loss = reference - score
        passed = loss <= LOSS
    return Row(engine.name, engine.precision, agreement, score, loss, passed)
