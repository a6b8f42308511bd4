"""Where a run stands is read off its folder, and a folder that is not what the plan says is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from aaff.errors import DataError, ModelError, OptionError
from aaff.training.recipe import Recipe
from aaff.training.run_folder import LAST, STATE
from experiments.runner.states import common_arithmetic, differing_keys, measurement_file, note_failure, progress
from tests.experiments.paper.tiny import NAMES, TINY, experiment

FLOAT32 = {"device": "cpu", "precision": "fp32"}


def stage(data: Path, out: Path) -> str:
    run = experiment(data, out).runs[0]
    return progress(out, run).stage


class TestStages:
    def test_of_a_run_from_nothing_to_done(self, scenes_dir: Path, finished: Path, tmp_path: Path) -> None:
        assert stage(scenes_dir, tmp_path) == "waiting"
        (tmp_path / NAMES[0]).mkdir(parents=True)
        shutil.copy(finished / NAMES[0] / STATE, tmp_path / NAMES[0])
        assert stage(scenes_dir, tmp_path) == "begun"
        shutil.copy(finished / NAMES[0] / LAST, tmp_path / NAMES[0])
        assert stage(scenes_dir, tmp_path) == "trained"
        shutil.copytree(finished / NAMES[0] / "measured", tmp_path / NAMES[0] / "measured")
        assert stage(scenes_dir, tmp_path) == "done"

    def test_scores_of_other_weights_are_no_scores(self, scenes_dir: Path, copied: Path) -> None:
        path = measurement_file(copied / NAMES[0], "val")
        path.write_text(json.dumps(json.loads(path.read_text()) | {"checkpoint": "0" * 64}))
        assert stage(scenes_dir, copied) == "trained"

    def test_a_failure_is_told_until_the_run_is_done(self, scenes_dir: Path, copied: Path, tmp_path: Path) -> None:
        note_failure(copied / NAMES[0], 2, "the loss is not a number")
        assert stage(scenes_dir, copied) == "done"
        note_failure(tmp_path / NAMES[0], 2, "the loss is not a number")
        run = experiment(scenes_dir, tmp_path).runs[0]
        assert progress(tmp_path, run).stage == "failed"
        assert progress(tmp_path, run).failure == "the loss is not a number"

    def test_a_damaged_state_is_named_with_what_to_do(self, scenes_dir: Path, copied: Path) -> None:
        state = copied / NAMES[0] / STATE
        state.write_bytes(state.read_bytes()[:100])
        with pytest.raises(ModelError, match="depthwise_bisenet-seed0"):
            stage(scenes_dir, copied)


class TestRefusals:
    def test_what_the_plan_says_is_accepted(self, scenes_dir: Path, finished: Path) -> None:
        assert experiment(scenes_dir, finished).check() == dict.fromkeys(NAMES, FLOAT32)

    def test_another_recipe_is_refused_and_the_key_named(self, scenes_dir: Path, finished: Path) -> None:
        other = experiment(scenes_dir, finished, recipe=replace(TINY, epochs=3))
        with pytest.raises(OptionError, match=r"another recipe: epochs \(2 → 3\)"):
            other.check()

    def test_other_frames_are_refused(self, scenes_dir: Path, copied: Path, tmp_path: Path) -> None:
        fewer = Path(shutil.copytree(scenes_dir, tmp_path / "fewer"))
        name = sorted(path.name for path in (fewer / "train").iterdir())[0]
        for folder in ("train", "trainannot"):
            (fewer / folder / name).unlink()
        with pytest.raises(OptionError, match="other frames"):
            experiment(fewer, copied).check()

    def test_data_that_changes_under_an_experiment_is_refused(
        self, scenes_dir: Path, copied: Path, tmp_path: Path
    ) -> None:
        data = Path(shutil.copytree(scenes_dir, tmp_path / "data"))
        experiment(data, copied).check()
        label = sorted((data / "valannot").iterdir())[0]
        shutil.copy(sorted((data / "valannot").iterdir())[1], label)
        with pytest.raises(DataError, match="'val' has changed"):
            experiment(data, copied).check()

    def test_runs_of_different_arithmetic_are_not_compared(self) -> None:
        assert common_arithmetic({"a": FLOAT32, "b": dict(FLOAT32)}) == FLOAT32
        assert common_arithmetic({}) is None
        with pytest.raises(OptionError, match="b was begun with"):
            common_arithmetic({"a": FLOAT32, "b": FLOAT32 | {"precision": "bf16"}})


def test_a_key_that_an_older_run_does_not_know_has_its_default() -> None:
    old = Recipe().to_dict()
    del old["warm_start"]
    assert differing_keys(old, Recipe().to_dict()) == {}
    assert differing_keys(old, Recipe(warm_start=Path("x.safetensors")).to_dict()).keys() == {"warm_start"}


def test_the_time_left_is_told_from_what_has_run(scenes_dir: Path, finished: Path, tmp_path: Path) -> None:
    begun = experiment(scenes_dir, finished, seeds=(0, 1))
    states = begun.states()
    assert begun.clock.measured
    assert begun.time_left(begun.runs[:2], states, 1) == 0
    assert begun.time_left(begun.runs, states, 2) < begun.time_left(begun.runs, states, 1)
    fresh = experiment(scenes_dir, tmp_path)
    fresh.states()
    assert not fresh.clock.measured
