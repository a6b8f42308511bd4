"""Results as JSON: gathered from finished runs, written once, and all that the report is made from.

``plan.json``       every run of the plan and where it stands
``runs/GROUP/RUN.json``   a finished run with history, scores, hashes and provenance
``baselines.json``  majority class and position prior on every scored split
``fault.json``      the published fault at small scale
``speed.json``      measured by ``aaff bench``, where there is one
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aaff.data.layouts import open_dataset
from aaff.errors import AaffError
from aaff.evaluation import learn_priors, score_baselines, training_split
from aaff.files import read_json, write_json, write_text
from aaff.provenance import file_hash, provenance
from aaff.training.trainer import LAST
from experiments.paper.archive import Archive
from experiments.paper.costs import Costs
from experiments.paper.plan import PlannedRun, run_folder
from experiments.paper.runs import Clock, RunState, content_hash, measurement_file, progress, read_header


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes:
        group, name, network, seed, fold, condition: as in the plan.
        options: of the network.
        parameters, macs: cost of the network for one frame of ``size``.
        size: WIDTHxHEIGHT of training and scoring.
        history: one row per epoch.
        scores: by split, what ``experiments.paper.measure.measure_engine`` gave.
        recipe: the effective recipe.
        data: hash of the names of the training frames.
        seconds: time trained.
        checkpoint: SHA-256 of the scored weights.
        provenance: of the training.
    """

    group: str
    name: str
    network: str
    seed: int
    fold: str | None
    condition: str
    options: list[str]
    parameters: int
    macs: int
    size: str
    history: list[dict[str, Any]]
    scores: dict[str, dict[str, Any]]
    recipe: dict[str, Any]
    data: str
    seconds: float
    checkpoint: str
    provenance: dict[str, Any]


@dataclass(frozen=True)
class Results:
    """Everything that the report tells.

    Attributes:
        plan: ``settings`` and ``runs``, each with its ``stage``.
        runs: finished runs.
        baselines: by split, by name of the baseline.
        fault: what ``experiments.paper.fault.demonstrate`` gave.
        speed: what ``aaff bench`` wrote, one entry a file.
    """

    plan: dict[str, Any]
    runs: list[RunResult]
    baselines: dict[str, dict[str, Any]] = field(default_factory=dict)
    fault: dict[str, Any] | None = None
    speed: list[Any] = field(default_factory=list)

    def of(self, group: str, name: str | None = None) -> list[RunResult]:
        """Finished runs of a group, or of one network in it, in the order of the plan."""
        return [run for run in self.runs if run.group == group and name in (None, run.name)]

    def planned(self, group: str) -> list[dict[str, Any]]:
        """The plan's rows of a group, finished or not."""
        return [row for row in self.plan["runs"] if row["group"] == group]


def gather(
    folder: Path,
    out: Path,
    runs: Sequence[PlannedRun],
    states: Mapping[str, RunState],
    settings: Mapping[str, Any],
    costs: Costs,
    clock: Clock,
    archive: Archive | None = None,
) -> None:
    """Write the results of all finished runs, one file each.

    Args:
        folder: where the JSON files go.
        out: folder of the experiment.
        runs: the plan.
        states: where each run stands, by its name.
        settings: told in ``plan.json``.
        costs: parameters and MACs.
        clock: expected times.
        archive: results of runs whose folders may be gone.
    """
    rows = []
    for run in runs:
        state = states[run.name]
        rows.append(
            {
                "run": run.name,
                "group": run.group,
                "name": run.variant.name,
                "network": run.variant.model,
                "options": list(run.variant.options),
                "seed": run.seed,
                "fold": run.fold,
                "condition": run.condition,
                "stage": state.stage,
                "epoch": state.epoch,
                "epochs": run.recipe.epochs,
                "failure": state.failure,
                "core_hours": round(clock.whole(run) / 3600, 2),
            }
        )
        if state.stage == "done":
            kept = archive.read(run) if archive is not None else None
            own = _result(out, run, costs, kept) if progress(out, run).stage == "done" else kept
            _write(Archive(folder).path(run.name), own)
    _write(folder / "plan.json", {"settings": dict(settings), "runs": rows, "provenance": provenance()})


def _result(out: Path, run: PlannedRun, costs: Costs, kept: dict[str, Any] | None) -> dict[str, Any]:
    """What a run folder tells, with scores of the same weights that were kept elsewhere."""
    folder = run_folder(out, run)
    header = read_header(folder)
    assert header is not None, "only finished runs have results"
    cost, checkpoint = costs.of(run.recipe), file_hash(folder / LAST)
    # Whatever was scored belongs to the run, such as a test split that this call did not ask for.
    measured = [read_json(path) for path in measurement_file(folder, "*").parent.glob("*.json")]
    scores = {m["split"]: m for m in measured if m["checkpoint"] == checkpoint}
    if kept is not None and kept["checkpoint"] == checkpoint:
        scores = kept["scores"] | scores
    return {
        "group": run.group,
        "name": run.variant.name,
        "network": run.variant.model,
        "seed": run.seed,
        "fold": run.fold,
        "condition": run.condition,
        "options": list(run.variant.options),
        "parameters": cost["parameters"],
        "macs": cost["macs"],
        "size": str(run.recipe.augment.crop),
        "history": header["position"]["history"],
        "scores": {split: scores[split] for split in sorted(scores)},
        "recipe": header["recipe"],
        "data": header["data"],
        "seconds": round(header["position"]["seconds"], 1),
        "checkpoint": checkpoint,
        "provenance": {**costs.card(folder / LAST).provenance, "engine": header["engine"]},
    }


def add_score(folder: Path, run: str, score: Mapping[str, Any]) -> None:
    """Put the score of a split into the result of a finished run, named as in the plan."""
    path = Archive(folder).path(run)
    entry = read_json(path)
    scores = entry["scores"] | {score["split"]: score}
    _write(path, entry | {"scores": {split: scores[split] for split in sorted(scores)}})


def gather_baselines(folder: Path, data: Path, runs: Sequence[PlannedRun], layout: str | None, cache: Path) -> None:
    """Score the baselines that need no network on every split that the report shows; counted once for a data set."""
    kept: dict[str, Any] = read_json(cache) if cache.is_file() else {}
    found: dict[str, Any] = {}
    for scoring in {s.split: s for run in runs for s in run.scorings if s.full}.values():
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
    _write(folder / "baselines.json", {"splits": found, "provenance": provenance()})


def load_results(folder: Path) -> Results:
    """Read what ``gather`` and its neighbours wrote.

    Raises:
        AaffError: there is no ``plan.json``, or a file is damaged.
    """
    if not (folder / "plan.json").is_file():
        raise AaffError(f"there are no results in {folder}; make them with: python -m experiments.paper --data DIR")
    plan = read_json(folder / "plan.json")
    done = [Archive(folder).path(row["run"]) for row in plan["runs"] if row["stage"] == "done"]
    baselines = folder / "baselines.json"
    fault, speed = folder / "fault.json", folder / "speed.json"
    return Results(
        plan=plan,
        runs=[RunResult(**read_json(path)) for path in done],
        baselines={k: v["rows"] for k, v in read_json(baselines)["splits"].items()} if baselines.is_file() else {},
        fault=read_json(fault) if fault.is_file() else None,
        speed=read_json(speed) if speed.is_file() else [],
    )


def _write(path: Path, value: Any) -> None:
    """JSON with one line for every list of plain values: half the size, and a change shows in one line."""
    write_text(path, _lines(value, "") + "\n")


def _lines(value: Any, indent: str) -> str:
    deeper = indent + " "
    if isinstance(value, dict) and value:
        rows = [f"{deeper}{json.dumps(str(k), ensure_ascii=False)}: {_lines(v, deeper)}" for k, v in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return "[\n" + ",\n".join(deeper + _lines(item, deeper) for item in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
