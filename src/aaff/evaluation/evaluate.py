"""Score any callable that maps a frame to a class map on a split, and report the scores with their conditions.

A score is meaningless without its protocol, split, resize convention and the split that selected the weights;
``Report`` keeps them together, and is shown as a table (``aaff.evaluation.table``) or written as JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from aaff.data.sample import Dataset
from aaff.data.statistics import OnProgress
from aaff.errors import DataError
from aaff.evaluation.confusion import ConfusionMatrix, Metrics
from aaff.labels import LabelMap, UInt8Array
from aaff.provenance import provenance

Predict = Callable[[UInt8Array], UInt8Array]
"""A frame, RGB uint8 [H, W, 3], to its class map, uint8 [H, W]."""

Resize = Literal["logits", "map"]
"""``"logits"``: native logits resized bilinearly to the label's size, then argmax (the research convention).
``"map"``: the class map that a deployed file outputs, resized to the label's size."""


@dataclass(frozen=True)
class Subject:
    """What was scored.

    Attributes:
        model: name of the network, or of a baseline.
        engine: engine that ran it: ``"torch"``, ``"openvino"`` or ``"onnxruntime"``.
        precision: ``"fp32"``, ``"bf16"`` or ``"int8"``.
        size: WIDTHxHEIGHT of the network's input; all sizes, the most frequent first, where frames need several.
        resize: how its output was resized to the label's size.
        checkpoint: SHA-256 of the file with the weights.
        selected_on: the split that selected the epoch of these weights.
        details: further information, JSON-ready, such as the options of the network.
    """

    model: str
    engine: str
    precision: str
    size: str
    resize: Resize
    checkpoint: str | None = None
    selected_on: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Baseline:
    """Scores of a baseline that needs no network, learned from the labels of one split.

    Attributes:
        name: such as ``"majority class"``.
        metrics: its scores on the evaluated split.
        learned_from: the split whose labels it was learned from.
    """

    name: str
    metrics: Metrics
    learned_from: str


@dataclass(frozen=True)
class Report:
    """Scores of one model on one split, with the conditions under which they were measured.

    Attributes:
        protocol: evaluation protocol, such as ``"camvid11"``.
        split: the split that was scored.
        images: number of frames.
        labels: classes and colours.
        subject: the model that was scored.
        matrix: the counts that the scores are computed from.
        metrics: the scores.
        baselines: scores of predictions without a network, for comparison.
        notes: remarks needed to interpret the scores, such as absent classes.
        provenance: date, versions, machine.
    """

    protocol: str
    split: str
    images: int
    labels: LabelMap
    subject: Subject
    matrix: ConfusionMatrix
    metrics: Metrics
    baselines: tuple[Baseline, ...] = ()
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=provenance)

    @property
    def absent(self) -> tuple[str, ...]:
        """Names of the classes without labelled pixels, which the means exclude."""
        return tuple(name for name, pixels in zip(self.labels.names, self.metrics.pixels, strict=True) if pixels == 0)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form, as written by ``aaff evaluate --json``."""
        return {
            "protocol": self.protocol,
            "split": self.split,
            "images": self.images,
            "size": self.subject.size,
            "resize": self.subject.resize,
            **self.metrics.means(),
            "per_class": self.metrics.per_class(self.labels.names),
            "absent_classes": list(self.absent),
            "model": self.subject.model,
            "engine": self.subject.engine,
            "precision": self.subject.precision,
            "checkpoint": self.subject.checkpoint,
            "selected_on": self.subject.selected_on,
            "details": dict(self.subject.details),
            "baselines": {
                row.name: {**row.metrics.means(), "learned_from": row.learned_from} for row in self.baselines
            },
            "notes": list(self.notes),
            "provenance": dict(self.provenance),
            "confusion": {
                "rows": "ground truth",
                "columns": "prediction",
                "names": list(self.labels.names),
                "counts": self.matrix.counts.tolist(),
            },
        }


def count(
    predict: Predict,
    dataset: Dataset,
    *,
    indices: Iterable[int] | None = None,
    progress: OnProgress | None = None,
) -> ConfusionMatrix:
    """Confusion matrix of ``predict`` over a split, or over some of its frames.

    Several processes share a split through ``indices`` and merge their matrices; no frame is counted twice to pad a
    shard, which would bias the score.

    Args:
        predict: maps a frame to a class map of the frame's size.
        dataset: frames with their labels.
        indices: indices of the frames to count, in this order; default: all.
        progress: called after every frame with the number of frames done and the total.

    Raises:
        DataError: a frame is unreadable, or a class map has the wrong size or an invalid id.
    """
    matrix = ConfusionMatrix(dataset.labels.num_classes)
    order = range(len(dataset)) if indices is None else list(indices)
    for done, index in enumerate(order, start=1):
        sample = dataset[index]
        matrix.update(sample.label, predict(sample.image), f"frame {sample.name}")
        if progress is not None:
            progress(done, len(order))
    return matrix


def evaluate(
    predict: Predict,
    dataset: Dataset,
    subject: Subject,
    *,
    baselines: Iterable[Baseline] = (),
    notes: Iterable[str] = (),
    progress: OnProgress | None = None,
) -> Report:
    """Score ``predict`` on all frames of a split.

    Raises:
        DataError: see ``count``; or the split has no frames or no labelled pixels.
    """
    if len(dataset) == 0:
        raise DataError(f"split {dataset.split!r} of {dataset.root} has no frame to evaluate")
    return report(count(predict, dataset, progress=progress), dataset, subject, baselines=baselines, notes=notes)


def report(
    matrix: ConfusionMatrix,
    dataset: Dataset,
    subject: Subject,
    *,
    baselines: Iterable[Baseline] = (),
    notes: Iterable[str] = (),
) -> Report:
    """The report of a confusion matrix counted over all frames of ``dataset``, at once or in shards."""
    result = Report(
        protocol=dataset.protocol,
        split=dataset.split,
        images=len(dataset),
        labels=dataset.labels,
        subject=subject,
        matrix=matrix,
        metrics=matrix.metrics(),
        baselines=tuple(baselines),
        notes=tuple(notes),
    )
    if not result.absent:
        return result
    plural = "es have" if len(result.absent) > 1 else " has"
    sentence = f"class{plural} no labelled pixel in {dataset.split!r} and no part in a mean: {', '.join(result.absent)}"
    return replace(result, notes=(*result.notes, sentence))
