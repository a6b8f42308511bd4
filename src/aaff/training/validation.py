"""Validation during training: scores after an epoch, and a picture of a few predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aaff.card import ModelCard
from aaff.data.sample import Dataset
from aaff.evaluation.confusion import ConfusionMatrix
from aaff.evaluation.evaluate import Report, Subject, report
from aaff.networks import create_model
from aaff.networks.engine import TorchEngine
from aaff.networks.weights import TRAINING_OPTIONS, load_state
from aaff.training.distributed import Group
from aaff.training.engine import TrainingEngine
from aaff.training.figures import draw_frames

FRAMES = 4
"""How many frames are rendered; they are evenly spaced in the split and the same in every epoch."""


class Validation:
    """Scores weights by the research convention: native logits resized to the label's size, then argmax.

    Several processes share the frames without padding the last shard, so the score equals that of one process exactly.

    Args:
        dataset: the split.
        card: network, classes, size and normalisation.
        engine: device and precision.
        group: the processes that share the frames.
    """

    def __init__(self, dataset: Dataset, card: ModelCard, engine: TrainingEngine, group: Group) -> None:
        self.dataset, self.group = dataset, group
        options = {name: value for name, value in card.options.items() if name not in TRAINING_OPTIONS}
        net = engine.prepare(create_model(card.network, card.labels.num_classes, **options))
        self.engine = TorchEngine(net, card, precision=engine.precision, confidence=False)

    def score(
        self,
        weights: Mapping[str, Tensor],
        *,
        progress: Callable[[int, int], None] = lambda done, total: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Report | None:
        """The report of these weights over the whole split, on every process.

        Args:
            weights: ``state_dict`` of the network; auxiliary heads are left out.
            progress: called after each frame with the number of frames done by this process and their total.
            stop: called before each frame; once it returns True, scoring ends and None is returned.  Several processes
                always finish the split, since they wait for each other's counts.
        """
        load_state(self.engine.net, weights, "the run")
        share = range(self.group.rank, len(self.dataset), self.group.world)
        own = ConfusionMatrix(self.engine.card.labels.num_classes)
        for done, index in enumerate(share, 1):
            if self.group.world == 1 and stop():
                return None
            sample = self.dataset[index]
            own.update(sample.label, self.engine.segment(sample.image), f"frame {sample.name}")
            progress(done, len(share))
        counts = self.group.sum(torch.from_numpy(own.counts)).numpy()
        card = self.engine.card
        split = self.dataset.split
        subject = Subject(card.network, "torch", self.engine.precision, str(card.size), "logits", selected_on=split)
        return report(ConfusionMatrix(card.labels.num_classes, counts), self.dataset, subject)

    def draw(self, path: Path, weights: Mapping[str, Tensor]) -> None:
        """Draw the fixed frames, their ground truth and the predictions of these weights."""
        load_state(self.engine.net, weights, "the run")
        chosen = sorted({round(i) for i in np.linspace(0, len(self.dataset) - 1, FRAMES)})
        samples = [self.dataset[index] for index in chosen]
        rows = [(sample.image, sample.label, self.engine.segment(sample.image)) for sample in samples]
        draw_frames(path, rows, self.dataset.labels)
