"""Which networks are trained, in which order, at which width.

Order: what decides the sentences of the paper's section II first, then further seeds for the noise, then the later
networks.  A network whose step costs more than ``LIMIT`` steps of depthwise_aaff is made narrower until it does not
(``experiments.section2.steps``, which writes ``results/section2/step_costs.json``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from aaff.errors import OptionError
from aaff.files import read_json
from aaff.training.recipe import Recipe
from experiments.runner.planned import PlannedRun, Scoring, Variant
from experiments.section2.drive_out import HELD_OUT, TRAIN

MODULE = "experiments.section2.plugin"

LIMIT = 3.0
"""Steps of depthwise_aaff that a step of any network may cost."""

REFERENCE = "depthwise_aaff"

SECTION_2 = ("enet", "unet", "segnet", "icnet", "bisenet", "depthwise_bisenet", "depthwise_aaff2", "fcn8s")
LATER = (
    "fcn32s",
    "ddrnet23_slim",
    "bisenetv2",
    "stdc1",
    "pp_liteseg_t",
    "pidnet_s",
    "bisenet_r18",
    "stdc2",
    "aaff_lite0",
)
NETWORKS = (REFERENCE, *SECTION_2, *LATER)

NOISE = (REFERENCE, "enet")
"""Networks that are trained with ``NOISE_SEEDS`` too: what the seed alone changes."""

NOISE_SEEDS = (1, 2)

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "fcn8s": ("batch_norm=true",),
    "fcn32s": ("batch_norm=true",),
    "unet": ("batch_norm=true",),
}
"""What these networks need from scratch; their papers start from ImageNet weights or train for days."""


def options(name: str, costs: Mapping[str, Any]) -> tuple[str, ...]:
    """Options of a network in this experiment.

    Raises:
        OptionError: its step has not been measured.
    """
    found = costs["networks"].get(name)
    if found is None:
        raise OptionError(
            f"the step of {name} has not been measured; do it with: python -m experiments.section2.steps {name}"
        )
    width = found["width"]
    return OPTIONS.get(name, ()) + ((f"width={width}",) if width != 1 else ())


def make_plan(recipe: Recipe, costs: Mapping[str, Any]) -> list[PlannedRun]:
    """All runs in their order.

    Args:
        recipe: of all runs.
        costs: what ``experiments.section2.steps`` wrote.

    Raises:
        OptionError: the step of a network has not been measured.
    """
    order = [(name, 0) for name in (REFERENCE, *SECTION_2)]
    order += [(name, seed) for seed in NOISE_SEEDS for name in NOISE]
    order += [(name, 0) for name in LATER]
    scorings = Scoring("val", recipe.protocol, True, receptive_field=True), Scoring(HELD_OUT, recipe.protocol, True)
    runs = []
    for name, seed in order:
        variant = Variant(name, name, options(name, costs), MODULE)
        own = replace(recipe, model=name, options=variant.options, seed=seed, train_split=TRAIN)
        runs.append(PlannedRun("networks", variant, seed, own, scorings))
    return runs


def read_costs(folder: Path) -> dict[str, Any]:
    """The measured step costs below a folder of results.

    Raises:
        OptionError: there are none.
    """
    path = folder / "step_costs.json"
    if not path.is_file():
        raise OptionError(f"there is no {path}; measure it with: python -m experiments.section2.steps")
    costs: dict[str, Any] = read_json(path)
    return costs
