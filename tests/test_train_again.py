"""The script that trains a published model again: what it calls, in which order."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from aaff.cli import parse_words

SCRIPT = Path(__file__).parents[1] / "scripts" / "train_again.sh"
RECORDER = """#!/usr/bin/env python3
import json, os, pathlib, sys

words = sys.argv[1:]
with open(os.environ["CALLS"], "a") as calls:
    print(json.dumps(words), file=calls)
if "train" in words:
    run = pathlib.Path(words[words.index("--out") + 1])
    run.mkdir(parents=True, exist_ok=True)
    (run / "recipe.yaml").write_text("model: any\\nepochs: 4\\n")
    (run / "metrics.csv").write_text("epoch,loss\\n" + os.environ["TRAINED"] + ",0.5\\n")
"""


def called(tmp_path: Path, *words: str, trained: int = 4) -> tuple[int, list[list[str]]]:
    """Exit status, and the command lines that the script gives to Python; runs seem to have ``trained`` epochs of 4."""
    recorder, calls = tmp_path / "python", tmp_path / "calls"
    recorder.write_text(RECORDER)
    recorder.chmod(0o755)
    calls.write_text("")
    env = {**os.environ, "PYTHON": str(recorder), "CALLS": str(calls), "TRAINED": str(trained)}
    done = subprocess.run([str(SCRIPT), *words], env=env, check=False, capture_output=True)
    return done.returncode, [json.loads(line) for line in calls.read_text().splitlines()]


@pytest.mark.parametrize(("model", "stages"), [("camvid_lite0", 3), ("camvid_lite0_trainval", 3), ("street", 2)])
def test_every_model_is_trained_and_exported_by_commands_that_exist(tmp_path: Path, model: str, stages: int) -> None:
    data = ["camvid", "streets"] if model == "street" else ["camvid"]
    status, calls = called(tmp_path, model, str(tmp_path / "out"), *data, "--", "--engine.threads", "1")
    assert status == 0
    published = next(call for call in calls if call[1] == "scripts.publish_model")
    given = [parse_words(call[2:])[1] for call in calls if call[1] == "aaff"]
    runs, exports = given[:stages], given[stages:]
    assert all(run.engine.threads == 1 for run in runs)
    assert [run.warm_start for run in runs[1:]] == [str(run.out / "last.safetensors") for run in runs[:-1]]
    assert published[2] == str(runs[-1].out / "last.safetensors")
    assert [export.precision for export in exports] == ["int8", "fp32"]
    if model == "camvid_lite0_trainval":
        assert [run.train_split for run in runs] == ["train", "train+val", "train+val"]


def test_a_begun_run_is_resumed_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "first").mkdir(parents=True)
    (out / "first" / "last.state.safetensors").touch()
    _, calls = called(tmp_path, "camvid_lite0", str(out), "camvid", "--", "--checkpoint-minutes", "1")
    assert calls[0][-1] == "--resume"
    assert "--checkpoint-minutes" in calls[0]
    assert "--resume" not in calls[1]


def test_nothing_is_built_on_a_run_that_was_stopped(tmp_path: Path) -> None:
    status, calls = called(tmp_path, "street", str(tmp_path / "out"), "camvid", "--", "--minutes", "60", trained=3)
    assert status not in (0, 2)
    assert len(calls) == 1


def test_an_unknown_model_is_refused_before_anything_runs(tmp_path: Path) -> None:
    assert called(tmp_path, "bisenet", str(tmp_path / "out"), "camvid") == (2, [])
