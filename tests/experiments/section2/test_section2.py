"""Section II: one drive is kept out of training, and verdicts follow the rule and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aaff.data import open_dataset
from aaff.data.layouts import write_dataset
from aaff.data.sample import Sample
from aaff.errors import OptionError
from aaff.files import write_json
from aaff.labels import CAMVID11
from aaff.networks import create_model
from aaff.plugins import import_module
from aaff.preprocess import Normalization
from experiments.runner.command import full_recipe
from experiments.runner.receptive_field import gradient, windows
from experiments.runner.results import RunResult
from experiments.section2.__main__ import RECIPE, main
from experiments.section2.claims import Claim, Evidence, judge
from experiments.section2.drive_out import HELD_OUT, TRAIN, DriveOut
from experiments.section2.plan import MODULE, NETWORKS, NOISE, make_plan

COSTS: dict[str, Any] = {
    "networks": {name: {"width": 0.25 if name == "unet" else 1.0, "ratio": 1.0} for name in NETWORKS}
}


def score(right: float, edge: float, field: float) -> dict[str, Any]:
    """Scores with a pixel accuracy inside regions, one at edges, and a receptive field."""
    bands = [[[round(1000 * p), 1000 - round(1000 * p)], [0, 0]] for p in [edge] * 3 + [right] * 4]
    return {
        "miou": right,
        "pixel_accuracy": right,
        "per_class": {"pole": {"iou": edge}},
        "borders": {"widths": [1, 2, 4, 8, 16, 32], "counts": bands},
        "receptive_field": {"window95": field, "reach": 1.0},
    }


def result(name: str, seed: int, right: float, edge: float = 0.5, field: float = 0.9) -> RunResult:
    found = score(right, edge, field)
    return RunResult(
        *("networks", name, name, seed, None, f"seed {seed}", [], 1, 1, "320x240", []),
        scores={"val": found, HELD_OUT: found},
        recipe={},
        data="",
        seconds=1.0,
        checkpoint="",
        provenance={},
    )


def finished(**accuracies: float) -> list[RunResult]:
    """The noise runs, which differ by 0.1 points, and further networks with their accuracies."""
    runs = [result(name, seed, 0.6 + 0.001 * seed) for name in NOISE for seed in range(3)]
    return [*runs, *(result(name, 0, right) for name, right in accuracies.items())]


def claim(evidence: Evidence, said: str) -> Claim:
    return next(c for c in judge(evidence) if said in c.said)


def test_the_plan_decides_the_papers_sentences_first() -> None:
    runs = make_plan(full_recipe(str(RECIPE)), COSTS)
    assert {run.variant.name for run in runs} == set(NETWORKS)
    assert len({run.name for run in runs}) == len(runs) == len(NETWORKS) + 4
    assert {run.variant.name for run in runs[:9]} >= {"depthwise_aaff", "enet", "unet", "segnet", "icnet", "fcn8s"}
    bare = {repr(replace(run.recipe, model="", options=(), seed=0).to_dict()) for run in runs}
    assert len(bare) == 1  # one recipe for all
    unet = next(run for run in runs if run.variant.name == "unet")
    assert unet.recipe.options == ("batch_norm=true", "width=0.25")
    with pytest.raises(OptionError, match="enet"):
        make_plan(full_recipe(str(RECIPE)), {"networks": {"depthwise_aaff": {"width": 1.0}}})


def test_a_drive_is_kept_out_of_training_and_val_stays(tmp_path: Path) -> None:
    def sample(name: str) -> Sample:
        return Sample(name, np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8))

    write_dataset("segnet", tmp_path, "train", [sample(n) for n in ("0006R0_1", "0016E5_1", "0016E5_2")], CAMVID11)
    write_dataset("segnet", tmp_path, "val", [sample("0016E5_3")], CAMVID11)

    import_module(MODULE)

    def names(split: str) -> list[str]:
        return [pair.name for pair in open_dataset(tmp_path, split, layout=DriveOut.name).pairs]

    assert (names(TRAIN), names(HELD_OUT), names("val")) == (["0016E5_1", "0016E5_2"], ["0006R0_1"], ["0016E5_3"])
    assert open_dataset(tmp_path, TRAIN, layout=DriveOut.name).protocol == "camvid11"


def test_verdicts_follow_the_noise() -> None:
    more = finished(unet=0.65, segnet=0.60, icnet=0.599, bisenet=0.6)
    evidence = Evidence(more)
    assert claim(evidence, "more accurate").verdict == "confirmed"
    assert claim(Evidence(finished(unet=0.60, segnet=0.65)), "more accurate").verdict == "refuted"
    assert claim(evidence, "with it accuracy").verdict == "undecided"
    assert claim(evidence, "ICNet loses").verdict == "undecided"
    assert claim(evidence, "SegNet breaks").verdict == "refuted"  # its accuracy falls less towards the edges
    assert claim(evidence, "receptive field").verdict == "refuted"  # the fields are equal
    small = [result(r.name, r.seed, r.scores["val"]["miou"]) for r in more]
    for run in small:
        if run.name == "enet":
            run.scores["val"]["receptive_field"]["window95"] = 0.4
    wide = [*(r for r in small if r.name != "bisenet"), result("bisenet", 0, 0.7)]
    assert claim(Evidence(wide), "receptive field").verdict == "confirmed"


def test_nothing_is_decided_before_its_runs_and_its_noise() -> None:
    assert {c.verdict for c in judge(Evidence([]))} == {"not run yet"}
    only = [result(name, 0, 0.6) for name in ("unet", "segnet", "enet", "depthwise_aaff")]
    assert claim(Evidence(only), "more accurate").verdict == "not run yet"


def test_real_time_is_judged_against_the_papers_networks_in_the_same_benchmark() -> None:
    slow = {"fcn8s": 300.0, "fcn32s": 290.0, "unet": 500.0, "segnet": 400.0, "depthwise_aaff": 30.0}
    assert claim(Evidence([], slow), "too large").verdict == "confirmed"
    assert claim(Evidence([], {**slow, "depthwise_aaff": 40.0}), "too large").verdict == "undecided"
    assert claim(Evidence([], {**slow, "fcn8s": 20.0}), "too large").verdict == "refuted"
    assert claim(Evidence([], slow), "number of parameters").verdict == "refuted"  # fewer parameters, yet slower


def test_the_page_names_what_has_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(tmp_path / "step_costs.json", COSTS)
    page = tmp_path / "page.md"
    assert main(["--page-only", "--results", str(tmp_path), "--page", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert all(f"| `{name}` | 0 |" in text for name in NETWORKS)
    assert text.count("not run yet") > len(NETWORKS)
    assert main(["--results", str(tmp_path)]) == 2
    assert "--data" in capsys.readouterr().err


def test_a_receptive_field_is_measured_on_the_network() -> None:
    torch.manual_seed(0)
    frame = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    found = gradient(create_model("depthwise_bisenet", 11, width=0.25), frame, Normalization())
    assert found.sum() == pytest.approx(1)
    small, large = windows(found, (0.5, 0.95))
    assert 0 < small < large <= 1
