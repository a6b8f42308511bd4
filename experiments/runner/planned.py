"""One training of a plan: a network, a recipe, what it is scored on.  Nothing here trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aaff.preprocess import Size
from aaff.training.recipe import Recipe


@dataclass(frozen=True)
class Variant:
    """A network of the experiment.

    Attributes:
        name: unique in its group; the run folder begins with it.
        model: registered network.
        options: its options, as ``NAME=VALUE``.
        module: that registers the network, where the package does not have it.
    """

    name: str
    model: str
    options: tuple[str, ...] = ()
    module: str = ""


@dataclass(frozen=True)
class Scoring:
    """A split that a finished run is scored on.

    Attributes:
        split, protocol: as ``aaff.data.open_dataset`` takes them; None is what the layout implies.
        full: with calibration, borders, sizes and gates; False counts the confusion matrix alone.
        receptive_field: measured too, see ``experiments.runner.receptive_field``.
        source: name of the data set; empty for the first one.
    """

    split: str
    protocol: str | None
    full: bool
    receptive_field: bool = False
    source: str = ""

    @property
    def name(self) -> str:
        """Of its scores, such as ``val`` or ``streets-val``."""
        return f"{self.source}-{self.split}" if self.source else self.split


@dataclass(frozen=True)
class PlannedRun:
    """One training of the plan.

    Attributes:
        group: the folder that it belongs to.
        variant: the network.
        seed: of the recipe.
        fold: the held-out drive, where there is one.
        recipe: the complete recipe.
        scorings: what the finished run is scored on.
    """

    group: str
    variant: Variant
    seed: int
    recipe: Recipe
    scorings: tuple[Scoring, ...]
    fold: str | None = None

    @property
    def name(self) -> str:
        """Folder below that of the experiment, such as ``seeds/bisenet-seed0``."""
        fold = f"-without-{self.fold}" if self.fold else ""
        return f"{self.group}/{self.variant.name}{fold}-seed{self.seed}"

    @property
    def condition(self) -> str:
        """What pairs this run with those of other networks, such as ``seed 0`` or ``drive 0001TP``."""
        return f"drive {self.fold}" if self.fold else f"seed {self.seed}"


Macs = Callable[[str, tuple[str, ...], Size], int]
"""Multiply-accumulates of a network (name, options) for one frame of a size."""


def total_cost(recipe: Recipe, frames: int, macs: Macs, *, epochs: int | None = None) -> float:
    """Multiply-accumulates of the forward passes of a run, by which its time is told.

    Args:
        recipe: of the run.
        frames: frames of its training split.
        macs: cost of a network.
        epochs: count the first so many only; all when left out.
    """
    size = recipe.augment.crop
    whole = macs(recipe.model, recipe.options, size)
    per_epoch = frames // recipe.batch * recipe.batch
    total = 0.0
    for epoch in range(recipe.epochs if epochs is None else epochs):
        crop = recipe.augment.crop_at(epoch, recipe.epochs)
        total += per_epoch * whole * (crop.width * crop.height) / (size.width * size.height)
    return total


def run_folder(out: Path, run: PlannedRun) -> Path:
    """Where a run of the experiment in ``out`` lies."""
    return out / run.name
