"""Results as JSON: one small file for every finished run, and where every run of the plan stands.

``plan.json``             every run of the plan and where it stands
``runs/GROUP/RUN.json``   a finished run with history, scores, hashes and provenance
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aaff.errors import AaffError
from aaff.files import read_json, write_text
from aaff.provenance import file_hash, provenance
from aaff.training.run_folder import LAST
from experiments.runner.archive import Archive
from experiments.runner.costs import Costs
from experiments.runner.planned import PlannedRun, run_folder
from experiments.runner.queue import Queue
from experiments.runner.states import measurement_file, progress, read_header


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes:
        group, name, network, seed, fold, condition: as in the plan.
        options: of the network.
        parameters, macs: cost of the network for one frame of ``size``.
        size: WIDTHxHEIGHT of training and scoring.
        history: one row per epoch.
        scores: by split, what ``experiments.runner.measure.measure_engine`` gave.
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


def gather(folder: Path, queue: Queue, settings: Mapping[str, Any]) -> None:
    """Write the results of all finished runs, one file each, and ``plan.json``.

    Groups of an earlier ``plan.json`` that this plan leaves out, since their data is not there, keep their rows.

    Args:
        folder: where the JSON files go.
        queue: the plan and its folder.
        settings: told in ``plan.json``.
    """
    states, rows, path = queue.states(), [], folder / "plan.json"
    for run in queue.runs:
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
                "core_hours": round(queue.clock.whole(run) / 3600, 2),
            }
        )
        if state.stage == "done":
            kept = queue.archive.read(run) if queue.archive is not None else None
            own = run_result(queue.out, run, queue.costs, kept) if is_done(queue.out, run) else kept
            write_lines(Archive(folder).path(run.name), own)
    groups = {run.group for run in queue.runs}
    known = read_json(path)["runs"] if path.is_file() else []
    rows += [row for row in known if row["group"] not in groups]
    write_lines(path, {"settings": dict(settings), "runs": rows, "provenance": provenance()})


def is_done(out: Path, run: PlannedRun) -> bool:
    """Whether the folder of a run holds all its scores."""
    return progress(out, run).stage == "done"


def run_result(out: Path, run: PlannedRun, costs: Costs, kept: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the folder of a finished run tells, as ``RunResult`` holds it.

    Args:
        out: folder of the experiment.
        run: finished there.
        costs: of the networks.
        kept: an earlier result, whose further scores of the same weights stay.
    """
    folder = run_folder(out, run)
    header = read_header(folder)
    assert header is not None, "only finished runs have results"
    cost, checkpoint = costs.of(run.recipe), file_hash(folder / LAST)
    # Whatever was scored belongs to the run, such as a test split that this call did not ask for.
    measured = {path.stem: read_json(path) for path in measurement_file(folder, "*").parent.glob("*.json")}
    scores = {name: m for name, m in measured.items() if m["checkpoint"] == checkpoint}
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


def read_results(folder: Path) -> tuple[dict[str, Any], list[RunResult]]:
    """What ``gather`` wrote: the plan and its finished runs.

    Raises:
        AaffError: there is no ``plan.json``, or a file is damaged.
    """
    if not (folder / "plan.json").is_file():
        raise AaffError(f"there are no results in {folder}: it has no plan.json; the command that trains writes it")
    plan = read_json(folder / "plan.json")
    done = [Archive(folder).path(row["run"]) for row in plan["runs"] if row["stage"] == "done"]
    return plan, [RunResult(**read_json(path)) for path in done]


def write_lines(path: Path, value: Any) -> None:
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
