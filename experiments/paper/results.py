"""All that the report is made from: the plan and its finished runs (``experiments.runner.results``), and beside them

``baselines.json``  majority class and position prior on every scored split
``fault.json``      the reference implementation's fault at small scale
``speed.json``      measured by ``aaff bench``, where there is one
``lite_latency.json``   measured by ``experiments.paper.modern_latency``, likewise
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aaff.data.layouts import open_dataset
from aaff.errors import AaffError
from aaff.evaluation import learn_priors, score_baselines, training_split
from aaff.files import read_json, write_json
from aaff.provenance import provenance
from experiments.runner.archive import Archive
from experiments.runner.planned import PlannedRun
from experiments.runner.results import RunResult, read_results, write_lines
from experiments.runner.states import content_hash


@dataclass(frozen=True)
class Results:
    """Everything that the report tells.

    Attributes:
        plan: ``settings`` and ``runs``, each with its ``stage``.
        runs: finished runs.
        baselines: by split, by name of the baseline.
        fault: what ``experiments.paper.fault.demonstrate`` gave.
        speed: what ``aaff bench`` wrote, one entry a file.
        lite_latency: what ``experiments.paper.modern_latency`` wrote.
    """

    plan: dict[str, Any]
    runs: list[RunResult]
    baselines: dict[str, dict[str, Any]] = field(default_factory=dict)
    fault: dict[str, Any] | None = None
    speed: list[Any] = field(default_factory=list)
    lite_latency: dict[str, Any] = field(default_factory=dict)

    def of(self, group: str, name: str | None = None) -> list[RunResult]:
        """Finished runs of a group, or of one network in it, in the order of the plan."""
        return [run for run in self.runs if run.group == group and name in (None, run.name)]

    def planned(self, group: str) -> list[dict[str, Any]]:
        """The plan's rows of a group, finished or not."""
        return [row for row in self.plan["runs"] if row["group"] == group]


def gather_baselines(folder: Path, data: Path, runs: Sequence[PlannedRun], layout: str | None, cache: Path) -> None:
    """Score the baselines that need no network on every split that the report shows; counted once for a data set."""
    kept: dict[str, Any] = read_json(cache) if cache.is_file() else {}
    found: dict[str, Any] = {}
    for scoring in {s.split: s for run in runs for s in run.scorings if s.full and not s.source}.values():
        try:
            dataset = open_dataset(data, scoring.split, protocol=scoring.protocol, layout=layout)
            train = open_dataset(data, training_split(scoring.split), protocol=scoring.protocol, layout=layout)
        except AaffError:
            continue  # a split that is absent has no rows, and the report says that it is absent
        key = f"{content_hash(train)} {content_hash(dataset)}"
        entry = kept.get(scoring.split)
        if entry is None or entry["key"] != key:
            rows = score_baselines(learn_priors(train), dataset)
            scores = {r.name: {**r.metrics.means(), "learned_from": r.learned_from} for r in rows}
            entry = {"key": key, "images": len(dataset), "rows": scores}
        found[scoring.split] = entry
    write_json(cache, kept | found)
    write_lines(folder / "baselines.json", {"splits": found, "provenance": provenance()})


def load_results(folder: Path) -> Results:
    """Read what ``gather`` and its neighbours wrote.

    Raises:
        AaffError: there is no ``plan.json``, or a file is damaged.
    """
    if not (folder / "plan.json").is_file():
        raise AaffError(f"there are no results in {folder}; make them with: python -m experiments.paper --data DIR")
    plan, runs = read_results(folder)
    baselines = folder / "baselines.json"
    fault, speed, latency = folder / "fault.json", folder / "speed.json", folder / "lite_latency.json"
    return Results(
        plan=plan,
        runs=runs,
        baselines={k: v["rows"] for k, v in read_json(baselines)["splits"].items()} if baselines.is_file() else {},
        fault=read_json(fault) if fault.is_file() else None,
        speed=read_json(speed) if speed.is_file() else [],
        lite_latency=read_json(latency) if latency.is_file() else {},
    )


def add_score(folder: Path, run: str, score: Mapping[str, Any]) -> None:
    """Put the score of a split into the result of a finished run, named as in the plan."""
    path = Archive(folder).path(run)
    entry = read_json(path)
    scores = entry["scores"] | {score["split"]: score}
    write_lines(path, entry | {"scores": {split: scores[split] for split in sorted(scores)}})
