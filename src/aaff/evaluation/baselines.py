"""Baselines that ignore the image, which put the scores of a network into perspective.

On CamVid, predicting the most frequent training class at each pixel position already gets six of ten pixels right; a
pixel accuracy is only meaningful in comparison with that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aaff.data.sample import Dataset
from aaff.errors import DataError
from aaff.evaluation.confusion import ConfusionMatrix
from aaff.evaluation.evaluate import Baseline
from aaff.labels import UInt8Array
from aaff.preprocess import Size, resize_label


@dataclass(frozen=True)
class Priors:
    """Class priors: two predictions that need no network.

    Attributes:
        majority: id of the class with the most pixels in the training labels.
        position: uint8 [H, W], the most frequent training class at each position, at the size of the first training
            label; positions never labelled in training have the majority class.
        learned_from: the split that the labels came from.
    """

    majority: int
    position: UInt8Array
    learned_from: str

    def majority_map(self, size: Size) -> UInt8Array:
        """Class map filled with the majority class."""
        return np.full((size.height, size.width), self.majority, np.uint8)

    def position_map(self, size: Size) -> UInt8Array:
        """Class map of the position prior, resized to ``size`` by nearest neighbour."""
        return resize_label(self.position, size)


def training_split(split: str) -> str:
    """The training split of a model that is scored on ``split``.

    >>> training_split("val"), training_split("drive-0001TP")
    ('train', 'train-without-0001TP')
    """
    return split.replace("drive-", "train-without-", 1) if split.startswith("drive-") else "train"


def learn_priors(train: Dataset) -> Priors:
    """Learn the priors from the training labels.

    Labels are resized to the size of the first one by nearest neighbour.  Ties go to the lower id.

    Raises:
        DataError: the split is empty, a label is unreadable, or none has a labelled pixel.
    """
    counts = None
    classes = train.labels.num_classes
    size = Size(0, 0)
    for label in map(train.label, range(len(train))):
        if counts is None:
            size = Size.of(label)
            counts = np.zeros((classes, size.height, size.width), np.uint16 if len(train) < 1 << 16 else np.uint32)
        label = resize_label(label, size)
        for index in range(classes):
            counts[index] += label == index
    if counts is None or not counts.any():
        raise DataError(f"split {train.split!r} of {train.root} has no labelled pixel to learn the baselines from")
    majority = int(counts.sum(axis=(1, 2), dtype=np.int64).argmax())
    position = counts.argmax(axis=0).astype(np.uint8)
    position[counts.max(axis=0) == 0] = majority
    return Priors(majority, position, train.split)


def score_baselines(priors: Priors, dataset: Dataset) -> tuple[Baseline, Baseline]:
    """Score both priors on a split; reads only its labels.

    Raises:
        DataError: a label is unreadable, an id is out of range, or there is no labelled pixel.
    """
    by_class = ConfusionMatrix(dataset.labels.num_classes)
    by_position = ConfusionMatrix(dataset.labels.num_classes)
    for index, pair in enumerate(dataset.pairs):
        label = dataset.label(index)
        size = Size.of(label)
        by_class.update(label, priors.majority_map(size), f"label {pair.label}")
        by_position.update(label, priors.position_map(size), f"label {pair.label}")
    return (
        Baseline("majority class", by_class.metrics(), priors.learned_from),
        Baseline("position prior", by_position.metrics(), priors.learned_from),
    )
