"""A training that is interrupted or killed ends with the very weights of one that was left alone."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from aaff.networks.weights import read_checkpoint
from aaff.training.run_folder import STATE
from aaff.training.state import load_snapshot
from tests.training.processes import run, start, words

React = Callable[[signal.Signals, signal.Handlers], None]
EVERY_STEP = ["--checkpoint-minutes", "0", "--optim.ema", "0.9"]


def result(folder: Path) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    """Weights and metrics of a run, without what time it took."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return read_checkpoint(folder / "last.safetensors")[0], [
        {key: value for key, value in row.items() if key != "seconds"} for row in rows
    ]


def same(left: Path, right: Path) -> bool:
    (weights, rows), (others, other_rows) = result(left), result(right)
    return rows == other_rows and all(torch.equal(value, others[name]) for name, value in weights.items())


def wait_for_writes(folder: Path, times: int, process: Any) -> None:
    """Wait until the state was put down so many times, or the process has ended."""
    last, seen = written(folder), 0
    while seen < times and (process.poll() is None if isinstance(process, subprocess.Popen) else process.is_alive()):
        time.sleep(0.005)
        now = written(folder)
        seen, last = seen + (now != last), now


def written(folder: Path) -> int:
    try:
        return (folder / STATE).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def steps_done(folder: Path) -> int:
    return load_snapshot(folder / STATE).position.step


@pytest.fixture(scope="module")
def alone(blocks_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A run that nobody disturbs, and how long it took."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    began = time.monotonic()
    assert run(words(blocks_dir, folder, *EVERY_STEP), folder.parent / "log") == 0
    return folder, time.monotonic() - began


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random_points(blocks_dir: Path, tmp_path: Path, alone: tuple[Path, float], seed: int) -> None:
    whole, seconds = alone
    draw, folder, log = random.Random(seed), tmp_path / "run", tmp_path / "log"
    line = words(blocks_dir, folder, *EVERY_STEP)
    (folder / "frames").mkdir(parents=True)
    for name in (".aaff-01234567.csv", "frames/.aaff-89abcdef.jpg"):  # left by a killed process
        (folder / name).touch()
    for _ in range(2):
        process = start([*line, *(["--resume"] if (folder / STATE).exists() else [])], log)
        wait_for_writes(folder, draw.randint(1, 2), process)
        process.join(draw.uniform(0, seconds / 10))  # anywhere in a step, a score or a write
        process.kill()
        process.join()
    assert run([*line, "--resume"], log) == 0, log.read_text()
    assert same(folder, whole)
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]


def test_interrupting_a_group_with_workers_finishes_the_step(
    blocks_dir: Path, tmp_path: Path, alone: tuple[Path, float]
) -> None:
    """Ctrl-C reaches the workers too; afterwards another number of workers resumes to the same weights."""
    folder, log = tmp_path / "run", tmp_path / "log"
    line = words(blocks_dir, folder, *EVERY_STEP)
    process = start([*line, "--engine.workers", "2"], log)
    wait_for_writes(folder, 2, process)
    assert process.pid is not None
    os.killpg(process.pid, signal.SIGINT)
    process.join()
    assert process.exitcode == 130, log.read_text()
    done = steps_done(folder)
    assert 1 <= done < 6
    assert f"interrupted after step {done}; resume with: " in log.read_text()
    assert run([*line, "--resume"], log) == 0
    assert f"after step {done}" in log.read_text()
    assert same(folder, alone[0])


def test_terminating_prints_the_command_that_goes_on(
    blocks_dir: Path, tmp_path: Path, alone: tuple[Path, float], react: React
) -> None:
    """As a scheduler or ``nohup`` runs it: a process of its own, no terminal, output to a file."""
    react(signal.SIGTERM, signal.SIG_DFL)
    folder, log = tmp_path / "run", tmp_path / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "aaff", *words(blocks_dir, folder, *EVERY_STEP)],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
        wait_for_writes(folder, 2, process)
        process.terminate()
        assert process.wait() == 130, log.read_text()
    command = shlex.split(log.read_text().split("resume with: ")[1])
    assert command[:2] == ["aaff", "train"]
    assert run(command[1:], log) == 0
    assert same(folder, alone[0])


def test_validation_is_interrupted_too_and_comes_again(
    blocks_dir: Path, tmp_path: Path, alone: tuple[Path, float], monkeypatch: pytest.MonkeyPatch, react: React
) -> None:
    react(signal.SIGINT, signal.SIG_DFL)
    from aaff.cli import main
    from aaff.training.progress import Reporter

    def interrupt(self: Reporter, done: int, total: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Reporter, "evaluated", interrupt)
        assert main(words(blocks_dir, folder, *EVERY_STEP)) == 130
    position = load_snapshot(folder / STATE).position
    assert (position.epoch, position.batch, position.history) == (0, 3, [])
    assert main(words(blocks_dir, folder, *EVERY_STEP, "--resume")) == 0
    assert same(folder, alone[0])


def test_a_second_process_on_one_run_is_refused(blocks_dir: Path, alone: tuple[Path, float]) -> None:
    from aaff.cli import main
    from aaff.locks import only_process

    folder, before = alone[0], result(alone[0])
    with only_process(folder, "run"):
        assert main(words(blocks_dir, folder, *EVERY_STEP, "--resume")) == 2
    assert result(folder)[1] == before[1]


def test_a_signal_that_was_ignored_stops_nothing(
    blocks_dir: Path, tmp_path: Path, alone: tuple[Path, float], monkeypatch: pytest.MonkeyPatch, react: React
) -> None:
    """A script's background job starts with SIGINT ignored: Ctrl-C is then meant for another."""
    from aaff.cli import main
    from aaff.training.progress import Reporter

    came: list[int] = []
    monkeypatch.setattr(Reporter, "step", lambda *words: came.append(os.kill(os.getpid(), signal.SIGINT) or 1))
    react(signal.SIGINT, signal.SIG_IGN)
    assert main(words(blocks_dir, tmp_path / "run", *EVERY_STEP)) == 0
    assert len(came) == 6
    assert same(tmp_path / "run", alone[0])
