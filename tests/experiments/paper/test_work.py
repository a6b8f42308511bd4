"""Runs are carried out side by side, once each, and nothing that happens to a process loses or mixes them."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from aaff.training.run_folder import LAST, STATE
from experiments.runner.planned import PlannedRun, run_folder
from experiments.runner.states import progress
from experiments.runner.work import Workshop, execute, held
from tests.experiments.paper.tiny import NAMES, experiment, last_value

WORK = """
import pathlib, shutil, signal, sys, time
source, target, stage, seconds = sys.argv[1:5]
source, target = pathlib.Path(source), pathlib.Path(target)
def stop(*_):
    (target / "stopped").touch()
    sys.exit(130)
signal.signal(signal.SIGTERM, stop)
with open(target / "starts.txt", "a") as file:  # last: whoever reads it may send a signal
    file.write(stage + "\\n")
time.sleep(float(seconds))
if stage == "score":
    shutil.copytree(source / "measured", target / "measured")
else:
    for name in FILES:
        shutil.copy(source / name, target)
"""


@dataclass(frozen=True, kw_only=True)
class Rehearsal(Workshop):
    """Processes that copy a finished run's files instead of making them.

    Attributes:
        source: the finished experiment.
        seconds: that each step takes.
        broken: a run that fails with a message, by its name.
    """

    source: Path
    seconds: float = 0.0
    broken: str = ""

    def command(self, run: PlannedRun) -> list[str] | None:
        stage = progress(self.out, run).stage
        if stage == "done":
            return None
        if run.name == self.broken:
            return [sys.executable, "-c", "print('the loss is not a number'); raise SystemExit(2)"]
        script = f"FILES = {(STATE, LAST)!r}\n{textwrap.dedent(WORK)}"
        step = "score" if stage == "trained" else "train"
        folders = str(self.source / run.name), str(run_folder(self.out, run))
        words = [*folders, step, str(self.seconds), *(["experiments.runner.measure"] if step == "score" else [])]
        return [sys.executable, "-c", script, *words]


def rehearsal(out: Path, data: Path, finished: Path, **more: object) -> tuple[Rehearsal, list[str]]:
    told: list[str] = []
    shop = Rehearsal(out, data, None, 2, 1, say=told.append, source=finished, **more)  # type: ignore[arg-type]
    return shop, told


def starts(out: Path, name: str) -> list[str]:
    path = out / name / "starts.txt"
    return path.read_text().split() if path.is_file() else []


def test_every_run_is_trained_and_scored_once(scenes_dir: Path, finished: Path, tmp_path: Path) -> None:
    shop, told = rehearsal(tmp_path, scenes_dir, finished)
    plan = experiment(scenes_dir, tmp_path).runs
    assert execute(plan, shop) == 0
    assert [starts(tmp_path, name) for name in NAMES] == [["train", "score"]] * 2
    assert f"scored: {NAMES[0]}" in told
    assert execute(plan, shop) == 0  # nothing is left to do
    assert starts(tmp_path, NAMES[0]) == ["train", "score"]


def test_work_ends_when_its_time_is_over_and_can_be_resumed(scenes_dir: Path, finished: Path, tmp_path: Path) -> None:
    plan = experiment(scenes_dir, tmp_path).runs
    slow, told = rehearsal(tmp_path, scenes_dir, finished, seconds=60)
    assert execute(plan, slow, deadline=time.monotonic() + 2) == 0
    assert "resume" in told[-1]
    quick, _ = rehearsal(tmp_path, scenes_dir, finished)
    scored: list[str] = []
    assert execute(plan, quick, scored=lambda run: scored.append(run.name)) == 0
    assert sorted(scored) == sorted(NAMES)


def test_a_failure_is_noted_and_the_others_go_on(scenes_dir: Path, finished: Path, tmp_path: Path) -> None:
    shop, told = rehearsal(tmp_path, scenes_dir, finished, broken=NAMES[0])
    plan = experiment(scenes_dir, tmp_path).runs
    assert execute(plan, shop) == 1
    assert progress(tmp_path, plan[0]).failure == "the loss is not a number"
    assert progress(tmp_path, plan[1]).stage == "done"
    assert any("failed" in line and "train.log" in line for line in told)
    mended, _ = rehearsal(tmp_path, scenes_dir, finished)
    assert execute(plan, mended) == 0
    assert progress(tmp_path, plan[0]).stage == "done"


def send_once_begun(number: signal.Signals, out: Path) -> threading.Thread:
    """Signals this process when both runs of the experiment in ``out`` have begun."""

    def send() -> None:
        while not all(starts(out, name) for name in NAMES):
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    sender = threading.Thread(target=send)
    sender.start()
    return sender


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_lets_the_runs_write_their_state(
    number: signal.Signals,
    scenes_dir: Path,
    finished: Path,
    tmp_path: Path,
    react: Callable[[signal.Signals, signal.Handlers], None],
) -> None:
    react(number, signal.SIG_DFL)
    shop, _ = rehearsal(tmp_path, scenes_dir, finished, seconds=60)
    plan = experiment(scenes_dir, tmp_path).runs
    sender = send_once_begun(number, tmp_path)
    assert execute(plan, shop) == 130
    sender.join()
    assert all((tmp_path / name / "stopped").is_file() for name in NAMES)
    quick, _ = rehearsal(tmp_path, scenes_dir, finished)
    assert execute(plan, quick) == 0


def test_under_nohup_a_closed_terminal_stops_nothing(
    scenes_dir: Path, finished: Path, tmp_path: Path, react: Callable[[signal.Signals, signal.Handlers], None]
) -> None:
    react(signal.SIGHUP, signal.SIG_IGN)
    shop, _ = rehearsal(tmp_path, scenes_dir, finished, seconds=1)
    plan = experiment(scenes_dir, tmp_path).runs
    sender = send_once_begun(signal.SIGHUP, tmp_path)
    assert execute(plan, shop) == 0
    sender.join()
    assert not any((tmp_path / name / "stopped").exists() for name in NAMES)


def test_two_commands_share_a_folder_without_doing_a_run_twice(
    scenes_dir: Path, finished: Path, tmp_path: Path
) -> None:
    plan = experiment(scenes_dir, tmp_path).runs
    status: list[int] = []
    shops = [rehearsal(tmp_path, scenes_dir, finished, seconds=0.3)[0] for _ in range(2)]
    workers = [threading.Thread(target=lambda shop=shop: status.append(execute(plan, shop))) for shop in shops]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert status == [0, 0]
    assert [starts(tmp_path, name) for name in NAMES] == [["train", "score"]] * 2


def test_a_run_of_a_killed_command_is_waited_for(scenes_dir: Path, finished: Path, tmp_path: Path) -> None:
    slow, _ = rehearsal(tmp_path, scenes_dir, finished, seconds=1)
    plan = experiment(scenes_dir, tmp_path).runs
    orphan = slow.begin(plan[0])  # its command is gone, it works on
    assert orphan is not None
    assert held(tmp_path / NAMES[0])
    quick, _ = rehearsal(tmp_path, scenes_dir, finished)
    assert quick.begin(plan[0]) is None
    assert execute(plan, quick) == 0
    assert orphan.process.wait() == 0
    assert starts(tmp_path, NAMES[0]) == ["train", "score"]
    assert not held(tmp_path / NAMES[0])


def test_a_precision_named_by_the_recipe_is_taken_unless_runs_to_compare_with_have_another(
    scenes_dir: Path, tmp_path: Path
) -> None:
    run = experiment(scenes_dir, tmp_path).runs[0]
    named = replace(run, recipe=replace(run.recipe, engine=replace(run.recipe.engine, precision="fp32")))
    for shared, expected in (({}, "fp32"), ({run.name: {"device": "cpu", "precision": "bf16"}}, "bf16")):
        command = Workshop(tmp_path, scenes_dir, None, 1, 1, shared).command(named)
        assert last_value(command, "--engine.precision") == expected


def test_the_real_commands_train_then_score_then_end(scenes_dir: Path, finished: Path, tmp_path: Path) -> None:
    run = experiment(scenes_dir, tmp_path).runs[0]
    shop = Workshop(tmp_path, scenes_dir, "segnet", 1, 1, {run.name: {"device": "cpu", "precision": "fp32"}})
    first = shop.command(run)
    assert first is not None
    assert first[2:4] == ["aaff", "train"]
    assert first[-4:] == ["--engine.device", "cpu", "--engine.precision", "fp32"]
    assert "--resume" not in first
    folder = run_folder(tmp_path, run)
    folder.mkdir(parents=True)
    (folder / STATE).write_bytes((finished / run.name / STATE).read_bytes())
    second = shop.command(run)
    assert second is not None
    assert second[-1] == "--resume"
    (folder / LAST).write_bytes((finished / run.name / LAST).read_bytes())
    third = shop.command(run)
    assert third is not None
    assert third[2] == "experiments.runner.measure"
    assert third[third.index("val") - 1 : third.index("val") + 3] == ["--split", "val", "", "full"]
