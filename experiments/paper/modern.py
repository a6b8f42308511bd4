"""A modern network: AAFF blocks on a pretrained backbone, against none (group ``modern``), and its choices one by one
(group ``modern-ablation``).

Both by one recipe, from ImageNet weights, on CamVid alone, scored on val of CamVid and of the street photos; group
``modern-drives`` scores the same networks on drives that they were not trained on.  Runs by an earlier recipe are kept
as ``SHORT``.  Latency does not depend on the weights and is measured once, by
``experiments.paper.modern_latency``.
"""

from __future__ import annotations

from dataclasses import replace

from aaff.training.recipe import Recipe
from experiments.runner.planned import PlannedRun, Scoring, Variant

SHORT = "modern-short"
"""Group of finished runs by an earlier, shorter recipe; no more are planned (``docs/experiment/rule-2.md``)."""

STREETS = "streets"
"""The data set beside CamVid: street photos with merged labels (``python -m scripts.prepare_streets``)."""

STREETS_VAL = f"{STREETS}-val"
"""Name of the scores on the street photos."""

SIX = ("sky", "building", "road", "pavement", "tree", "car")
"""Classes that people labelled on the street photos; the mean over them is what is told."""

MODULE = "experiments.paper.plugin"

AAFF, UNGATED_LITE, PYRAMID = (
    Variant("aaff_lite0", "aaff_lite0"),
    Variant("aaff_lite0-ungated", "aaff_lite0", ("gate=none",)),
    Variant("pyramid_lite0", "pyramid_lite0", (), MODULE),
)
COMPARISON = AAFF, UNGATED_LITE, PYRAMID
"""With AAFF blocks, the same without gates, and a plain feature pyramid of equal operations."""

ABLATION = (
    Variant("two-sides", "two_sides_lite0", (), MODULE),
    Variant("stride-4", "aaff_lite0", ("stride=4",)),
    Variant("stride-8", "aaff_lite0", ("stride=8", "detail=false")),
    Variant("half-width", "aaff_lite0", ("width=0.5",)),
    Variant("wide", "aaff_lite0", ("width=1.5",)),
    Variant("no-detail", "aaff_lite0", ("detail=false",)),
    Variant("no-context", "aaff_lite0", ("context=false",)),
    Variant("no-auxiliary", "aaff_lite0", ("auxiliary=false",)),
    Variant("one-block", "aaff_lite0", ("blocks=1",)),
    Variant("three-blocks", "aaff_lite0", ("blocks=3",)),
    Variant("all-stages", "aaff_lite0", ("stages=7", "blocks=0")),
)
"""One choice each; its other side is aaff_lite0 of group ``modern`` with the same seed.  Whether the gate and the
wiring pay is answered there too."""

CHOICES = {
    "aaff_lite0-ungated": "gates of the AAFF blocks: none (group modern)",
    "pyramid_lite0": "wiring: plain feature pyramid with the same operations (group modern)",
    "two-sides": "sides of AAFF blocks: two",
    "stride-4": "native stride: 4",
    "stride-8": "native stride: 8, without the map at 1/2",
    "half-width": "decoder width: 0.5",
    "wide": "decoder width: 1.5",
    "no-detail": "map at 1/2: none",
    "no-context": "context pooling: none",
    "no-auxiliary": "auxiliary heads: none",
    "one-block": "last stage: cut after 1 block",
    "three-blocks": "last stage: cut after 3 blocks",
    "all-stages": "last stages: not cut",
}
"""What a variant changes in aaff_lite0, whose own choices are: sigmoid, one side, 2, 1, with the map at 1/2, pooled,
two heads, 2 blocks of stage 6."""


def comparison(recipe: Recipe, seeds: tuple[int, ...], protocol: str | None) -> list[PlannedRun]:
    """The three networks, every seed; a seed after the other, since each complete one is a pair."""
    return [_run("modern", variant, recipe, seed, protocol) for seed in seeds for variant in COMPARISON]


def ablation(recipe: Recipe, seed: int, protocol: str | None) -> list[PlannedRun]:
    """One run for each choice."""
    return [_run("modern-ablation", variant, recipe, seed, protocol) for variant in ABLATION]


def _run(group: str, variant: Variant, recipe: Recipe, seed: int, protocol: str | None) -> PlannedRun:
    options = (*recipe.options, *variant.options)
    own = replace(recipe, model=variant.model, options=options, seed=seed, protocol=protocol)
    scorings = Scoring("val", protocol, True), Scoring("val", None, False, source=STREETS)
    return PlannedRun(group, variant, seed, own, scorings)
