"""A plan at work in one folder: what is done, whether it is what the plan says, and the work on the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aaff.data.layouts import open_dataset
from aaff.data.sample import Dataset
from aaff.errors import OptionError
from aaff.plugins import import_module
from aaff.training.engine import bf16_is_fast
from aaff.training.preparation import open_splits
from experiments.runner.archive import Archive
from experiments.runner.costs import Costs
from experiments.runner.planned import PlannedRun, Scoring
from experiments.runner.states import (
    Clock,
    RunState,
    check_run,
    common_arithmetic,
    content_hash,
    frame_names_hash,
    progress,
)
from experiments.runner.work import Job, Workshop, execute


class Queue:
    """The runs of a plan, their data and their folder.

    Args:
        runs: in the order in which they are started.
        data: folder of the data set.
        out: folder of the runs.
        costs: of the networks.
        layout: of the data set; detected by default.
        others: folders of further data sets, by the names that the plan uses.
        archive: folder of results whose runs count as done though their folders are gone.
        say: told in a line what happens.

    Raises:
        AaffError: a data set cannot be opened, or one that the plan needs is not given.
    """

    def __init__(
        self,
        runs: Sequence[PlannedRun],
        data: Path,
        out: Path,
        costs: Costs,
        *,
        layout: str | None = None,
        others: Mapping[str, Path] | None = None,
        archive: Path | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self.runs, self.data, self.out, self.costs = list(runs), data, out, costs
        self.layout, self.others, self.say = layout, dict(others or {}), say
        self.archive = Archive(archive) if archive is not None else None
        self._hashes: dict[tuple[str, str, str | None], str] = {}
        for run in runs:
            needed = {scoring.source for scoring in run.scorings} - {"", *self.others}
            if needed:
                raise OptionError(f"{run.name} needs the data set {min(needed)!r}; name its folder")
            if run.variant.module:
                import_module(run.variant.module)
        sets = {_training_data(run): run for run in self.runs}
        self._sets = {key: self._open_training(run) for key, run in sets.items()}
        self.clock = Clock({run.name: len(self._sets[_training_data(run)]) for run in self.runs}, costs.macs)

    def _open_training(self, run: PlannedRun) -> Dataset:
        return open_splits(self.data, run.recipe, self.layout).train

    def _state(self, run: PlannedRun, own: RunState) -> RunState:
        """How far a run is; a result in the archive stands for a folder that holds no finished run."""
        if self.archive is None or own.stage in ("trained", "done"):
            return own
        return self.archive.progress(run) or own

    def states(self) -> dict[str, RunState]:
        """How far every run is, by its name; the clock learns from it."""
        self.clock.forget()
        own = {run.name: progress(self.out, run) for run in self.runs}
        found = {run.name: self._state(run, own[run.name]) for run in self.runs}
        for run in self.runs:
            self.clock.learn(run, own[run.name])
        if not self.clock.measured:  # better than nothing: what other machines have taken
            for run in self.runs:
                self.clock.learn(run, found[run.name])
        return found

    def check(self) -> dict[str, dict[str, Any]]:
        """Refuse runs of other settings or data.

        Returns:
            By the names of runs the ``device`` and ``precision`` of those that are compared with them (the same
            group, condition and seed); runs among which none has begun are left out.

        Raises:
            AaffError: a run or a data set is not what the plan says; the differing keys are named.
        """
        names = {key: frame_names_hash(found) for key, found in self._sets.items()}
        begun: dict[tuple[str, str, int], dict[str, dict[str, Any]]] = {}
        for run in self.runs:
            frames = names[_training_data(run)]
            found = {run.name: check_run(self.out, run, frames)}
            if self.archive is not None:
                found[f"the result of {run.name}"] = self.archive.check(run, frames, self._content)
            compared = begun.setdefault(_compared(run), {})
            compared |= {name: arithmetic for name, arithmetic in found.items() if arithmetic is not None}
        common = {key: common_arithmetic(compared) for key, compared in begun.items()}
        return {run.name: shared for run in self.runs if (shared := common[_compared(run)]) is not None}

    def _content(self, scoring: Scoring) -> str:
        key = scoring.source, scoring.split, scoring.protocol
        if key not in self._hashes:
            root, layout = (self.others[scoring.source], None) if scoring.source else (self.data, self.layout)
            self._hashes[key] = content_hash(
                open_dataset(root, scoring.split, protocol=scoring.protocol, layout=layout)
            )
        return self._hashes[key]

    def work(
        self,
        runs: Sequence[PlannedRun],
        jobs: int,
        threads: int,
        *,
        train: bool = True,
        minutes: float | None = None,
        scored: Callable[[PlannedRun], None] = lambda run: None,
        every: float = 60,
    ) -> int:
        """Train and score runs.

        Args:
            runs: of this plan.
            jobs: side by side.
            threads: of each.
            train: False scores what is trained and trains nothing.
            minutes: stop after this time, resumable; None: when all is done.
            scored: called with every run as it ends.
            every: seconds between two lines about the progress.

        Returns:
            0 when all are done or the time is over, 1 when a run failed, 130 after an interruption.
        """
        arithmetic = self.check()
        states = self.states()
        left = [run for run in runs if states[run.name].stage != "done"]
        if not train:
            left = [run for run in left if states[run.name].epoch >= run.recipe.epochs]
        left.sort(key=lambda run: _emulated(arithmetic.get(run.name, {})))  # stable: else the order of the plan
        shop = Workshop(self.out, self.data, self.layout, jobs, threads, arithmetic, self.say, self.others)
        return execute(
            left,
            shop,
            tell=lambda active: self._tell(active, runs, jobs),
            scored=scored,
            deadline=None if minutes is None else time.monotonic() + 60 * minutes,
            every=every,
        )

    def _tell(self, active: Sequence[Job], runs: Sequence[PlannedRun], jobs: int) -> None:
        states = self.states()
        at = ", ".join(f"{j.run.name} {states[j.run.name].epoch}/{j.run.recipe.epochs}" for j in active)
        done = sum(states[run.name].stage == "done" for run in runs)
        self.say(f"{done} of {len(runs)} runs done, {span(self.time_left(runs, states, jobs))} left; at {at}")

    def time_left(self, runs: Sequence[PlannedRun], states: Mapping[str, RunState], jobs: int) -> float:
        """Seconds until all runs are trained, so many side by side."""
        left = [self.clock.left(run, states[run.name]) for run in runs]
        return max(sum(left) / jobs, max(left, default=0.0))


def _training_data(run: PlannedRun) -> tuple[object, ...]:
    """What decides which frames a run is trained on."""
    return run.recipe.train_split, run.recipe.protocol


def _compared(run: PlannedRun) -> tuple[str, str, int]:
    """What runs that are compared with each other share."""
    return run.group, run.condition, run.seed


def _emulated(arithmetic: Mapping[str, Any]) -> bool:
    """Whether a run must be trained in a precision that this machine computes slowly; such runs come last."""
    return arithmetic.get("device") == "cpu" and arithmetic.get("precision") == "bf16" and not bf16_is_fast()


def span(seconds: float) -> str:
    """A span of time in words.

    >>> span(50), span(600), span(3.5 * 3600)
    ('1 min', '10 min', '3 h 30 min')
    """
    minutes = max(1, round(seconds / 60)) if seconds > 0 else 0
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest:02} min" if hours else f"{rest} min"
