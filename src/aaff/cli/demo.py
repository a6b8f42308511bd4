"""``aaff demo``: the main path on synthetic streets, by the commands that a user would type."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Args:
    """Make a synthetic data set, train a small network on it, evaluate, export and predict.

    Takes a few minutes on two cores. Every step is a command that is shown and that you can run yourself.
    """

    out: Path = Path("demo")
    """Folder for everything; where it exists, the next free one of demo-2, demo-3 and so on."""
    frames: int = 96
    """Training frames."""
    epochs: int | None = None
    """Training epochs; default: the recipe's."""


def commands(args: Args, folder: Path) -> list[list[str]]:
    """The command lines, each without ``aaff``, that make the demo in ``folder``."""
    data, run, scores, maps = (str(folder / name) for name in ("streets", "run", "scores.json", "maps"))
    model = str(folder / "model.onnx")
    # Small frames: everything of a real training but its hours.
    counts = ["--size", "160x120", "--train", str(args.frames), "--val", "24", "--test", "24"]
    epochs = [] if args.epochs is None else ["--epochs", str(args.epochs)]
    return [
        ["data", "scenes", data, *counts],
        ["data", "check", data],
        ["train", "--data", data, "--recipe", "demo", *epochs, "--out", run],
        ["evaluate", run, "--data", data, "--json", scores],
        ["export", run, "--data", data, "--out", model],
        ["predict", str(folder / "streets" / "test"), "--model", model, "--out", maps],
    ]


def run(args: Args) -> int:
    """Run the commands one after the other; the first that fails gives the status."""
    from aaff.cli import main
    from aaff.errors import require

    require("torch", "train")  # say what is missing now, not after the data set is made
    require("onnx", "train")
    folder = _free(args.out)
    begin = time.monotonic()
    for words in commands(args, folder):
        print(f"\n$ aaff {shlex.join(words)}", flush=True)
        status = main(words)
        if status:
            return status
    minutes, seconds = divmod(round(time.monotonic() - begin), 60)
    print(f"\nfinished in {minutes}:{seconds:02d}")
    print(f"pictures:  {folder / 'maps'} (look at the *_overlay.png)")
    print(f"model:     {folder / 'model.onnx'} (runs without torch)")
    print(f"scores:    {folder / 'scores.json'}")
    return 0


def _free(folder: Path) -> Path:
    number, free = 1, folder
    while free.exists() and (not free.is_dir() or any(free.iterdir())):
        number += 1
        free = folder.with_name(f"{folder.name}-{number}")
    return free
