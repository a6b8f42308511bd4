"""An experiment of two small networks that trains in seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from aaff.cli import main
from aaff.preprocess import Size
from aaff.training.recipe import Recipe
from experiments.paper.experiment import Experiment
from experiments.paper.plan import Settings
from experiments.runner.measure import main as measure_main
from experiments.runner.planned import PlannedRun
from experiments.runner.work import Workshop

TINY = Recipe(
    options=("width=0.25",),
    epochs=2,
    batch=4,
    eval_every=1,
    render_every=0,
    optim=replace(Recipe().optim, warmup=0),
    augment=replace(Recipe().augment, crop=Size(64, 48)),
)
"""Of all runs."""

NAMES = ("seeds/depthwise_bisenet-seed0", "seeds/bisenet-seed0")
"""The runs, in their order."""


def experiment(data: Path, out: Path, *, recipe: Recipe = TINY, archive: Path | None = None, **more: Any) -> Experiment:
    """The experiment in a folder; ``more`` goes to ``Settings``."""
    chosen = {"seeds": (0,), "networks": ("bisenet", "depthwise_bisenet"), "control_seeds": ()} | more
    return Experiment(data, out, Settings({"seeds": recipe}, **chosen), archive=archive, say=lambda line: None)


def do_next(shop: Workshop, run: PlannedRun) -> int:
    """What the workshop would do next for a run, in this process, since starting torch takes longer than it."""
    command = shop.command(run)
    assert command is not None
    return main(command[3:]) if command[2] == "aaff" else measure_main(command[3:])


def last_value(command: list[str] | None, option: str) -> str:
    """What a command gives for an option; the last one counts."""
    assert command is not None
    return command[len(command) - command[::-1].index(option)]
