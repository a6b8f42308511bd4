"""A finished run lives on as a small file: it is not trained again, and the report does not miss its folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import aaff.published
from aaff.errors import AaffError, DataError, ModelError, OptionError
from aaff.networks.weights import load_checkpoint
from experiments.paper import publish
from experiments.paper.results import load_results
from experiments.runner.work import Workshop
from tests.experiments.paper.tiny import NAMES, TINY, experiment, last_value


@pytest.fixture(scope="module")
def reported(scenes_dir: Path, finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of the finished experiment, and the weights published from them.  Read only."""
    folder = tmp_path_factory.mktemp("reported")
    results, weights = folder / "results", folder / "weights"
    done = experiment(scenes_dir, finished)
    done.report(folder / "report", results, drawn=False)
    written = done.publish_weights(results, weights, "tiny")
    assert [path.name for path in written] == ["bisenet.safetensors", "depthwise_bisenet.safetensors"]
    return folder


@pytest.fixture
def kept(reported: Path, tmp_path: Path) -> Path:
    """Results of the finished experiment, without its folder."""
    return Path(shutil.copytree(reported / "results", tmp_path / "results"))


def change(results: Path, **values: Any) -> None:
    path = results / "runs" / f"{NAMES[0]}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_every_run_is_one_small_file_that_does_not_change(
    scenes_dir: Path, finished: Path, kept: Path, tmp_path: Path
) -> None:
    files = {path.relative_to(kept / "runs").with_suffix("").as_posix(): path for path in kept.glob("runs/*/*.json")}
    assert set(files) == set(NAMES)
    assert all(path.stat().st_size < 200_000 for path in files.values())
    before = {name: path.read_bytes() for name, path in files.items()}
    experiment(scenes_dir, finished).report(tmp_path / "report", kept, drawn=False)
    assert {name: path.read_bytes() for name, path in files.items()} == before


def test_a_run_whose_folder_is_gone_is_done(scenes_dir: Path, kept: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    again = experiment(scenes_dir, empty, archive=kept)
    assert {state.stage for state in again.states().values()} == {"done"}
    assert again.work(again.runs, 1, 1) == 0  # would train
    assert not (empty / "seeds").exists()
    scores = [run.scores for run in load_results(kept).runs]
    page = again.report(tmp_path / "report", kept, drawn=False)
    assert [run.scores for run in load_results(kept).runs] == scores
    assert "Finished seeds: BiSeNet 1, DepthwiseBiSeNet 1" in page.read_text()


def test_without_an_archive_it_waits(scenes_dir: Path, tmp_path: Path) -> None:
    assert {state.stage for state in experiment(scenes_dir, tmp_path / "empty").states().values()} == {"waiting"}


def test_a_result_that_lacks_a_score_is_not_done_but_test_may_come_later(
    scenes_dir: Path, kept: Path, tmp_path: Path
) -> None:
    again = experiment(scenes_dir, tmp_path / "empty", archive=kept, test=True)
    assert again.states()[NAMES[0]].stage == "done"
    scores = json.loads((kept / "runs" / f"{NAMES[0]}.json").read_text())["scores"]
    change(kept, scores={"train": scores["train"]})
    assert again.states()[NAMES[0]].stage == "waiting"


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"recipe": replace(TINY, epochs=9).to_dict()}, OptionError, r"another recipe: .*epochs \(9 → 2\)"),
        ({"data": "0"}, OptionError, "other training frames"),
        ({"provenance": {"engine": {"device": "cpu", "precision": "bf16"}}}, OptionError, "same device and precision"),
    ],
)
def test_results_of_other_settings_are_refused(
    values: dict[str, Any], error: type[AaffError], words: str, scenes_dir: Path, kept: Path, tmp_path: Path
) -> None:
    change(kept, **values)
    with pytest.raises(error, match=words):
        experiment(scenes_dir, tmp_path / "empty", archive=kept).check()


def test_a_condition_keeps_its_arithmetic_and_another_may_have_its_own(
    scenes_dir: Path, kept: Path, tmp_path: Path
) -> None:
    """On a second machine, whose own choice may be another: what lacks of seed 0 is trained as the rest of seed 0."""
    (kept / "runs" / f"{NAMES[1]}.json").unlink()
    change(kept, provenance={"engine": {"device": "cpu", "precision": "bf16"}})
    later = experiment(scenes_dir, tmp_path / "empty", archive=kept, seeds=(0, 1))
    decided = later.check()
    assert decided == {name: {"device": "cpu", "precision": "bf16"} for name in NAMES}  # seed 1 is free
    shop = Workshop(later.out, scenes_dir, None, 1, 1, decided)
    chosen = {run.name: last_value(shop.command(run), "--engine.precision") for run in later.runs}
    assert chosen[NAMES[1]] == "bf16"
    assert {chosen[name] for name in chosen if name.endswith("seed1")} == {"auto"}


def test_times_are_those_of_this_machine_once_something_has_run_here(
    scenes_dir: Path, finished: Path, kept: Path, tmp_path: Path
) -> None:
    change(kept, seconds=1e6)  # a slow machine

    def expected(out: Path) -> float:
        asked = experiment(scenes_dir, out, archive=kept, seeds=(0, 1))
        return asked.time_left(asked.runs, asked.states(), 1)

    assert expected(tmp_path / "empty") > 1e5
    here = tmp_path / "here"
    shutil.copytree(finished / NAMES[1], here / NAMES[1])
    assert 0 < expected(here) < 1e4


def test_results_of_a_changed_split_are_refused(scenes_dir: Path, kept: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(scenes_dir, tmp_path / "data"))
    labels = sorted((data / "valannot").iterdir())
    shutil.copy(labels[1], labels[0])
    with pytest.raises(DataError, match="'val'"):
        experiment(data, tmp_path / "empty", archive=kept).check()


def test_a_file_that_is_no_result_is_named(scenes_dir: Path, kept: Path, tmp_path: Path) -> None:
    path = kept / "runs" / f"{NAMES[0]}.json"
    path.write_text("{}")
    with pytest.raises(AaffError, match=r"depthwise_bisenet-seed0\.json"):
        experiment(scenes_dir, tmp_path / "empty", archive=kept).states()


class TestPublishedWeights:
    @pytest.fixture
    def weights(self, reported: Path, tmp_path: Path) -> Path:
        return Path(shutil.copytree(reported / "weights", tmp_path / "weights"))

    def test_carry_their_own_score_and_licence(self, weights: Path, kept: Path) -> None:
        _, card = load_checkpoint(weights / "bisenet.safetensors")
        run = load_results(kept).of("seeds", "bisenet")[0]
        assert card.score is not None
        assert card.score["miou"] == pytest.approx(run.scores["val"]["miou"], abs=0.01)
        assert card.score["selected_on"] is None
        page = (weights / "bisenet.md").read_text()
        assert card.licence in page
        assert "`tiny`, 2 epochs, seed 0" in page
        assert "| bicyclist |" in page

    def test_are_half_the_size_and_compute_in_float32(self, weights: Path, finished: Path) -> None:
        small, large = weights / "bisenet.safetensors", finished / "seeds" / "bisenet-seed0" / "last.safetensors"
        assert small.stat().st_size < 0.6 * large.stat().st_size
        net, _ = load_checkpoint(small)
        assert {str(p.dtype) for p in net.parameters()} == {"torch.float32"}

    def test_are_found_by_name(self, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(aaff.published, "weights_folder", lambda: weights)
        assert aaff.published.list_published() == ["bisenet", "depthwise_bisenet"]
        assert aaff.published.find_published("bisenet") == weights / "bisenet.safetensors"
        assert aaff.published.find_published("../bisenet") is None

    def test_are_written_once(self, weights: Path, scenes_dir: Path, finished: Path, kept: Path) -> None:
        assert experiment(scenes_dir, finished).publish_weights(kept, weights, "tiny") == []

    def test_show_maps_when_the_run_folders_are_gone(
        self, weights: Path, scenes_dir: Path, kept: Path, tmp_path: Path
    ) -> None:
        again = experiment(scenes_dir, tmp_path / "empty", archive=kept)
        page = again.report(tmp_path / "report", kept, drawn=False, weights=weights).read_text()
        assert "BiSeNet, difference" in page
        assert again.publish_weights(kept, weights, "tiny") == []

    def test_are_scored_on_test_where_that_split_comes_last(
        self, weights: Path, scenes_dir: Path, kept: Path, tmp_path: Path
    ) -> None:
        """All that is left of the runs is the repository, and the command is given again with the split at hand."""
        page = tmp_path / "report"
        experiment(scenes_dir, tmp_path / "empty", archive=kept).score_published(kept, weights)
        assert "test" not in load_results(kept).runs[0].scores  # nobody asked for it
        later = experiment(scenes_dir, tmp_path / "empty", archive=kept, test=True)
        assert later.work(later.runs, 1, 1) == 0  # nothing is trained
        later.score_published(kept, weights)
        later.report(page, kept, drawn=True)
        later.publish_weights(kept, weights, "tiny")
        scores = load_results(kept).of("seeds", "bisenet")[0].scores
        assert scores.keys() == {"train", "val", "test"}
        assert scores["test"]["images"] == 8
        text = (page / "README.md").read_text()
        assert "No test scores" not in text
        assert f"On test this file has mean IoU {100 * scores['test']['miou']:.1f}" in (
            (weights / "bisenet.md").read_text()
        )

    def test_that_are_too_large_are_not_left_behind(
        self, scenes_dir: Path, finished: Path, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(publish, "LARGEST", 1000)
        with pytest.raises(ModelError, match="in half precision"):
            experiment(scenes_dir, finished).publish_weights(kept, tmp_path / "large", "tiny")
        assert not list((tmp_path / "large").glob("*.safetensors"))
