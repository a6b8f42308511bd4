"""``aaff train``: a network, a data set, a recipe."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from aaff.errors import ModelError
from aaff.training.recipe import Recipe, read_recipe, to_flags

RUNS = Path("runs")


@dataclass(frozen=True, kw_only=True)
class Args(Recipe):
    """Train a network.  Values come from the defaults, then the recipe, then the flags you give."""

    data: Path
    """Folder of the data set, in any layout that aaff data check knows."""
    recipe: str | None = None
    """Recipe to begin with: a shipped one by name (paper, scratch, quick) or a YAML file."""
    out: Path | None = None
    """Folder of the run; left out: runs/MODEL, or runs/MODEL-2 and so on where that exists."""
    resume: bool = False
    """Go on with the run in --out after an interruption; left out: the latest run of the model."""
    layout: str | None = None
    """Layout of the data set, where the guess is wrong."""
    allow_leaks: bool = False
    """Train although frames of the train and the val split are nearly identical."""
    checkpoint_minutes: float = 2.0
    """How often the state of the run is put on disk within an epoch."""


def expand(words: Sequence[str]) -> list[str]:
    """Put a recipe's values before the user's own words, so that the one parser checks both.

    Raises:
        OptionError: the recipe cannot be read.
        ModelError: there is no run to resume.
    """
    if "--resume" in words:
        from aaff.training.loop import STATE
        from aaff.training.state import load_snapshot

        out = _value(words, "--out")
        folder = Path(out) if out else _latest(_value(words, "--model") or Recipe.model)
        kept = to_flags(load_snapshot(folder / STATE).recipe, f"the state of {folder}")
        return [*kept, *([] if out else ["--out", str(folder)]), *words]
    name = _value(words, "--recipe")
    return [*(to_flags(read_recipe(name), f"recipe {name}") if name else []), *words]


def _value(words: Sequence[str], flag: str) -> str | None:
    for place, word in enumerate(words):
        if word == flag and place + 1 < len(words):
            return words[place + 1]
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return None


def _latest(model: str) -> Path:
    from aaff.training.loop import STATE

    found = [path.parent for path in RUNS.glob(f"{model}*/{STATE}")]
    if not found:
        raise ModelError(f"there is no run of {model} in {RUNS} to resume; name its folder with --out")
    return max(found, key=lambda folder: (folder / STATE).stat().st_mtime)


def _fresh(model: str) -> Path:
    number, folder = 1, RUNS / model
    while folder.exists():
        number += 1
        folder = RUNS / f"{model}-{number}"
    return folder


def run(args: Args) -> int:
    """Train; status 0 when finished, 130 when interrupted in a way that can be resumed."""
    from aaff.training.loop import BEST, train

    folder = args.out or _fresh(args.model)
    recipe = Recipe(**{f.name: getattr(args, f.name) for f in fields(Recipe)})
    outcome = train(
        args.data,
        recipe,
        folder,
        resume=args.resume,
        layout=args.layout,
        allow_leaks=args.allow_leaks,
        checkpoint_seconds=60 * args.checkpoint_minutes,
    )
    if not outcome.finished:
        again = ["aaff", "train", "--data", str(args.data), "--out", str(folder), "--resume"]
        print(f"\ninterrupted after step {outcome.position.step}; go on with: {shlex.join(again)}", file=sys.stderr)
        return 130
    print(f"trained: {folder / BEST}")
    print(f"score it: aaff evaluate {folder} --data {args.data} --split {recipe.val_split}")
    return 0
