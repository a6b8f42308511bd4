"""Knowledge distillation: the teacher, a trained network whose predictions another network learns to match."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from aaff.card import ModelCard
from aaff.errors import ModelError
from aaff.labels import LabelMap
from aaff.networks import create_model
from aaff.networks.weights import TRAINING_OPTIONS, load_state, read_checkpoint
from aaff.training.engine import TrainingEngine
from aaff.training.warm_start import find_checkpoint


@dataclass(frozen=True)
class TeacherFile:
    """The checkpoint of a teacher, read before any data.

    Attributes:
        path: the checkpoint.
        state: its weights.
        card: its description.
    """

    path: Path
    state: Mapping[str, Tensor]
    card: ModelCard

    @classmethod
    def read(cls, name: str) -> TeacherFile:
        """Read a checkpoint by path or name, see ``find_checkpoint``.

        Raises:
            ModelError: there is no such checkpoint, or it cannot be read.
        """
        path = find_checkpoint(name)
        return cls(path, *read_checkpoint(path))

    def check_classes(self, labels: LabelMap) -> None:
        """Check that the teacher has the classes of the data.

        Raises:
            ModelError: the classes differ from those of ``labels``.
        """
        theirs = self.card.labels.names
        if theirs != labels.names:
            raise ModelError(
                f"the teacher {self.path} has {len(theirs)} classes ({', '.join(theirs[:4])}, …), but the data has "
                f"{len(labels.names)} ({', '.join(labels.names[:4])}, …); a teacher needs the same classes in the same "
                "order"
            )

    def network(self, engine: TrainingEngine) -> Teacher:
        """The teacher, ready on the engine's device."""
        options = {name: value for name, value in self.card.options.items() if name not in TRAINING_OPTIONS}
        net = create_model(self.card.network, self.card.labels.num_classes, **options)
        load_state(net, self.state, str(self.path))
        return Teacher(engine.prepare(net.eval().requires_grad_(False)), self.card, engine)


class Teacher:
    """Computes the teacher's native logits of frames, without gradient.

    Args:
        net: in evaluation mode.
        card: how its input is normalised.
        engine: device and precision.
    """

    def __init__(self, net: torch.nn.Module, card: ModelCard, engine: TrainingEngine) -> None:
        self.net, self.normalization, self.engine = net, card.normalization, engine

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Native logits [n, C, h, w] of uint8 frames [n, H, W, 3]."""
        with self.engine.autocast():
            logits: Tensor = self.net.logits(self.engine.normalize(images, self.normalization))  # type: ignore[operator]
        return logits
