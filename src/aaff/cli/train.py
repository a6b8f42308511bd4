"""``aaff train``: train a network on a data set by a recipe."""

from __future__ import annotations

import re
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
    """Train a network.  Flags override the values of the recipe, which override the defaults."""

    data: tuple[Path, ...]
    """Folder of the data set, in any layout that aaff data check supports.
    Several data sets with the same classes are mixed for training; the val split of the first one is scored."""
    recipe: str | None = None
    """Recipe to start from: the name of a bundled recipe (such as paper, scratch or quick) or a YAML file."""
    out: Path | None = None
    """Run folder to write; default: runs/MODEL, or runs/MODEL-2 and so on if that exists."""
    resume: bool = False
    """Resume the run in --out; default: the latest run of the model."""
    layout: str | None = None
    """Folder layout of the data set; default: detected."""
    allow_leaks: bool = False
    """Train even if frames of the train and val splits are nearly identical."""
    checkpoint_minutes: float = 2.0
    """Minutes between saves of the training state within an epoch; 0 saves after every step."""
    minutes: float | None = None
    """Stop after this many minutes, to be resumed later; default: train to the end."""
    timeout_minutes: float = 10.0
    """With several processes: minutes to wait for a process that does not respond."""


def expand(words: Sequence[str]) -> list[str]:
    """Put the recipe's values before the user's arguments, so that one parser checks both.

    With several processes, the first one reads the recipe or the saved state and chooses the folder for all.

    Raises:
        OptionError: the recipe cannot be read.
        ModelError: there is no run to resume.
    """
    from aaff.training.distributed import join

    if {"-h", "--help"} & set(words):
        return _help(list(words))
    minutes = _value(words, "--timeout-minutes")
    given = re.fullmatch(r"\d+(\.\d+)?", minutes or "")  # anything else is refused by the parser
    group = join(60 * float(given[0])) if given else join()
    return [*group.share(_before(words) if group.main else []), *words]


def _help(words: list[str]) -> list[str]:
    """Print the help with the recipe's values as the defaults."""
    name = _value(words, "--recipe")
    if name is None:
        return words
    import tyro

    from aaff.cli.options import parse

    defaults = parse(Args, ["--data", "DIR", *to_flags(read_recipe(name), f"recipe {name}")], prog="aaff train")
    parse(Args, ["--help"], prog="aaff train", default=replace(defaults, data=tyro.MISSING, recipe=name))
    return words


def _before(words: Sequence[str]) -> list[str]:
    """The arguments that come from the recipe, the state of a resumed run and the choice of a folder."""
    name = _value(words, "--recipe")
    recipe = to_flags(read_recipe(name), f"recipe {name}") if name else []
    out = _value(words, "--out")
    if "--resume" not in words:
        return [*recipe, *([] if out else ["--out", str(_fresh(_value([*recipe, *words], "--model") or Recipe.model))])]
    from aaff.training.run_folder import STATE
    from aaff.training.state import load_snapshot

    folder = Path(out) if out else _latest(_value([*recipe, *words], "--model") or Recipe.model)
    kept = to_flags(load_snapshot(folder / STATE).recipe, f"the state of {folder}")
    return [*kept, *recipe, *([] if out else ["--out", str(folder)])]


def _value(words: Sequence[str], flag: str) -> str | None:
    """The last value given for a flag."""
    found = None
    for place, word in enumerate(words):
        if word == flag and place + 1 < len(words):
            found = words[place + 1]
        elif word.startswith(f"{flag}="):
            found = word.partition("=")[2]
    return found


def _latest(model: str) -> Path:
    """The most recently trained of the folders that ``_fresh`` has named for a network."""
    from aaff.training.run_folder import STATE

    name = re.compile(rf"{re.escape(model)}(-\d+)?")
    found = [path.parent for path in RUNS.glob(f"*/{STATE}") if name.fullmatch(path.parent.name)]
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
    """Train; status 0 if finished or stopped by ``--minutes``, 130 if interrupted.  A stopped run can be resumed."""
    from aaff.training.distributed import join
    from aaff.training.run_folder import BEST
    from aaff.training.trainer import train

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
            why = "interrupted" if outcome.interrupted else "stopped by --minutes"
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
        words[1:1] = [f"--nnodes={hosts}", "…"] if hosts > 1 else []  # "…" stands for the rendezvous options
    words += ["train", "--data", *map(str, args.data), "--out", str(args.out), "--resume"]
    words += [word for name in imported for word in ("--import", name)]
    words += ["--layout", args.layout] if args.layout else []
    if args.checkpoint_minutes != Args.checkpoint_minutes:
        words += ["--checkpoint-minutes", f"{args.checkpoint_minutes:g}"]
    return shlex.join(words).replace("'…'", "…")
