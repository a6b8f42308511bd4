"""``aaff train``: a network, a data set, a recipe."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from aaff.errors import ModelError, OptionError
from aaff.plugins import imported
from aaff.training.recipe import Recipe, read_recipe, to_flags

if TYPE_CHECKING:
    from aaff.training.distributed import Group

RUNS = Path("runs")


@dataclass(frozen=True, kw_only=True)
class Args(Recipe):
    """Train a network.  Values come from the defaults, then the recipe, then the flags you give."""

    data: tuple[Path, ...]
    """Folder of the data set, in any layout that aaff data check knows; of several with the same classes, the train
    splits are mixed and the val split of the first is scored."""
    recipe: str | None = None
    """Recipe to start from: a bundled one by name (paper, scratch, quick) or a YAML file."""
    out: Path | None = None
    """Folder of the run; default: runs/MODEL, or runs/MODEL-2 and so on where that exists."""
    resume: bool = False
    """Continue the run in --out, by default the latest run of the model."""
    layout: str | None = None
    """Layout of the data set, where the guess is wrong."""
    allow_leaks: bool = False
    """Train although frames of the train and the val split are nearly identical."""
    checkpoint_minutes: float = 2.0
    """How often the state of the run is written to disk within an epoch; 0 after every step."""
    minutes: float | None = None
    """Stop after this many minutes, resumable; default: train to the end."""
    timeout_minutes: float = 10.0
    """With several processes: how long to wait for one that does not respond."""


def expand(words: Sequence[str]) -> list[str]:
    """Put a recipe's values before the user's own words, so that the one parser checks both.

    Of several processes the first one reads the recipe or the state, and chooses the folder, for all.

    Raises:
        OptionError: the recipe cannot be read.
        ModelError: there is no run to resume.
    """
    from aaff.training.distributed import join

    if {"-h", "--help"} & set(words):
        return _help(list(words))
    minutes = _value(words, "--timeout-minutes")
    group = join(60 * float(minutes)) if minutes and minutes.replace(".", "").isdigit() else join()
    return [*group.share(_before(words) if group.main else []), *words]


def _help(words: list[str]) -> list[str]:
    """Let the help show a recipe's values as the defaults that they are."""
    name = _value(words, "--recipe")
    if name is None:
        return words
    import tyro

    from aaff.cli.options import parse

    defaults = parse(Args, ["--data", "DIR", *to_flags(read_recipe(name), f"recipe {name}")], prog="aaff train")
    parse(Args, ["--help"], prog="aaff train", default=replace(defaults, data=tyro.MISSING, recipe=name))
    return words


def _before(words: Sequence[str]) -> list[str]:
    """The words that the recipe, the state of a resumed run and the choice of a folder stand for."""
    name = _value(words, "--recipe")
    recipe = to_flags(read_recipe(name), f"recipe {name}") if name else []
    out = _value(words, "--out")
    if "--resume" not in words:
        return [*recipe, *([] if out else ["--out", str(_fresh(_value([*recipe, *words], "--model") or Recipe.model))])]
    from aaff.training.state import load_snapshot
    from aaff.training.trainer import STATE

    folder = Path(out) if out else _latest(_value(words, "--model") or Recipe.model)
    kept = to_flags(load_snapshot(folder / STATE).recipe, f"the state of {folder}")
    return [*kept, *recipe, *([] if out else ["--out", str(folder)])]


def _value(words: Sequence[str], flag: str) -> str | None:
    """The last value that is given for a flag."""
    found = None
    for place, word in enumerate(words):
        if word == flag and place + 1 < len(words):
            found = words[place + 1]
        elif word.startswith(f"{flag}="):
            found = word.partition("=")[2]
    return found


def _latest(model: str) -> Path:
    from aaff.training.trainer import STATE

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
    """Train; status 0 when finished or when the time is over, 130 when interrupted; both can be resumed."""
    from aaff.training.distributed import join
    from aaff.training.trainer import BEST, train

    assert args.out is not None  # expand has chosen it
    if not args.data:
        raise OptionError("--data needs the folder of a data set")
    if args.minutes is not None and not args.minutes > 0:
        raise OptionError(f"--minutes is {args.minutes:g}; it must be above 0")
    group = join()
    outcome = train(
        args.data,
        Recipe(**{f.name: getattr(args, f.name) for f in fields(Recipe)}),
        args.out,
        resume=args.resume,
        layout=args.layout,
        allow_leaks=args.allow_leaks,
        checkpoint_seconds=60 * args.checkpoint_minutes,
        minutes=args.minutes,
        patience=60 * args.timeout_minutes,
    )
    if not outcome.finished:
        if group.main:
            step = outcome.position.step
            why = "interrupted" if outcome.interrupted else "stopped, since the time is over,"
            print(f"\n{why} after step {step}; resume with: {resuming_command(args, group)}", file=sys.stderr)
        return 130 if outcome.interrupted else 0
    if group.main:
        print(f"trained: {args.out / BEST}")
        if args.val_split != "none":
            words = ["aaff", "evaluate", str(args.out), "--data", str(args.data[0]), "--split", args.val_split]
            print(f"score it: {shlex.join(words)}")
    return 0


def resuming_command(args: Args, group: Group) -> str:
    """The command that resumes an interrupted run."""
    words = ["aaff"]
    if group.world > 1:
        words = ["torchrun", f"--nproc-per-node={group.local_world}", "-m", "aaff"]
        hosts = group.world // group.local_world
        words[1:1] = [f"--nnodes={hosts}", "…"] if hosts > 1 else []  # with the rendezvous as it was given
    words += ["train", "--data", *map(str, args.data), "--out", str(args.out), "--resume"]
    words += [word for name in imported for word in ("--import", name)]
    words += ["--layout", args.layout] if args.layout else []
    if args.checkpoint_minutes != Args.checkpoint_minutes:
        words += ["--checkpoint-minutes", f"{args.checkpoint_minutes:g}"]
    return shlex.join(words).replace("'…'", "…")
