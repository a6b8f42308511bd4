"""Several processes train as one: the same loss, weights and score; one that dies stops the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from aaff.card import ModelCard
from aaff.data import open_dataset
from aaff.labels import CAMVID11
from aaff.networks import create_model
from aaff.networks.weights import read_checkpoint
from aaff.preprocess import Size
from aaff.training.distributed import Group, join, share_batch_norm
from aaff.training.engine import TrainingEngine, resolve
from aaff.training.learner import Learner
from aaff.training.optimization import make_optimizer
from aaff.training.options import OptimOptions
from aaff.training.recipe import EngineOptions, Recipe
from aaff.training.run_folder import STATE
from aaff.training.state import load_snapshot
from aaff.training.validation import Validation
from tests.training.processes import run, start, start_ranks, together, words

PLAIN = "--optim.optimizer sgd --batch 6 --checkpoint-minutes 0".split()


def rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def wait_for_step(folder: Path, step: int, process: BaseProcess) -> None:
    while process.is_alive() and (not (folder / STATE).exists() or load_snapshot(folder / STATE).position.step < step):
        time.sleep(0.05)


def test_torchrun_trains_as_one_process(blocks_dir: Path, tmp_path: Path) -> None:
    """In float32, in parts.  The rate is small, since the first steps of these networks enlarge rounding
    a thousandfold each; the way of the weights shows whether the gradients are the same.
    """
    line = ["--engine.precision", "fp32", "--optim.lr", "1e-6", *PLAIN, "--batch", "12", "--engine.accumulate", "3"]
    line += ["--optim.weight-decay", "0"]
    assert run([*words(blocks_dir, tmp_path / "one"), *line], tmp_path / "log") == 0
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*torchrun, "-m", "aaff", *words(blocks_dir, tmp_path / "two"), *line],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("trained: ") == 1
    assert "in each of 2 processes" in done.stderr
    for left, right in zip(rows(tmp_path / "one"), rows(tmp_path / "two"), strict=True):
        assert right["loss"] == pytest.approx(left["loss"], rel=1e-4)
        assert right["pixel_accuracy"] == pytest.approx(left["pixel_accuracy"], abs=1e-3)
    torch.manual_seed(0)
    net = create_model("depthwise_aaff", 11, width=0.25, sides=1, spatial=False)
    one, two = (read_checkpoint(tmp_path / name / "last.safetensors")[0] for name in ("one", "two"))
    moved = torch.cat([(one[name] - value).flatten() for name, value in net.named_parameters()])
    also = torch.cat([(two[name] - value).flatten() for name, value in net.named_parameters()])
    assert moved.norm() > 0
    assert (also - moved).norm() < 0.05 * moved.norm()
    for name, value in net.named_buffers():  # statistics of batch norm
        torch.testing.assert_close(two[name], one[name], rtol=1e-3, atol=1e-4)
        assert not torch.equal(one[name], value)


@pytest.mark.parametrize("parts", [1, 2])
def test_in_float64_the_learning_is_the_same_to_ten_digits(parts: int) -> None:
    alone, shared = _learn(parts), together(2, _learn, parts)
    for found in shared:
        assert not isinstance(found, str), found
        np.testing.assert_allclose(found[0], alone[0], rtol=1e-6)  # the loss is added up in float32
        for name, value in alone[1].items():
            np.testing.assert_allclose(found[1][name], value, rtol=1e-8, atol=1e-8, err_msg=name)
            assert np.array_equal(found[1][name], shared[0][1][name])


def test_one_that_is_interrupted_stops_all_and_one_that_dies_too(blocks_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    line = words(blocks_dir, folder, *PLAIN, "--epochs", "30", "--eval-every", "30")
    ranks = start_ranks(2, line, tmp_path)
    wait_for_step(folder, 2, ranks[0])
    ranks[1].terminate()  # not the one that writes
    for rank in ranks:
        rank.join()
    told = [(tmp_path / f"log.{rank}").read_text() for rank in range(2)]
    assert [rank.exitcode for rank in ranks] == [130, 130], told
    done = load_snapshot(folder / STATE).position.step
    assert "torchrun --nproc-per-node=2 -m aaff train --data" in told[0]
    assert told[1] == ""

    ranks = start_ranks(2, [*line, "--resume"], tmp_path)
    wait_for_step(folder, done + 2, ranks[0])
    ranks[1].kill()
    ranks[0].join()
    ranks[1].join()
    told[0] = (tmp_path / "log.0").read_text()
    assert f"after step {done}" in told[0]
    assert "--resume" in told[0].splitlines()[-1]
    assert ranks[0].exitcode == 2

    lost = load_snapshot(folder / STATE)
    assert lost.position.step >= done + 2
    assert lost.engine["processes"] == 2
    left = start([*line, "--resume"], tmp_path / "log")
    wait_for_step(folder, lost.position.step + 1, left)
    left.terminate()
    left.join()
    told[0] = (tmp_path / "log").read_text()
    assert "1 processes" in told[0]
    assert load_snapshot(folder / STATE).position.step > lost.position.step


class TestBatchNorm:
    def test_is_that_of_the_whole_batch(self) -> None:
        torch.manual_seed(0)
        x, g = torch.randn(7, 5, 6, 4) * 3 + 50, torch.randn(7, 5, 6, 4)
        norm = nn.BatchNorm2d(5)
        with torch.no_grad():
            norm.weight.uniform_(0.5, 2)
            norm.bias.normal_()
        whole = x.clone().requires_grad_()
        y = norm(whole)
        y.backward(g)
        start = nn.BatchNorm2d(5)
        start.load_state_dict(
            {
                **norm.state_dict(),
                **{k: v for k, v in nn.BatchNorm2d(5).state_dict().items() if "run" in k or "num" in k},
            }
        )
        # Shares of different size, and one frame alone, which no batch norm could take.
        parts = together(3, _normalize, x.numpy(), g.numpy(), {k: v.numpy() for k, v in start.state_dict().items()})
        for part in parts:
            assert isinstance(part, dict), part
        for name, wanted in (("y", y), ("x", whole.grad)):
            found = np.concatenate([part[name] for part in parts])
            np.testing.assert_allclose(found, wanted.detach().numpy(), rtol=1e-4, atol=1e-4)  # type: ignore[union-attr]
        for name, parameter in (("weight", norm.weight), ("bias", norm.bias)):
            found = sum(part[name] for part in parts)
            np.testing.assert_allclose(found, parameter.grad.numpy(), rtol=1e-4, atol=1e-3)  # type: ignore[union-attr]
        for part in parts:
            np.testing.assert_allclose(part["running_mean"], norm.running_mean.numpy(), rtol=1e-5)  # type: ignore[union-attr]
            np.testing.assert_allclose(part["running_var"], norm.running_var.numpy(), rtol=1e-4)  # type: ignore[union-attr]
            assert part["num_batches_tracked"] == 1
            assert np.array_equal(part["evaluated"], parts[0]["evaluated"])

    def test_a_network_keeps_its_names_and_one_process_its_modules(self) -> None:
        net = create_model("depthwise_aaff", 11)
        names = list(net.state_dict())
        assert not any(
            type(m) is not nn.BatchNorm2d
            for m in share_batch_norm(net, Group(), "cpu").modules()
            if isinstance(m, nn.BatchNorm2d)
        )
        share_batch_norm(net, Group(0, 2, 0, 2), "cpu")
        assert list(net.state_dict()) == names
        assert not any(type(m) is nn.BatchNorm2d for m in net.modules())


def test_a_shared_score_is_that_of_one_process_exactly(blocks_dir: Path) -> None:
    """Five frames on two and on three processes: nobody counts a frame twice to fill up."""
    torch.manual_seed(0)
    weights = {name: value.numpy() for name, value in create_model("depthwise_aaff", 11).state_dict().items()}
    alone = _score(blocks_dir, weights)
    for count in (2, 3):
        for found in together(count, _score, blocks_dir, weights):
            assert found == alone


def test_processes_of_a_host_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aaff.training.engine.usable_cores", lambda: 8)
    assert resolve(EngineOptions(device="cpu"), Group(0, 4, 0, 4)).threads == 2
    assert resolve(EngineOptions(device="cpu"), Group(0, 4, 0, 2)).threads == 4
    assert resolve(EngineOptions(device="cpu"), Group(0, 16, 0, 16)).threads == 1
    assert resolve(EngineOptions(device="cpu", threads=3), Group(0, 4, 0, 4)).threads == 3
    assert resolve(EngineOptions(device="cpu")).threads == 8


class _DoubleEngine(TrainingEngine):
    def normalize(self, images: torch.Tensor, normalization: object) -> torch.Tensor:
        return images.permute(0, 3, 1, 2) / 128 - 1


def _learn(parts: int) -> tuple[list[float], dict[str, np.ndarray]]:
    """Losses and weights of a few steps in float64 on this process's share of fixed batches."""
    torch.set_num_threads(1)
    group = join(60)
    recipe = Recipe(
        options=("width=0.25", "sides=1", "spatial=false", "auxiliary=true"),
        engine=EngineOptions(accumulate=parts),
        optim=OptimOptions(optimizer="sgd", lr=0.01),
    )
    learner = Learner(recipe, 11, np.ones((1, 11), np.int64), _DoubleEngine("cpu", "fp32", 1, False), group)
    learner.net.double()
    learner.optimizer = make_optimizer(learner.net, recipe.optim)
    draw, losses = np.random.default_rng(0), []
    for step in range(3):
        images, labels = draw.random((8, 32, 48, 3)) * 255, draw.choice(np.array([0, 4, 9, 255], np.uint8), (8, 32, 48))
        labels[:3] = 255  # the shares differ in their labelled pixels
        share = np.arange(8).reshape(parts, group.world, -1)[:, group.rank].ravel()
        losses.append(learner.step(torch.from_numpy(images[share]), torch.from_numpy(labels[share]), 0.01, step))
    return losses, {name: value.detach().numpy() for name, value in learner.net.state_dict().items()}


def _normalize(x: np.ndarray, g: np.ndarray, state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    torch.set_num_threads(1)
    group = join(60)
    norm = nn.BatchNorm2d(5)
    norm.load_state_dict({name: torch.from_numpy(np.asarray(value)) for name, value in state.items()})
    share_batch_norm(norm, group, "cpu")
    share = slice(*((0, 4), (4, 5), (5, 7))[group.rank])
    mine = torch.from_numpy(x[share]).to(memory_format=torch.channels_last).requires_grad_()
    y = norm(mine)
    y.backward(torch.from_numpy(g[share]))
    norm.eval()
    with torch.no_grad():
        evaluated = norm(torch.from_numpy(x[:2]))
    found = {"y": y, "x": mine.grad, "weight": norm.weight.grad, "bias": norm.bias.grad, "evaluated": evaluated}
    return {name: value.detach().numpy() for name, value in {**found, **dict(norm.named_buffers())}.items()}


def _score(data: Path, weights: dict[str, np.ndarray]) -> list[list[int]]:
    card = ModelCard("depthwise_aaff", {}, CAMVID11, "camvid11", Size(64, 48))
    validation = Validation(open_dataset(data, "val"), card, TrainingEngine("cpu", "fp32", 1, True), join(60))
    report = validation.score({name: torch.from_numpy(np.asarray(value)) for name, value in weights.items()})
    return report.matrix.counts.tolist()
