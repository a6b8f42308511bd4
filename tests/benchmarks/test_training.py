"""``python -m benchmarks.training``: figures that add up, loops that learn the same, and clear refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from aaff.preprocess import Size
from benchmarks.training import measure
from benchmarks.training.__main__ import main
from benchmarks.training.loops import PHASES, EngineLoop, Measure, PlainLoop, Spec, Spells, recipe_for

NETWORK = ("width=0.25", "sides=1", "spatial=false")


def spec(data: Path, **more: object) -> Spec:
    return Spec(data, recipe_for("depthwise_aaff", NETWORK, Size(64, 48), 4, 1), steps=1, **more)  # type: ignore[arg-type]


def test_figures_are_printed_and_written(scenes_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bench.json"
    words = f"--data {scenes_dir} --size 64x48 --batch 4 --steps 1 --rounds 1 --threads 1 --workers 1"
    assert main([*words.split(), "--options", *NETWORK, "--json", str(file)]) == 0
    assert "plain PyTorch loop" in capsys.readouterr().out
    result = json.loads(file.read_text())
    assert (result["model"], result["size"], result["batch"], result["rounds"]) == ("depthwise_aaff", "64x48", 4, 1)
    assert {"versions", "processor", "commit"} <= set(result["provenance"])
    loops = result["loops"]
    assert list(loops) == ["plain PyTorch loop", "this engine", "this engine, one resident batch"]
    for row in loops.values():
        assert row["images_a_second"] == pytest.approx(4 / row["seconds_a_step"], rel=0.01)
        assert sum(share for phase, share in row["share"].items() if phase != "other") > 0.5
        assert all(0 <= share <= 1 for share in row["share"].values())
        assert row["share_of_peak"] > 0
        assert 0 < row["memory_gib"] < 6
        assert row["threads"] == 1
    assert loops["plain PyTorch loop"]["precision"] == "fp32"
    plain, engine = (loops[name]["seconds_a_step"] for name in ("plain PyTorch loop", "this engine"))
    assert result["ratios"]["engine over plain loop"] == pytest.approx(plain / engine, rel=0.02)


class Instant:
    """A loop that takes 1 s a step, or 2 s with something switched off, without running anything."""

    def __init__(self, spec: Spec) -> None:
        self.seconds = 1.0 if spec.without is None else 2.0
        self.precision = "bf16"

    def __enter__(self) -> Instant:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def about(self) -> dict[str, Any]:
        return {"device": "cpu", "precision": self.precision, "threads": 3}

    def ask(self, order: str, *_: Any) -> None:
        pass

    def result(self) -> dict[str, float]:
        return {"step": self.seconds, **dict.fromkeys(PHASES, self.seconds / 10), "memory_gib": 1.0, "flops": 1e9}


def test_each_measure_is_switched_off_once(scenes_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "Measured", Instant)
    recipe = recipe_for("depthwise_aaff", NETWORK, Size(64, 48), 4, 1)
    result = measure.measure_training(scenes_dir, recipe, steps=1, rounds=2, measures=True, side_by_side=True)
    rows = {row["without"]: row for row in result["measures"]}
    assert set(rows) == set(get_args(Measure)) - {"fp32"}, "the chosen precision is bf16"
    assert rows["cache"]["times_as_long"] == 2
    assert result["side_by_side"]["runs"] == 3
    assert result["side_by_side"]["ratio"] == 3


@pytest.mark.parametrize("without", [None, *get_args(Measure)])
def test_every_loop_begins_with_the_same_loss(scenes_dir: Path, without: str | None) -> None:
    """Same weights, same batch, same objective: else the times would not compare the same thing."""
    torch.set_num_threads(1)
    plain = Spells(spec(scenes_dir, plain=True))
    batch = next(plain._batches(0))
    engine = EngineLoop(spec(scenes_dir, without=without))
    assert isinstance(plain.loop, PlainLoop)
    assert engine.step(*batch) == pytest.approx(plain.loop.step(*batch), rel=0.03)  # one of them may be bfloat16


def test_loops_see_the_same_batches_whoever_decodes_them(scenes_dir: Path) -> None:
    one = Spells(spec(scenes_dir, plain=True, workers=1))._batches(3)
    two = Spells(spec(scenes_dir, workers=1))._batches(3)
    for _ in range(6):  # longer than an epoch of what is kept
        (images, labels), (others, other_labels) = next(one), next(two)
        assert images.shape == (4, 48, 64, 3)
        assert torch.equal(images, others)
        assert torch.equal(labels, other_labels)
    one.close()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--batch 1", "--batch"),
        ("--batch 1000", "24 frames"),
        ("--steps 0", "--steps"),
        ("--workers -1", "--workers"),
        ("--threads -2", "engine.threads"),
        ("--model depthwise_aff", "depthwise_aaff"),
        ("--options gates=none", "gate"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    scenes_dir: Path, capsys: pytest.CaptureFixture[str], words: str, told: str
) -> None:
    assert main(["--data", str(scenes_dir), "--size", "64x48", *words.split()]) == 2
    assert told in capsys.readouterr().err
