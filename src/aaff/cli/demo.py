"""``aaff demo``: the whole way on drawn streets, by the commands that a user would type."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Args:
    """Draw street scenes, check them, train a network on them, score it and predict: some minutes on two cores.

    Every step is a command that is shown and that you can run yourself.
    """

    out: Path = Path("demo")
    """Folder for everything; where it exists, the next free one of demo-2, demo-3 and so on."""
    model: str = "depthwise_aaff"
    """Network to train, see: aaff models."""
    epochs: int = 8
    """Passes over the training frames; more make better maps."""
    frames: int = 160
    """Training frames to draw."""


def commands(args: Args, folder: Path) -> list[list[str]]:
    """The command lines, each without ``aaff``, that make the demo in ``folder``."""
    scenes, run, maps = (str(folder / name) for name in ("scenes", "run", "maps"))
    # Small frames: everything of the real thing but its hours.
    size = "240x180"
    train = ["train", "--data", scenes, "--model", args.model, "--recipe", "quick"]
    return [
        ["data", "scenes", scenes, "--size", size, "--train", str(args.frames), "--val", "40", "--test", "12"],
        ["data", "check", scenes],
        [*train, "--epochs", str(args.epochs), "--augment.crop", size, "--out", run],
        ["evaluate", run, "--data", scenes, "--json", str(folder / "scores.json")],
        ["predict", str(folder / "scenes" / "test"), "--model", run, "--out", maps],
    ]


def run(args: Args) -> int:
    """Run the commands one after the other; the first that fails gives the status."""
    from aaff.cli import main
    from aaff.networks import model_info

    model_info(args.model)  # a mistyped name is told before anything is drawn
    folder = _free(args.out)
    begin = time.monotonic()
    for words in commands(args, folder):
        print(f"\n$ aaff {shlex.join(words)}", flush=True)
        status = main(words)
        if status:
            return status
    minutes, seconds = divmod(round(time.monotonic() - begin), 60)
    print(f"\ndone in {minutes}:{seconds:02d}; the pictures lie in {folder / 'maps'} (look at the *_overlay.png),")
    print(f"the scores in {folder / 'scores.json'}, the curves of the training in {folder / 'run' / 'curves.svg'}")
    return 0


def _free(folder: Path) -> Path:
    number, free = 1, folder
    while free.exists() and (not free.is_dir() or any(free.iterdir())):
        number += 1
        free = folder.with_name(f"{folder.name}-{number}")
    return free
