"""The experiment as a whole: plan, checks, work and report of one folder, for the command and for the demo."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aaff.data.layouts import open_dataset, splits
from aaff.data.protocols import DRIVES
from aaff.data.sample import Dataset
from aaff.errors import DataError
from aaff.files import read_json, write_json
from aaff.report.costs import Costs
from aaff.report.document import write_report
from aaff.report.fault import Scale, demonstrate
from aaff.report.pictures import draw_pictures
from aaff.report.plan import DEFAULT_ORDER, PAPER_ORDER, PlannedRun, Settings, chosen_folds, make_plan, run_folder
from aaff.report.results import gather, gather_baselines
from aaff.report.runs import (
    Clock,
    Progress,
    check_content,
    check_run,
    common_arithmetic,
    frame_names_hash,
    measurement_file,
    progress,
)
from aaff.report.work import Job, Workshop, execute
from aaff.training.loop import LAST


class Experiment:
    """One folder with one plan.

    Args:
        data: folder of the data set.
        out: folder of the experiment.
        settings: what the plan consists of; its ``folds`` are filled in by :func:`all_folds`.
        layout: of the data set; found out when left out.
        order: of the groups.
        say: told in a line what happens.

    Raises:
        AaffError: the data set cannot be opened.
    """

    def __init__(
        self,
        data: Path,
        out: Path,
        settings: Settings,
        *,
        layout: str | None = None,
        order: Sequence[str] = DEFAULT_ORDER,
        say: Callable[[str], None] = print,
    ) -> None:
        self.data, self.out, self.settings, self.layout, self.say = data, out, settings, layout, say
        labels = self._open("train", settings.protocol).labels
        self.costs = Costs(labels.num_classes, out / "costs.json")
        self.runs = make_plan(settings, self.costs.macs, order=order)
        self._train = {(r.recipe.train_split, r.recipe.protocol): None for r in self.runs}
        self._sets = {split: self._open(split, protocol) for split, protocol in self._train}
        self.clock = Clock({split: len(found) for split, found in self._sets.items()}, self.costs.macs)

    def _open(self, split: str, protocol: str | None) -> Dataset:
        return open_dataset(self.data, split, protocol=protocol, layout=self.layout)

    def states(self) -> dict[str, Progress]:
        """How far every run is, by its name; the clock learns from it."""
        self.clock.forget()
        found = {run.name: progress(self.out, run) for run in self.runs}
        for run in self.runs:
            self.clock.learn(run, found[run.name])
        return found

    def check(self) -> dict[str, Any]:
        """Refuse runs of other settings or data; the arithmetic of new runs, as ``device`` and ``precision``.

        Raises:
            AaffError: a run or the data set is not what the plan says; the differing keys are named.
        """
        names = {split: frame_names_hash(found) for split, found in self._sets.items()}
        found = {run.name: check_run(self.out, run, names[run.recipe.train_split]) for run in self.runs}
        begun = {name: arithmetic for name, arithmetic in found.items() if arithmetic is not None}
        available = splits(self.data, self.layout)
        present = [s for s in ("train", "val", *(["test"] if self.settings.test else [])) if s in available]
        check_content(self.out, [self._open(split, self.settings.protocol) for split in present])
        return common_arithmetic(begun) or {"device": "auto", "precision": "auto"}

    def work(
        self, runs: Sequence[PlannedRun], jobs: int, threads: int, *, train: bool = True, every: float = 60
    ) -> int:
        """Train and score runs.

        Args:
            runs: of this plan.
            jobs: side by side.
            threads: of each.
            train: False scores what is trained and trains nothing.
            every: seconds between two lines about the progress.

        Returns:
            0, 1 when a run failed, 130 after an interruption.
        """
        arithmetic = self.check()
        if not train:
            runs = [run for run in runs if progress(self.out, run).stage == "trained"]
        device, precision = str(arithmetic["device"]), str(arithmetic["precision"])
        shop = Workshop(self.out, self.data, self.layout, jobs, threads, device, precision, self.say)
        return execute(runs, shop, tell=lambda active: self._tell(active, runs, jobs), every=every)

    def _tell(self, active: Sequence[Job], runs: Sequence[PlannedRun], jobs: int) -> None:
        states = self.states()
        at = ", ".join(f"{j.run.name} {states[j.run.name].epoch}/{j.run.recipe.epochs}" for j in active)
        done = sum(states[run.name].stage == "done" for run in runs)
        self.say(f"{done} of {len(runs)} runs done, {span(self.time_left(runs, states, jobs))} left; at {at}")

    def time_left(self, runs: Sequence[PlannedRun], states: Mapping[str, Progress], jobs: int) -> float:
        """Seconds until all runs are trained, so many side by side."""
        left = [self.clock.left(run, states[run.name]) for run in runs]
        return max(sum(left) / jobs, max(left, default=0.0))

    def fault(self, scale: Scale | None = None) -> None:
        """Show the published fault, once."""
        path = self.out / "fault.json"
        if not path.is_file():
            self.say("showing the published fault on drawn streets, a few minutes")
            write_json(path, demonstrate(scale or Scale()))

    def report(self, folder: Path, results: Path, *, drawn: bool, speed: Sequence[Path] = ()) -> Path:
        """Write results and report of what is finished.

        Args:
            folder: for ``index.html``, ``README.md`` and ``figures/``.
            results: for the JSON files.
            drawn: show drawn streets in place of frames of the data set.
            speed: files that ``aaff bench`` wrote; the ones taken up earlier stay when left out.

        Returns:
            The HTML page.
        """
        self.states()
        settings = {
            "protocol": self.settings.protocol or self._open("train", None).protocol,
            "seeds": list(self.settings.seeds),
            "held_out_drives": list(self.settings.folds),
            "test": self.settings.test,
        }
        gather(results, self.out, self.runs, settings, self.costs, self.clock)
        gather_baselines(results, self.data, self.runs, self.layout, self.out / "baselines.json")
        for name in ("fault.json",):
            if (self.out / name).is_file():
                write_json(results / name, read_json(self.out / name))
        if speed:
            write_json(results / "speed.json", [read_json(path) for path in speed])
        return write_report(folder, results, self._pictures(drawn))

    def _pictures(self, drawn: bool) -> Path | None:
        first = {r.variant.name: r for r in self.runs if r.group == "seeds" and r.seed == self.settings.seeds[0]}
        done = [n for n in PAPER_ORDER if n in first and progress(self.out, first[n]).stage == "done"]
        if not done:
            return None
        folder = self.out / "pictures" / ("drawn" if drawn else "frames")
        checkpoints = {name: run_folder(self.out, first[name]) / LAST for name in done}
        tables = [read_json(measurement_file(run_folder(self.out, first[n]), "val"))["frames"] for n in done]
        scores = {
            name: statistics.fmean(values)
            for name in tables[0]
            if None not in (values := [table[name] for table in tables])
        }
        draw_pictures(folder, checkpoints, None if drawn else self._open("val", self.settings.protocol), scores)
        return folder


def all_folds(data: Path, layout: str | None, wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """The drives that can be held out of train + val.

    Raises:
        DataError: the data set has no drives, or not the classes of CamVid.
        UnknownNameError: a wanted drive is not there.
    """
    try:
        found = splits(data, layout, protocol=DRIVES)
    except DataError as error:
        raise DataError(f"group drives needs frames named after their drive in train and val: {error}") from error
    if not found:
        raise DataError(f"group drives needs two drives or more in train and val of {data}")
    return chosen_folds(found, wanted)


def span(seconds: float) -> str:
    """A span of time in words.

    >>> span(50), span(600), span(3.5 * 3600)
    ('1 min', '10 min', '3 h 30 min')
    """
    minutes = max(1, round(seconds / 60)) if seconds > 0 else 0
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest:02} min" if hours else f"{rest} min"
