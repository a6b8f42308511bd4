"""From any callable that maps a frame to classes, and a split, to a report that says all it rests on.

A score without its protocol, split, resize convention and the split that chose the weights is not a
score; ``Report`` carries them together, as a table (``aaff.evaluation.table``) and as JSON.
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
"""``"logits"``: native logits resized bilinearly to the label's size, then argmax (the research
convention).  ``"map"``: the class map that a deployed file emits, brought to the label's size."""


@dataclass(frozen=True)
class Subject:
    """What was scored.

    Attributes:
        model: name of the network, or of a baseline.
        engine: what ran it: ``"torch"``, ``"openvino"``, ``"onnxruntime"``.
        precision: ``"fp32"``, ``"bf16"`` or ``"int8"``.
        size: WIDTHxHEIGHT of the frames that the network saw.
        resize: how its output came to the label's size.
        checkpoint: SHA-256 of the file with the weights.
        selected_on: the split that chose this epoch of these weights.
        details: anything else worth keeping, JSON-ready, such as the options of the network.
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
    """Score of a baseline that needs no network, learned from the labels of one split.

    Attributes:
        name: such as ``"majority class"``.
        metrics: its scores on the evaluated split.
        learned_from: the split whose labels it was read off.
    """

    name: str
    metrics: Metrics
    learned_from: str


@dataclass(frozen=True)
class Report:
    """Scores of one model on one split, with everything that they rest on.

    Attributes:
        protocol: such as ``"camvid11"``; a score without it is not a score.
        split: the split that was scored.
        images: number of frames.
        labels: classes and colours.
        subject: what was scored.
        matrix: the counts behind every score.
        metrics: the scores.
        baselines: rows of no network, for comparison.
        notes: sentences that a reader of the scores must know, such as absent classes.
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
        """Names of the classes without a labelled pixel; no mean counts them."""
        return tuple(name for name, pixels in zip(self.labels.names, self.metrics.pixels, strict=True) if pixels == 0)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form, what ``aaff evaluate --json`` writes."""
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

    Several processes share a split by their ``indices`` and merge their matrices: no frame is counted
    twice to fill up a shard, which would bias the score.

    Args:
        predict: frame to class map of the frame's size.
        dataset: frames with their labels.
        indices: frames to count, in this order; all when left out.
        progress: told after every frame.

    Raises:
        DataError: an unreadable frame, or a class map of another size or with an impossible id.
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
        DataError: see ``count``; or the split has no frame or no labelled pixel.
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
    """The report of a matrix that was counted over all frames of ``dataset``, in one piece or in shards."""
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
