"""The chapter about a modern network says what its runs show, and what has not run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from experiments.paper.blocks import Folded, Table
from experiments.paper.chapters.lite import chapter
from experiments.paper.modern import CHOICES, COMPARISON, SIX, STREETS_VAL
from experiments.paper.results import Results
from experiments.runner.results import RunResult


def run(name: str, seed: int, miou: float, group: str = "modern", fold: str | None = None) -> RunResult:
    scores = {
        "val": {"miou": miou, "pixel_accuracy": 0.9},
        STREETS_VAL: {"per_class": {label: {"iou": 0.5} for label in SIX}},
    }
    if fold:
        scores = {f"drive-{fold}": {"miou": miou}}
    return RunResult(
        *(group, name, name, seed, fold, f"seed {seed}", [], 2_000_000, 10**9, "480x360", []),
        scores=scores,
        recipe={},
        data="",
        seconds=1.0,
        checkpoint="",
        provenance={},
    )


def results(seeds: dict[str, int], gain: float = 0.0) -> Results:
    """A plan of three seeds, of which each network has so many; AAFF blocks gain something over the others."""
    planned: list[dict[str, Any]] = [
        {"group": "modern", "name": v.name, "condition": f"seed {seed}", "seed": seed, "stage": "waiting"}
        for seed in range(3)
        for v in COMPARISON
    ]
    planned.append({"group": "modern-ablation", "name": "stride-8", "condition": "seed 0", "seed": 0})
    runs = [
        run(name, seed, 0.7 + 0.001 * seed + gain * (name == "aaff_lite0"))
        for name, count in seeds.items()
        for seed in range(count)
    ]
    rows = [{"variant": "aaff_lite0", "median_ms": 20.0, "q1_ms": 19.0, "q3_ms": 22.0}]
    return Results({"runs": planned}, runs, lite_latency={"rows": rows})


def tables(found: Results) -> list[Table]:
    return [block for block in chapter(found) if isinstance(block, Table)]


def test_nothing_is_said_without_a_plan() -> None:
    assert chapter(Results({"runs": []}, [])) == []


def test_drives_stand_beside_those_of_the_papers_network() -> None:
    found = results({"aaff_lite0": 1})
    more = [
        run("aaff_lite0", 0, 0.5, "modern-drives", "0006R0"),
        run("aaff_lite0", 0, 0.3, "modern-drives", "0016E5"),
    ]
    more.append(run("depthwise_aaff", 0, 0.25, "drives", "0006R0"))
    drives = next(
        table for table in tables(replace(found, runs=[*found.runs, *more])) if table.columns[0] == "held-out drive"
    )
    assert drives.rows == (("0006R0", "25.0", "50.0"), ("0016E5", "not run yet", "30.0"), ("mean", "25.0", "40.0"))


def test_choices_are_scored_on_a_drive_that_they_were_not_trained_on() -> None:
    found = results({"aaff_lite0": 1})
    wide = {"group": "modern-drives", "name": "wide", "condition": "drive 0016E5", "seed": 0}
    more = [
        run("aaff_lite0", 0, 0.5, "modern-drives", "0006R0"),
        run("aaff_lite0", 0, 0.3, "modern-drives", "0016E5"),
        run("wide", 0, 0.4, "modern-drives", "0016E5"),
    ]
    plan = {"runs": [*found.plan["runs"], wide]}
    choices = tables(replace(found, plan=plan, runs=[*found.runs, *more]))[-1]
    shown = {row[0]: row[choices.columns.index("unseen drive")] for row in choices.rows}
    assert (shown["aaff_lite0, unchanged"], shown[CHOICES["wide"]], shown[CHOICES["two-sides"]]) == ("30.0", "40.0", "")


def test_a_verdict_waits_for_all_seeds() -> None:
    comparisons, networks, choices = tables(results({"aaff_lite0": 2}))
    assert {row[1] for row in comparisons.rows} == {"**open**"}
    assert networks.rows[0][1:4] == ("2", "70.0", "50.0")
    assert networks.rows[0][-1].startswith("20.0")
    assert networks.rows[1][2] == "not run yet"
    assert choices.rows[0][1] == "70.0"
    assert all(row[1] == "not run yet" for row in choices.rows[1:])


def test_runs_with_the_first_recipe_are_shown_and_enter_no_verdict() -> None:
    short = run("aaff_lite0", 0, 0.4, "modern-short")
    short.scores["val"]["per_class"] = {"bicyclist": {"iou": 0.0}}
    found = replace(results({}), runs=[short])
    (folded,) = [block for block in chapter(found) if isinstance(block, Folded)]
    shown = folded.blocks[-1]
    assert isinstance(shown, Table)
    assert shown.rows == (("aaff_lite0, unchanged", "40.0", "0.0", "90.0", "50.0"),)
    assert {row[1] for row in tables(found)[0].rows} == {"**open**"}


def test_equal_networks_are_equivalent_since_no_pair_was_known_before_the_margin() -> None:
    everyone = dict.fromkeys((v.name for v in COMPARISON), 3)
    assert {row[1] for row in tables(results(everyone))[0].rows} == {"**equivalent**"}
    assert {row[1] for row in tables(results(everyone, gain=0.02))[0].rows} == {"**higher**"}
