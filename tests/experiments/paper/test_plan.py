"""The plan holds every run that the issue asks for, once, under equal conditions, in an order that answers early."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aaff.errors import OptionError, UnknownNameError
from aaff.networks import model_info
from aaff.networks.complexity import count
from aaff.plugins import import_module
from aaff.preprocess import Size
from aaff.training.recipe import Recipe
from experiments.paper.analysis import TITLES
from experiments.paper.groups import GROUPS, HOLDING_OUT
from experiments.paper.modern import CHOICES, MODULE
from experiments.paper.plan import (
    PAIR,
    PAPER_ORDER,
    UNGATED,
    WIDENED,
    Settings,
    chosen_folds,
    equal_width,
    make_plan,
    resized,
)
from experiments.runner.costs import Costs
from experiments.runner.planned import PlannedRun, total_cost

DRIVES = ("0001TP", "0006R0", "0016E5")
RECIPES = {group: Recipe(epochs=epochs) for group, epochs in zip(GROUPS, (60, 15, 24, 8, 3, 3, 15), strict=True)}
SETTINGS = Settings(RECIPES, folds=DRIVES)


def macs(model: str, options: tuple[str, ...], size: Size) -> int:
    """Costs in the ratio of the real ones, without building a network."""
    width = next((float(o.removeprefix("width=")) for o in options if o.startswith("width=")), 1.0)
    base = {"bisenet": 565, "depthwise_bisenet": 288, "depthwise_aaff": 410, "depthwise_aaff2": 412}[model]
    return round(base * width * size.width * size.height)


@pytest.fixture(scope="module")
def plan() -> list[PlannedRun]:
    return make_plan(SETTINGS, macs)


def test_all_runs_of_the_experiment_are_there_once(plan: list[PlannedRun]) -> None:
    assert (
        len({run.name for run in plan})
        == len(plan)
        == (4 * 3 + 1 + 2 * 3) + 6 * 3 + 4 * 3 * 3 + 4 * 2 + 2 + 3 * 3 + 11 + (3 + 13)
    )
    for group in ("seeds", "drives"):
        assert {run.variant.name for run in plan if run.group == group} == {*PAPER_ORDER, UNGATED, WIDENED}
    assert {run.variant.name for run in plan if run.group == "long-drives"} == {*PAIR, UNGATED, WIDENED}
    gates = {run.variant.options for run in plan if run.group == "ablation"}
    assert ("gate=none", "fusion=add") in gates
    assert ("sides=1",) in gates
    assert ("spatial=false",) in gates


def test_runs_of_a_group_differ_in_network_and_seed_alone(plan: list[PlannedRun]) -> None:
    for group in GROUPS:
        bare = {
            replace(run.recipe, model="", options=(), seed=0, train_split="").to_dict().__repr__()
            for run in plan
            if run.group == group
        }
        assert len(bare) == 1


def test_a_control_has_its_partner_at_every_seed(plan: list[PlannedRun]) -> None:
    seeds = {name: {r.seed for r in plan if r.group == "seeds" and r.variant.name == name} for name in TITLES}
    for control in (UNGATED, WIDENED):
        assert len(seeds[control]) == 3
        assert seeds[control] <= seeds["depthwise_aaff"]


def test_a_complete_seed_of_the_modern_comparison_is_a_pair(plan: list[PlannedRun]) -> None:
    modern = [run for run in plan if run.group == "modern"]
    assert [run.seed for run in modern] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert {scoring.name for scoring in modern[0].scorings} == {"val", "streets-val"}


def test_the_plain_pyramid_costs_what_the_aaff_blocks_cost() -> None:
    costs, size = Costs(11), Size(480, 360)
    import_module(MODULE)
    aaff, pyramid = (costs.macs(name, (), size) for name in ("aaff_lite0", "pyramid_lite0"))
    assert pyramid == pytest.approx(aaff, rel=0.01)
    assert costs.macs("two_sides_lite0", (), size) > aaff


def test_a_kept_cost_is_counted_again_when_a_default_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known, size = model_info("depthwise_bisenet"), Size(64, 48)
    before = Costs(11, tmp_path / "costs.json").macs("depthwise_bisenet", (), size)

    def wider(num_classes: int, **options: Any) -> Any:
        return known.factory(num_classes, **{"width": 2.0, **options})

    changed = replace(known, options={**known.options, "width": 2.0}, factory=wider)
    monkeypatch.setattr("experiments.runner.costs.model_info", lambda name: changed)
    monkeypatch.setattr("aaff.networks.registry.model_info", lambda name: changed)
    count.cache_clear()  # as in a new process
    assert Costs(11, tmp_path / "costs.json").macs("depthwise_bisenet", (), size) > before
    count.cache_clear()


def test_the_first_seed_of_all_four_networks_comes_first(plan: list[PlannedRun]) -> None:
    assert {run.name for run in plan[:4]} == {f"seeds/{name}-seed0" for name in PAPER_ORDER}
    assert plan[4].group == "drives"
    reordered = make_plan(SETTINGS, macs, order=["ablation"])
    assert reordered[4].group == "ablation"
    assert {run.name for run in reordered} == {run.name for run in plan}


def test_a_drive_is_scored_by_networks_that_never_saw_it(plan: list[PlannedRun]) -> None:
    for run in plan:
        if run.group in HOLDING_OUT:
            assert run.recipe.train_split == f"train-without-{run.fold}"
            assert f"drive-{run.fold}" in {scoring.split for scoring in run.scorings if scoring.full}
            assert run.recipe.protocol == "camvid11-drives"


def test_every_choice_of_the_modern_network_is_tried_with_one_drive_held_out(plan: list[PlannedRun]) -> None:
    held_out = [run for run in plan if run.group == "modern-drives"]
    folds = {run.variant.name: [r.fold for r in held_out if r.variant == run.variant] for run in held_out}
    assert len(folds.pop("aaff_lite0")) == len(SETTINGS.folds)
    assert folds.keys() == CHOICES.keys()
    assert list(folds.values()) == [[SETTINGS.folds[0]]] * len(folds)


def test_test_is_scored_only_when_asked_for(plan: list[PlannedRun]) -> None:
    def splits(runs: list[PlannedRun]) -> set[str]:
        return {scoring.split for run in runs for scoring in run.scorings}

    assert "test" not in splits(plan)
    assert "test" in splits(make_plan(replace(SETTINGS, test=True), macs))


def test_the_widened_control_costs_what_the_block_costs() -> None:
    costs, recipe = Costs(11), Recipe()
    recipe = replace(recipe, augment=replace(recipe.augment, crop=Size(480, 360)))
    width = equal_width(recipe, costs.macs)
    assert width == 1.418
    own = costs.macs("depthwise_bisenet", (f"width={width}",), Size(480, 360))
    assert own == pytest.approx(costs.macs("depthwise_aaff", (), Size(480, 360)), rel=1e-3)


def test_the_width_is_found_where_it_is_far_from_the_known_one() -> None:
    def wider(model: str, options: tuple[str, ...], size: Size) -> int:
        return 2 * macs(model, options, size) if model == "depthwise_aaff" else macs(model, options, size)

    assert equal_width(Recipe(), wider) == pytest.approx(2 * 410 / 288, abs=0.001)


def test_time_grows_with_epochs_and_falls_with_small_views() -> None:
    recipe = replace(Recipe(epochs=10), augment=replace(Recipe().augment, crop=Size(480, 360)))
    small = replace(recipe, augment=replace(recipe.augment, early_crop=Size(240, 180), early_share=0.5))
    whole = total_cost(recipe, 367, macs)
    assert total_cost(recipe, 367, macs, epochs=5) == pytest.approx(whole / 2)
    assert total_cost(small, 367, macs) == pytest.approx(whole * (0.5 + 0.5 / 4))


def test_another_size_keeps_the_share_of_the_early_views() -> None:
    recipe = Recipe()
    recipe = replace(
        recipe, augment=replace(recipe.augment, crop=Size(480, 360), early_crop=Size(240, 176), early_share=0.5)
    )
    wide = resized(recipe, Size(800, 640)).augment
    assert wide.crop == Size(800, 640)
    assert wide.early_crop == Size(400, 312)
    assert resized(recipe, None) == recipe


def test_what_cannot_be_planned_is_named() -> None:
    with pytest.raises(UnknownNameError, match="depthwise_aaff"):
        Settings(RECIPES, networks=("depthwise_aff",))
    with pytest.raises(OptionError, match="seeds"):
        Settings(RECIPES, seeds=(1, 1))
    with pytest.raises(UnknownNameError, match="drive"):
        chosen_folds(["drive-a", "train-without-a"], ["b"])
    with pytest.raises(UnknownNameError, match="group"):
        make_plan(SETTINGS, macs, order=["seed"])
