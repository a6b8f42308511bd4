"""Where every number comes from: settings, recipes, machine, commits, hashes."""

from __future__ import annotations

from typing import Any

from experiments.paper.analysis import arithmetic
from experiments.paper.blocks import Block, Folded, Heading, Prose, Table
from experiments.paper.groups import GROUPS
from experiments.paper.results import Results
from experiments.runner.results import RunResult
from experiments.runner.states import flatten

_SHOWN = ("date", "commit", "aaff", "python", "platform", "processor", "cores")


def chapter(results: Results) -> list[Block]:
    """Provenance of the report and of each run."""
    plan = results.plan
    told = {key: value for key, value in plan["settings"].items() if value not in (None, [], "", False)}
    settings = ", ".join(f"{key} `{value}`" for key, value in told.items())
    blocks: list[Block] = [
        Heading("Provenance"),
        Prose(
            "Everything above is generated from the JSON result files alone; each contains the raw counts behind its "
            f"scores. Settings of the experiment: {settings}."
        ),
        _machine(results),
    ]
    # Train before val before test, then the drives.
    found = {split: (s["frames_sha256"], s["images"]) for run in results.runs for split, s in run.scores.items()}
    known = ("train", "val", "test")
    splits = {split: found[split] for split in (*known, *sorted(found.keys() - {*known})) if split in found}
    if splits:
        rows = tuple((split, str(images), f"`{digest[:16]}`") for split, (digest, images) in splits.items())
        blocks.append(Table(("split", "frames", "SHA-256 of names, images and labels"), rows, "Data"))
    for group in GROUPS:
        runs = results.of(group)
        if runs:
            blocks.append(Folded(f"Runs of group {group}", (_runs(runs), _recipe(runs[0]))))
    blocks.append(_plan(results))
    return blocks


def _machine(results: Results) -> Table:
    """The report and the trainings; several values where runs differ."""
    made: dict[str, Any] = results.plan["provenance"]
    rows = []
    for key in _SHOWN:
        found = sorted({_short(key, run.provenance.get(key)) for run in results.runs})
        if key == "date" and len(found) > 1:
            found = [found[0], found[-1]]
        rows.append((key, _short(key, made.get(key)), " … ".join(found) if key == "date" else ", ".join(found) or "–"))
    versions = {str(run.provenance.get("versions", {}).get("torch")) for run in results.runs}
    rows.append(("torch", str(made.get("versions", {}).get("torch")), ", ".join(sorted(versions)) or "–"))
    engines = {
        f"{e.get('device')} {e.get('precision')}, threads: {e.get('threads')}"
        for run in results.runs
        if (e := run.provenance.get("engine"))
    }
    rows.append(("arithmetic", "fp32 (scores)", "; ".join(sorted(engines)) or "–"))
    return Table(("", "this report", "training runs (start)"), tuple(rows), text_columns=3)


def _short(key: str, value: Any) -> str:
    """A commit by its first digits, a date without its second."""
    text = str(value)
    if key == "commit":
        digits, plus, _ = text.partition("+")
        return digits[:10] + (" and changes" if plus else "")
    return text[:16].replace("T", " ") if key == "date" else text


def _runs(runs: list[RunResult]) -> Table:
    rows = []
    for run in runs:
        options = " ".join(run.options) or "–"
        line = run.name, run.condition, options, arithmetic(run), str(run.recipe["epochs"]), f"{run.seconds / 3600:.2f}"
        rows.append((*line, f"`{run.checkpoint[:16]}`"))
    columns = ("network", "condition", "options", "arithmetic", "epochs", "hours", "checkpoint SHA-256")
    return Table(columns, tuple(rows), text_columns=4)


def _recipe(run: RunResult) -> Table:
    apart = {"model", "options", "seed", "train_split", "val_split"}
    values = {
        k: v for k, v in flatten(run.recipe).items() if k not in apart and not k.startswith("engine.") and v is not None
    }
    rows = tuple((key, f"`{value}`") for key, value in values.items())
    return Table(("recipe of the group", "value"), rows, text_columns=2)


def _plan(results: Results) -> Folded:
    rows = []
    for row in results.plan["runs"]:
        told = f"{row['stage']}" + (f", epoch {row['epoch']} of {row['epochs']}" if row["stage"] == "begun" else "")
        rows.append((f"`{row['run']}`", told, f"{row['core_hours']:.2f}"))
    caption = "Hours on one core, estimated from the finished runs"
    return Folded(
        "The plan and its progress", (Table(("run", "state", "hours"), tuple(rows), caption, text_columns=2),)
    )
