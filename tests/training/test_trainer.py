"""A training from the command line to the checkpoint, and what a user hears when something is wrong."""

from __future__ import annotations

import csv
import json
import resource
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from aaff.cli import main, parse_words
from aaff.errors import AaffError
from aaff.networks.weights import load_checkpoint, read_checkpoint
from aaff.preprocess import Size
from aaff.training.distributed import Group
from aaff.training.learner import Learner
from aaff.training.objective import LossParts, Objective
from aaff.training.progress import Reporter
from aaff.training.recipe import Recipe
from aaff.training.run_folder import STATE
from aaff.training.state import Position, load_snapshot
from aaff.training.trainer import train
from tests.training.processes import words

Train = Callable[..., str]


@pytest.fixture
def refused(blocks_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Train:
    """Run ``aaff train`` with further words, expect status 2 and return its one sentence."""

    def refused(*more: str, data: Path | None = None) -> str:
        assert main(words(data or blocks_dir, tmp_path / "run", *more)) == 2
        told = capsys.readouterr().err.splitlines()
        assert told[-1].startswith("aaff: ")
        return told[-1]

    return refused


@pytest.fixture
def copied(blocks_dir: Path, tmp_path: Path) -> Path:
    """A copy of the data that a test may spoil."""
    return shutil.copytree(blocks_dir, tmp_path / "data")


def recipe(blocks_dir: Path, *more: str) -> Recipe:
    args = parse_words(words(blocks_dir, Path("run"), *more))[1]
    return Recipe(**{name: getattr(args, name) for name in Recipe.__dataclass_fields__})


class TestFinishedRun:
    def test_leaves_its_recipe_and_nothing_half_written(self, trained: Path, blocks_dir: Path) -> None:
        assert {path.name for path in trained.iterdir()} == {
            "recipe.yaml", "metrics.csv", "metrics.jsonl", "curves.svg", "frames",
            "last.safetensors", "last.state.safetensors", "best.safetensors",
        }  # fmt: skip
        assert (
            yaml.safe_load((trained / "recipe.yaml").read_text()) == recipe(blocks_dir, "--render-every", "1").to_dict()
        )

    def test_metrics_have_one_row_per_epoch(self, trained: Path) -> None:
        rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
        assert [(row["epoch"], row["step"]) for row in rows] == [(1, 3), (2, 6)]
        assert rows[0]["lr"] > rows[1]["lr"] > 0
        assert min(row["loss"] for row in rows) > 0
        assert rows[1]["iou"]["sky"] is not None
        assert rows[1]["iou"]["pole"] is None
        with (trained / "metrics.csv").open() as file:
            table = list(csv.DictReader(file))
        assert [float(row["miou"]) for row in table] == [row["miou"] for row in rows]
        assert [float(row["pixel_accuracy"]) for row in table] == [row["pixel_accuracy"] for row in rows]

    def test_curves_are_three_panels(self, trained: Path) -> None:
        text = (trained / "curves.svg").read_text()
        ElementTree.fromstring(text)
        assert all(title in text for title in ("training loss", "mean IoU, val", "pixel accuracy, val"))

    def test_fixed_frames_are_rendered_with_label_and_prediction(self, trained: Path, blocks_dir: Path) -> None:
        assert [path.name for path in sorted((trained / "frames").iterdir())] == ["epoch-0001.jpg", "epoch-0002.jpg"]
        with Image.open(trained / "frames" / "epoch-0002.jpg") as picture:
            assert picture.size == (3 * 72, 4 * 56)

    def test_checkpoint_says_all_about_itself(self, trained: Path) -> None:
        rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
        net, card = load_checkpoint(trained / "last.safetensors")
        assert net(torch.zeros(1, 3, 48, 64)).shape == (1, 11, 48, 64)
        assert (card.network, card.protocol, card.epoch, str(card.size)) == ("depthwise_aaff", "camvid11", 2, "72x56")
        assert card.recipe["optim"]["warmup"] == 0.5
        assert card.score is not None
        assert (card.score["split"], card.score["selected_on"], card.score["images"]) == ("val", "val", 5)
        assert card.score["miou"] == rows[1]["miou"]
        assert card.provenance["training_frames"]
        best = read_checkpoint(trained / "best.safetensors")[1]
        assert best.score is not None
        assert best.score["miou"] == max(row["miou"] for row in rows)

    def test_evaluating_the_checkpoint_gives_the_score_of_the_run(
        self, trained: Path, blocks_dir: Path, tmp_path: Path
    ) -> None:
        file = tmp_path / "score.json"
        line = ["evaluate", str(trained / "last.safetensors"), "--data", str(blocks_dir), "--json", str(file)]
        assert main([*line, "--threads", "1"]) == 0
        score = read_checkpoint(trained / "last.safetensors")[1].score
        assert score is not None
        assert json.loads(file.read_text())["miou"] == pytest.approx(score["miou"], abs=1e-3)

    def test_resuming_it_changes_nothing(self, trained: Path, blocks_dir: Path) -> None:
        before = (trained / "last.safetensors").read_bytes()
        assert main(words(blocks_dir, trained, "--resume", "--render-every", "1")) == 0
        assert (trained / "last.safetensors").read_bytes() == before

    def test_is_not_overwritten(self, trained: Path, blocks_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(words(blocks_dir, trained)) == 2
        assert "--resume" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("more", "said"),
        [
            ("--optim.lr 1e-4 --batch 6", "batch (4 → 6), optim.lr (0.002 → 0.0001)"),
            ("--recipe quick", "augment.crop (64x48 → 320x240)"),
            ("--options width=0.5", "options ("),
        ],
    )
    def test_resuming_with_another_recipe_names_what_changed(
        self, trained: Path, blocks_dir: Path, more: str, said: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        line = ["train", "--data", str(blocks_dir), "--out", str(trained), "--resume", *more.split()]
        assert main(line) == 2
        assert said in capsys.readouterr().err

    def test_resuming_on_other_frames_is_refused(
        self, trained: Path, copied: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for path in copied.rglob("train_03.png"):
            path.rename(path.with_stem("train_99"))
        assert main(["train", "--data", str(copied), "--out", str(trained), "--resume"]) == 2
        assert str(trained) in capsys.readouterr().err

    def test_a_warm_start_tells_what_it_took(
        self, trained: Path, blocks_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        more = f"--warm-start {trained / 'best.safetensors'} --epochs 1"
        assert main(words(blocks_dir, tmp_path / "run", *more.split())) == 0
        tensors = len(read_checkpoint(trained / "best.safetensors")[0])
        assert f"warm start: {tensors} of {tensors} tensors loaded" in capsys.readouterr().err


class TestOptions:
    def test_auxiliary_heads_average_parts_and_clipping(self, blocks_dir: Path, tmp_path: Path) -> None:
        more = "--options auxiliary=true width=0.25 --optim.ema 0.9 --engine.accumulate 2 --optim.clip-norm 1"
        scores = []

        class Look(Reporter):
            def epoch(self, position: Position, row: dict[str, object]) -> None:
                scores.append(read_checkpoint(tmp_path / "run" / "last.safetensors")[1].score)

        chosen = recipe(blocks_dir, *more.split(), "--eval-every", "2")
        train(blocks_dir, chosen, tmp_path / "run", reporter=Look(quiet=True))
        weights, card = read_checkpoint(tmp_path / "run" / "best.safetensors")
        assert not any(name.startswith("auxiliary.") for name in weights)
        assert "auxiliary" not in card.options
        state = load_snapshot(tmp_path / "run" / STATE)
        assert any(name.startswith("auxiliary.") for name in state.network)
        name = "tail.classify.weight"
        assert not torch.equal(state.average[name], state.network[name])
        assert torch.equal(read_checkpoint(tmp_path / "run" / "last.safetensors")[0][name], state.average[name])
        assert scores[0] is None  # the epoch was not scored
        assert scores[1] is not None

    def test_without_validation_the_last_epoch_is_kept(self, blocks_dir: Path, tmp_path: Path) -> None:
        shutil.copytree(blocks_dir / "train", tmp_path / "data" / "train")
        shutil.copytree(blocks_dir / "trainannot", tmp_path / "data" / "trainannot")
        assert (
            main(words(tmp_path / "data", tmp_path / "run", *"--val-split none --render-every 1 --epochs 1".split()))
            == 0
        )
        last, best = (read_checkpoint(tmp_path / "run" / f"{which}.safetensors") for which in ("last", "best"))
        assert all(torch.equal(value, best[0][name]) for name, value in last[0].items())
        assert last[1].score is None
        assert "miou" not in (tmp_path / "run" / "metrics.jsonl").read_text()
        assert not (tmp_path / "run" / "frames").exists()

    def test_smaller_views_for_the_first_epochs(self, blocks_dir: Path) -> None:
        chosen = recipe(blocks_dir, *"--epochs 4 --augment.early-crop 32x32 --augment.early-share 0.5".split())
        sizes = [chosen.augment.crop_at(epoch, 4) for epoch in range(4)]
        assert sizes == [Size(32, 32)] * 2 + [Size(64, 48)] * 2

    def test_a_folder_is_chosen(self, blocks_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        folders = []
        for _ in range(2):
            folder = parse_words(["train", "--data", str(blocks_dir)])[1].out
            folder.mkdir(parents=True)
            folders.append(str(folder))
        assert folders == ["runs/depthwise_aaff", "runs/depthwise_aaff-2"]

    def test_the_latest_run_of_the_same_network_is_resumed(
        self, trained: Path, blocks_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("mine.yaml").write_text("model: depthwise_aaff2")
        for name in ("depthwise_aaff", "depthwise_aaff2", "depthwise_aaff-2", "depthwise_aaff2-2"):
            Path("runs", name).mkdir(parents=True)
            shutil.copy(trained / STATE, Path("runs", name))
        line = ["train", "--data", str(blocks_dir), "--resume"]
        assert parse_words(line)[1].out == Path("runs/depthwise_aaff-2")
        assert parse_words([*line, "--recipe", "mine.yaml"])[1].out == Path("runs/depthwise_aaff2-2")

    def test_a_network_with_dropout_resumes_exactly(self, blocks_dir: Path, tmp_path: Path) -> None:
        chosen = recipe(blocks_dir, *"--model enet --options width=0.25 --epochs 1 --val-split none".split())
        train(blocks_dir, chosen, tmp_path / "whole")
        assert not train(blocks_dir, chosen, tmp_path / "run", minutes=1e-9).finished
        train(blocks_dir, chosen, tmp_path / "run", resume=True)
        whole, resumed = (read_checkpoint(tmp_path / name / "last.safetensors")[0] for name in ("whole", "run"))
        assert all(torch.equal(value, resumed[name]) for name, value in whole.items())

    def test_the_size_follows_the_width_of_the_augmentation(self, blocks_dir: Path, tmp_path: Path) -> None:
        more = "--augment.width 32 --augment.crop 32x24 --epochs 1 --val-split none"
        assert main(words(blocks_dir, tmp_path / "run", *more.split())) == 0
        assert read_checkpoint(tmp_path / "run" / "last.safetensors")[1].size == Size(32, 25)  # of 72x56


class TestBadInput:
    def test_frames_that_are_in_both_splits(self, refused: Train, copied: Path) -> None:
        for folder in ("", "annot"):
            shutil.copy(copied / f"train{folder}" / "train_00.png", copied / f"val{folder}" / "val_00.png")
        told = refused(data=copied)
        assert "--allow-leaks" in told
        assert "nowhere" in refused("--allow-leaks", "--warm-start", "nowhere", data=copied)

    def test_a_label_id_that_is_no_class(self, refused: Train, copied: Path) -> None:
        path = copied / "trainannot" / "train_04.png"
        ids = np.array(Image.open(path))
        ids[0, 0] = 77
        Image.fromarray(ids).save(path)
        told = refused(data=copied)
        assert "train_04.png" in told
        assert "77" in told

    @pytest.mark.parametrize(
        ("more", "said"),
        [
            ("--batch 13", "12 frames"),
            ("--engine.accumulate 4", "2 frames or more"),
            ("--train-split trian", "'train'"),
            ("--val-split vall", "'val'"),
            ("--model depthwise_aff", "'depthwise_aaff'"),
            ("--options widht=1", "'width'"),
            (
                "--options width=0.25 auxiliary=true --loss.auxiliary 1 2 3",
                "loss.auxiliary has 3",
            ),
            ("--loss.class-weights 1 2", "loss.class_weights"),
            ("--warm-start nowhere.safetensors", "nowhere.safetensors"),
            ("--engine.device cuda", "engine.device"),
            ("--engine.threads -1", "engine.threads"),
            ("--optim.backbone-lr-factor 0.1 --data nowhere", "nowhere"),
            ("--resume", "resume"),
        ],
    )
    def test_is_explained_before_the_first_step(self, refused: Train, tmp_path: Path, more: str, said: str) -> None:
        if "cuda" in more and torch.cuda.is_available():
            more, said = "--batch 13", "12 frames"
        assert said in refused(*more.split())
        assert not (tmp_path / "run").exists()

    def test_too_high_a_rate_names_step_and_frames(self, refused: Train, tmp_path: Path) -> None:
        told = refused("--optim.lr", "1e30", "--optim.warmup", "0")
        assert "step 2" in told
        assert "train_" in told
        assert "--optim.lr" in told
        load_snapshot(tmp_path / "run" / STATE)

    def test_a_loss_that_is_not_finite_leaves_the_last_good_checkpoint(
        self, refused: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        objective, calls = Objective.__call__, []

        def broken(self: Objective, *args: Any) -> LossParts:
            calls.append(1)
            parts = objective(self, *args)
            return replace(parts, sum=parts.sum * (float("nan") if len(calls) == 5 else 1))

        monkeypatch.setattr(Objective, "__call__", broken)
        told = refused()
        assert "step 5" in told
        assert "train_" in told
        assert str(tmp_path / "run" / "last.safetensors") in told
        assert read_checkpoint(tmp_path / "run" / "last.safetensors")[1].epoch == 1

    def test_a_step_that_diverges_does_not_touch_the_weights(self, blocks_dir: Path) -> None:
        chosen = recipe(blocks_dir)
        from aaff.training.engine import resolve

        learner = Learner(chosen, 11, np.ones((1, 11), np.int64), resolve(chosen.engine), Group())
        learner.net.classifier.weight.data[0, 0] = float("inf")
        before = {name: value.clone() for name, value in learner.net.named_parameters()}
        images = torch.randint(0, 256, (4, 48, 64, 3), dtype=torch.uint8)
        with pytest.raises(Exception, match="the loss is"):
            learner.step(images, torch.zeros(4, 48, 64, dtype=torch.uint8), 0.1, 0)
        assert all(torch.equal(value, before[name]) for name, value in learner.net.named_parameters())

    def test_a_full_disk_leaves_what_was_there(self, blocks_dir: Path, tmp_path: Path) -> None:
        """The limit on the size of a file acts as a full disk does: a write fails in its middle."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

        class FullFrom(Reporter):
            def step(self, position: Position, loss: float, lr: float) -> None:
                if position.step == 2:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))

        folder, chosen = tmp_path / "run", recipe(blocks_dir, "--epochs", "1")
        try:
            with pytest.raises(AaffError, match=r"cannot write .*last\.state\.safetensors.*--resume"):
                train(blocks_dir, chosen, folder, checkpoint_seconds=0, reporter=FullFrom(quiet=True))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert load_snapshot(folder / STATE).position.step == 1
        assert not [path for path in folder.iterdir() if path.name.startswith(".")]
        outcome = train(blocks_dir, chosen, folder, resume=True, reporter=Reporter(quiet=True))
        assert outcome.finished

    def test_a_state_that_is_cut_off_is_no_state(self, blocks_dir: Path, trained: Path, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / STATE).write_bytes((trained / STATE).read_bytes()[:50_000])
        with pytest.raises(AaffError, match="state"):
            train(blocks_dir, replace(recipe(blocks_dir)), tmp_path / "run", resume=True)
