"""Record how a published model was trained: recipes and epochs of its stages in ``results/``, curves in ``docs``::

    python -m scripts.training_history street runs/street-v1 runs/street-v2 ...
    python -m scripts.training_history street --append runs/street-v7
    python -m scripts.training_history street --trials runs/control runs/trial-1 ...

The stages are given in order; each was started from the weights of the previous one.  ``--append`` keeps the stages
that are recorded already, whose runs need not be there.  Trials are short runs from the published weights, each of
which differs from the first one in one respect.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure

from aaff.files import read_json, replacing, write_json
from aaff.networks.weights import read_checkpoint
from aaff.textfile import read_yaml
from aaff.training.figures import STYLE
from aaff.training.recipe import Recipe
from scripts.tables import ROOT

THIN = ("pole", "sign symbol", "pedestrian")
"""Classes that are shown beside the mean: the weakest ones."""
_NOT_CHOICES = ("epochs", "eval_every", "render_every", "warm_start", "train_split", "val_split", "engine")
"""Parts of a recipe that a table of changes leaves out: length, split, where it ran."""
_COLORS = "#0072b2", "#e69f00", "#009e73", "#cc79a7"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the published model")
    parser.add_argument("runs", type=Path, nargs="+", help="folders of its stages")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--append", action="store_true", help="the runs follow the recorded stages")
    how.add_argument("--trials", action="store_true", help="the runs are trials")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository with results and docs")
    given = parser.parse_args(arguments)
    results = given.root / "results"
    if given.trials:
        trials = [stage(run, given.name) for run in given.runs]
        write_json(results / f"{given.name}_trials.json", {"trials": trials, "provenance": trials[-1]["provenance"]})
        return
    path = results / f"{given.name}_training.json"
    stages = read_json(path)["stages"] if given.append else []
    for run in given.runs:
        stages.append(stage(run, f"stage {len(stages)}"))
    history = {"stages": stages, "provenance": stages[-1]["provenance"]}
    write_json(path, history)
    if all(any("miou" in row for row in stage["epochs"]) for stage in stages):
        draw(given.root / "docs" / "images" / f"{given.name}-training.svg", stages)


def stage(run: Path, start: str) -> dict[str, Any]:
    """Recipe, epochs and provenance of one run; ``start`` names the weights that it started from."""
    recipe = read_yaml(run / "recipe.yaml")
    if recipe["warm_start"] is not None:
        recipe["warm_start"] = start
    epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return {"recipe": recipe, "epochs": epochs, "provenance": read_checkpoint(run / "last.safetensors")[1].provenance}


def changes(stages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The options in which each stage's recipe differs from the one before; of the first, nothing.

    An option that was not there yet counts as its default.
    """
    defaults = _flat(Recipe().to_dict())
    recipes = [defaults | _flat(stage["recipe"]) for stage in stages]
    return [{}] + [
        {name: value for name, value in later.items() if value != earlier.get(name)}
        for earlier, later in pairwise(recipes)
    ]


def _flat(recipe: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in recipe.items():
        if prefix or name not in _NOT_CHOICES:
            flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def draw(path: Path, stages: list[dict[str, Any]]) -> None:
    """Loss, mean IoU and the thin classes over the steps of all stages; dotted lines where a stage begins."""
    begins = [0, *accumulate(stage["epochs"][-1]["step"] for stage in stages)]
    parts = [
        [(begin + row["step"], row) for row in stage["epochs"]]
        for begin, stage in zip(begins[:-1], stages, strict=True)
    ]
    scored = [(step, row) for part in parts for step, row in part if "miou" in row]
    steps = [step for step, _ in scored]
    with style.context(STYLE, after_reset=True):
        figure = Figure(figsize=(4.5, 5.7), layout="constrained")
        top, middle, bottom = figure.subplots(3, sharex=True)
        for part in parts:
            top.plot([step for step, _ in part], [row["loss"] for _, row in part], color=_COLORS[0])
        top.set_title("training loss (each stage its own)", loc="left", fontsize=9)
        middle.plot(steps, [100 * row["miou"] for _, row in scored], color=_COLORS[0], marker="o", markersize=3)
        middle.set_title("mean IoU %, CamVid val", loc="left", fontsize=9)
        for name, color in zip(THIN, _COLORS[1:], strict=True):
            values = [100 * row["iou"][name] for _, row in scored]
            bottom.plot(steps, values, color=color, marker="o", markersize=3, label=name)
        bottom.set_title("IoU %, CamVid val", loc="left", fontsize=9)
        bottom.legend(fontsize=8, frameon=False)
        bottom.set_xlabel("steps")
        for axes in (top, middle, bottom):
            for begin in begins[1:-1]:
                axes.axvline(begin, color="0.5", linestyle=":", linewidth=1)
        with replacing(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
