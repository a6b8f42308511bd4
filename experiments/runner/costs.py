"""Parameters and multiply-accumulates of the experiment's networks, counted once and kept."""

from __future__ import annotations

import json
from pathlib import Path

from aaff.card import ModelCard
from aaff.files import read_json, write_json
from aaff.networks import model_info
from aaff.networks.complexity import count
from aaff.networks.weights import read_checkpoint
from aaff.preprocess import Size
from aaff.training.recipe import Recipe


class Costs:
    """Cost of networks, kept in a file, since counting takes a second each.

    Args:
        num_classes: outputs of the networks.
        path: where counts are kept; None keeps them in memory.
    """

    def __init__(self, num_classes: int, path: Path | None = None) -> None:
        self.num_classes, self.path = num_classes, path
        self._known: dict[str, dict[str, int]] = read_json(path) if path is not None and path.is_file() else {}

    def count(self, model: str, options: tuple[str, ...], size: Size) -> dict[str, int]:
        """``parameters`` and ``macs`` of a network for one frame of ``size``."""
        chosen = {
            k: v for k, v in Recipe(options=options).network_options().items() if k not in ("auxiliary", "pretrained")
        }
        complete = {**model_info(model).options, **chosen}  # defaults may change
        key = json.dumps([model, complete, self.num_classes, str(size)], sort_keys=True, default=str)
        if key not in self._known:
            found = count(model, self.num_classes, size, **chosen)
            self._known[key] = {"parameters": found.parameters, "macs": found.macs}
            if self.path is not None:
                write_json(self.path, self._known)
        return self._known[key]

    def macs(self, model: str, options: tuple[str, ...], size: Size) -> int:
        """Multiply-accumulates alone, as ``experiments.paper.plan.Macs`` wants them."""
        return self.count(model, options, size)["macs"]

    def of(self, recipe: Recipe) -> dict[str, int]:
        """Cost of the network of a recipe at the size of its views."""
        return self.count(recipe.model, recipe.options, recipe.augment.crop)

    @staticmethod
    def card(checkpoint: Path) -> ModelCard:
        """The card of a checkpoint."""
        card: ModelCard = read_checkpoint(checkpoint)[1]
        return card
