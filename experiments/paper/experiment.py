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
from aaff.provenance import file_hash
from aaff.training.run_folder import LAST
from experiments.paper.document import write_report
from experiments.paper.fault import Scale, demonstrate
from experiments.paper.groups import DEFAULT_ORDER
from experiments.paper.pictures import draw_pictures
from experiments.paper.plan import PAPER_ORDER, Settings, chosen_folds, make_plan
from experiments.paper.publish import publish, source_of
from experiments.paper.results import Results, add_score, gather_baselines, load_results
from experiments.runner.archive import LATER
from experiments.runner.costs import Costs
from experiments.runner.measure import measure_checkpoint
from experiments.runner.planned import run_folder
from experiments.runner.queue import Queue
from experiments.runner.results import RunResult, gather
from experiments.runner.states import check_content


class Experiment(Queue):
    """One folder with one plan.

    Args:
        data: folder of the data set.
        out: folder of the experiment.
        settings: what the plan consists of; its ``folds`` are filled in by ``all_folds``.
        layout: of the data set; detected by default.
        others: folders of further data sets, by the names that the plan uses.
        order: of the groups.
        archive: folder of results whose runs count as done though their folders are gone.
        say: told in a line what happens.
        miniature: the report says that its scores mean nothing.

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
        others: Mapping[str, Path] | None = None,
        order: Sequence[str] = DEFAULT_ORDER,
        archive: Path | None = None,
        say: Callable[[str], None] = print,
        miniature: bool = False,
    ) -> None:
        self.settings, self.miniature = settings, miniature
        labels = open_dataset(data, "train", protocol=settings.protocol, layout=layout).labels
        costs = Costs(labels.num_classes, out / "costs.json")
        runs = make_plan(settings, costs.macs, order=order)
        super().__init__(runs, data, out, costs, layout=layout, others=others, archive=archive, say=say)

    def _open(self, split: str, protocol: str | None) -> Dataset:
        return open_dataset(self.data, split, protocol=protocol, layout=self.layout)

    def check(self) -> dict[str, dict[str, Any]]:
        arithmetic = super().check()
        available = splits(self.data, self.layout)
        present = [s for s in ("train", "val", *(["test"] if self.settings.test else [])) if s in available]
        check_content(self.out, [self._open(split, self.settings.protocol) for split in present])
        return arithmetic

    def fault(self, results: Path, scale: Scale | None = None) -> None:
        """Show the reference implementation's fault, once.

        Args:
            results: folder of the results, in which it may be kept already.
            scale: how small.
        """
        path = self.out / "fault.json"
        if not path.is_file() and not (results / path.name).is_file():
            self.say("showing the reference implementation's fault on synthetic streets")
            write_json(path, demonstrate(scale or Scale()))

    def keep(self, results: Path) -> None:
        """Write the results of all finished runs as JSON files into a folder."""
        settings = {
            "protocol": self.settings.protocol or self._open("train", None).protocol,
            "seeds": list(self.settings.seeds),
            "held_out_drives": list(self.settings.folds),
            "test": self.settings.test,
            "miniature": self.miniature,
        }
        gather(results, self, settings)

    def report(
        self, folder: Path, results: Path, *, drawn: bool, speed: Sequence[Path] = (), weights: Path | None = None
    ) -> Path:
        """Write results and report of what is finished.

        Args:
            folder: for ``index.html``, ``README.md`` and ``figures/``.
            results: for the JSON files.
            drawn: show synthetic streets in place of frames of the data set.
            speed: files that ``aaff bench`` wrote; the ones taken up earlier stay when left out.
            weights: folder of published weights, which show the maps of runs whose folders are gone.

        Returns:
            The HTML page.
        """
        self.keep(results)
        gather_baselines(results, self.data, self.runs, self.layout, self.out / "baselines.json")
        if (self.out / "fault.json").is_file():
            write_json(results / "fault.json", read_json(self.out / "fault.json"))
        if speed:
            write_json(results / "speed.json", [read_json(path) for path in speed])
        return write_report(folder, results, self._pictures(load_results(results), drawn, weights))

    def checkpoints(self, results: Results, weights: Path | None = None) -> dict[str, tuple[Path, RunResult]]:
        """Checkpoint and result of every run of group seeds, by its name in the plan, where both are there.

        Args:
            results: finished runs.
            weights: folder of published weights (``NAME.safetensors``, further seeds ``NAME-seedN.safetensors``), which
                stand for checkpoints that are gone.
        """
        found = {}
        for run in self.runs:
            name = run.variant.name
            result = next((r for r in results.of("seeds", name) if r.seed == run.seed), None)
            if run.group != "seeds" or result is None:
                continue
            paths = [run_folder(self.out, run) / LAST]
            if weights is not None:
                paths += [weights / f"{name}-seed{run.seed}.safetensors", weights / f"{name}.safetensors"]
            for path in paths:
                if path.is_file() and result.checkpoint in (file_hash(path), source_of(path)):
                    found[run.name] = path, result
                    break
        return found

    def first_seed(self, results: Results, weights: Path | None = None) -> dict[str, tuple[Path, RunResult]]:
        """Checkpoint and result of the first seed of the four networks, see ``checkpoints``."""
        there = self.checkpoints(results, weights).values()
        found = {result.name: (path, result) for path, result in there if result.seed == self.settings.seeds[0]}
        return {name: found[name] for name in PAPER_ORDER if name in found}

    def score_published(self, results: Path, weights: Path) -> None:
        """Score published weights on the test split, where it came after the folders of their runs had gone.

        Args:
            results: folder of the results, which get the scores.
            weights: folder of the published weights, in half precision; every seed that is there is scored.
        """
        if not self.settings.test or not (results / "plan.json").is_file():
            return
        found = self.checkpoints(load_results(results), weights)
        for name, (path, result) in found.items():
            if path.parent == weights and LATER not in result.scores:
                self.say(f"scoring on {LATER}: {path}")
                dataset = self._open(LATER, self.settings.protocol)
                add_score(results, name, measure_checkpoint(path, dataset, full=True))
        planned = sum(run.group == "seeds" for run in self.runs)
        self.say(f"{LATER}: weights of {len(found)} of {planned} runs of group seeds are there to be scored")

    def publish_weights(self, results: Path, weights: Path, recipe: str) -> list[Path]:
        """Write weights and cards of the first seed, see ``experiments.paper.publish.publish``.

        Args:
            results: folder of the results.
            weights: for the files.
            recipe: what the recipe of group seeds is called.
        """
        first = self.first_seed(load_results(results), weights)
        return publish(weights, first, self._open("val", self.settings.protocol), recipe)

    def _pictures(self, results: Results, drawn: bool, weights: Path | None) -> Path | None:
        first = self.first_seed(results, weights)
        if not first:
            return None
        folder = self.out / "pictures" / ("drawn" if drawn else "frames")
        tables = [result.scores["val"]["frames"] for _, result in first.values()]
        scores = {
            name: statistics.fmean(values)
            for name in tables[0]
            if None not in (values := [table[name] for table in tables])
        }
        source = None if drawn else self._open("val", self.settings.protocol)
        draw_pictures(folder, {name: path for name, (path, _) in first.items()}, source, scores)
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
