"""Carry out a plan: runs side by side in processes of their own, interruptible at any moment.

Each run is ``python -m aaff train``, then ``python -m experiments.runner.measure``.  SIGINT, SIGTERM and SIGHUP are
passed on; a training run then writes its state and ends, and the same command resumes later.  A killed
parent leaves its children working: each holds a lock on its run, so a new start waits for them rather than
training one run twice.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aaff.provenance import usable_cores
from aaff.signals import STOPPING, interrupts
from aaff.training.recipe import to_flags
from aaff.training.run_folder import STATE
from experiments.runner.measure import to_words
from experiments.runner.planned import PlannedRun, run_folder
from experiments.runner.states import forget_failure, last_line, note_failure, progress

try:
    import fcntl
except ImportError:  # Windows: no locks, so two commands must not share a folder there
    fcntl = None  # type: ignore[assignment]

_ROOT = Path(__file__).resolve().parents[2]
_LOG, _LOCK = "train.log", ".lock"
_INTERRUPTED = {130, *(-number for number in STOPPING)}


@dataclass(frozen=True)
class Workshop:
    """How runs are carried out.

    Attributes:
        out: folder of the experiment.
        data: folder of the data set.
        layout: of the data set; None is found out.
        jobs: runs side by side.
        threads: compute threads of each.
        arithmetic: ``device`` and ``precision`` by name of a run; default: what its recipe says.
        say: told in a line what happens.
        others: folders of further data sets, by the names that the plan uses.
    """

    out: Path
    data: Path
    layout: str | None
    jobs: int
    threads: int
    arithmetic: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    say: Callable[[str], None] = field(default=print)
    others: Mapping[str, Path] = field(default_factory=dict)

    def command(self, run: PlannedRun) -> list[str] | None:
        """What comes next for a run, None when nothing is left to do."""
        stage, folder = progress(self.out, run).stage, run_folder(self.out, run)
        layout = ["--layout", self.layout] if self.layout else []
        python = [sys.executable, "-m"]
        if stage == "done":
            return None
        if stage == "trained":
            words = to_words(folder, run.scorings, {"": self.data, **self.others}, self.layout)
            module = ["--import", run.variant.module] if run.variant.module else []
            return [*python, "experiments.runner.measure", *words, *module, "--threads", str(self.threads)]
        words = ["--data", str(self.data), *layout, "--out", str(folder)]
        words += ["--import", run.variant.module] if run.variant.module else []
        if (folder / STATE).is_file():
            return [*python, "aaff", "train", *words, "--resume"]
        arithmetic = ["--engine.threads", str(self.threads)]
        for key, value in self.arithmetic.get(run.name, {}).items():
            arithmetic += [f"--engine.{key}", str(value)]
        return [*python, "aaff", "train", *words, *to_flags(run.recipe.to_dict(), f"plan of {run.name}"), *arithmetic]

    def begin(self, run: PlannedRun) -> Job | None:
        """Start what comes next for a run; None when it is done or another process has it."""
        folder = run_folder(self.out, run)
        folder.mkdir(parents=True, exist_ok=True)
        lock = _take(folder / _LOCK)
        if lock is None:
            return None
        forget_failure(folder)
        command = self.command(run)
        if command is None:
            os.close(lock)
            return None
        threads = str(self.threads)
        environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        # Wherever this command was started: the experiment is not an installed package.
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        with open(folder / _LOG, "ab") as log:
            # A session of its own: a Ctrl-C in the terminal reaches the children through this process alone, once.
            keep: tuple[int, ...] = (lock,) if fcntl is not None else ()
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=keep,
                env=environment,
            )
        os.close(lock)  # the child holds it now, whatever becomes of this process
        return Job(run, process, "experiments.runner.measure" in command)


@dataclass
class Job:
    """A process at work on a run."""

    run: PlannedRun
    process: subprocess.Popen[bytes]
    scoring: bool


def execute(
    runs: Sequence[PlannedRun],
    shop: Workshop,
    *,
    tell: Callable[[Sequence[Job]], None] = lambda jobs: None,
    scored: Callable[[PlannedRun], None] = lambda run: None,
    deadline: float | None = None,
    every: float = 60.0,
) -> int:
    """Carry out all runs that are not done.

    Args:
        runs: in the order in which they are started.
        shop: how.
        tell: called every so often with the jobs at work.
        scored: called with every run whose last score is there.
        deadline: a time of ``time.monotonic()`` at which the work stops, resumable.
        every: seconds between two calls of ``tell``.

    Returns:
        0 when all are done or the time is over, 1 when a run failed, 130 after an interruption.
    """
    queue = list(runs)
    active: list[Job] = []
    failed = 0
    told = time.monotonic()

    def over() -> bool:
        return deadline is not None and time.monotonic() >= deadline

    with interrupts() as interrupted:
        try:
            while (queue or active) and not interrupted() and not over():
                for job in [job for job in active if job.process.poll() is not None]:
                    active.remove(job)
                    if _ended(job, shop):
                        queue.insert(0, job.run)  # what comes next for it, or nothing
                        if job.scoring:
                            scored(job.run)
                    else:
                        failed += 1
                _fill(queue, active, shop)
                if time.monotonic() - told > every:
                    told = time.monotonic()
                    tell(active)
                time.sleep(0.3)
        finally:
            _stop(active, shop)
        if interrupted():
            return 130
    if over() and (queue or active):
        shop.say("the time is over; give the same command again to resume")
    return 1 if failed else 0


def _ended(job: Job, shop: Workshop) -> bool:
    """Tell how a job ended; whether it ended well."""
    folder, status = run_folder(shop.out, job.run), job.process.returncode
    if status == 0:
        shop.say(f"{'scored' if job.scoring else 'trained'}: {job.run.name}")
        return True
    if status in _INTERRUPTED:
        shop.say(f"interrupted from outside: {job.run.name}; give the same command again to resume")
        return False
    message = last_line(folder / _LOG)
    note_failure(folder, status, message)
    shop.say(f"failed: {job.run.name} ({message or f'exit status {status}'}); see {folder / _LOG}")
    return False


def _fill(queue: list[PlannedRun], active: list[Job], shop: Workshop) -> None:
    """Start runs until as many are at work as there should be, those of other processes included."""
    if len(active) >= shop.jobs:
        return
    elsewhere = [run for run in queue if held(run_folder(shop.out, run))]
    for run in list(queue):
        if len(active) + len(elsewhere) >= shop.jobs:
            return
        if run in elsewhere:
            continue
        if progress(shop.out, run).stage == "done":
            queue.remove(run)
            continue
        job = shop.begin(run)
        if job is None:
            continue
        queue.remove(run)
        active.append(job)
        shop.say(f"{'scoring' if job.scoring else 'training'}: {run.name}")


def _stop(active: Sequence[Job], shop: Workshop) -> None:
    """Ask the jobs to end, and wait until their states are written."""
    for job in active:
        with contextlib.suppress(ProcessLookupError):
            job.process.terminate()
    if active:
        shop.say(f"stopping: {len(active)} runs write their state")
    for job in active:
        job.process.wait()


def held(folder: Path) -> bool:
    """Whether a process is at work on the run in a folder."""
    if fcntl is None or not (folder / _LOCK).is_file():
        return False
    lock = _take(folder / _LOCK)
    if lock is None:
        return True
    os.close(lock)
    return False


def _take(path: Path) -> int | None:
    """A descriptor that holds the lock, which lives as long as any process has the descriptor; None if it is taken."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
    return handle


def share_cores(jobs: int | None, threads: int | None, cores: int | None = None) -> tuple[int, int]:
    """Runs side by side and threads of each, where None leaves the choice to what measured best.

    Two runs on one thread each finish more work than one run on two, since no thread waits for another; so the
    choice is one thread a run, and as many runs as cores.

    >>> share_cores(None, None, cores=2), share_cores(1, None, cores=2), share_cores(None, 2, cores=8)
    ((2, 1), (1, 2), (4, 2))
    """
    cores = cores or usable_cores()
    if jobs is None:
        jobs = max(1, cores // (threads or 1))
    return jobs, threads or max(1, cores // jobs)
