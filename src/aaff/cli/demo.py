"""``aaff demo``: the paper's experiment in miniature on drawn streets, by the commands that a user would type."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Args:
    """Draw street scenes, check them, train the paper's four networks on them, score, predict and write the report.

    Some minutes on two cores.  Every step is a command that is shown and that you can run yourself.
    """

    out: Path = Path("demo")
    """Folder for everything; where it exists, the next free one of demo-2, demo-3 and so on."""
    frames: int = 96
    """Training frames to draw."""


def commands(args: Args, folder: Path) -> list[list[str]]:
    """The command lines, each without ``aaff``, that make the demo in ``folder``."""
    scenes, experiment, maps = (str(folder / name) for name in ("scenes", "experiment", "maps"))
    run = str(folder / "experiment" / "seeds" / "depthwise_aaff-seed0")
    # Small frames: everything of the real thing but its hours.
    drawn = ["--size", "160x120", "--train", str(args.frames), "--val", "24", "--test", "24"]
    return [
        ["data", "scenes", scenes, *drawn],
        ["data", "check", scenes],
        ["reproduce", "--miniature", "--data", scenes, "--out", experiment],
        ["evaluate", run, "--data", scenes, "--json", str(folder / "scores.json")],
        ["predict", str(folder / "scenes" / "test"), "--model", run, "--out", maps],
    ]


def run(args: Args) -> int:
    """Run the commands one after the other; the first that fails gives the status."""
    from aaff.cli import main

    folder = _free(args.out)
    begin = time.monotonic()
    for words in commands(args, folder):
        print(f"\n$ aaff {shlex.join(words)}", flush=True)
        status = main(words)
        if status:
            return status
    minutes, seconds = divmod(round(time.monotonic() - begin), 60)
    print(f"\ndone in {minutes}:{seconds:02d}; the pictures lie in {folder / 'maps'} (look at the *_overlay.png),")
    print(f"the scores in {folder / 'scores.json'}, the report of the experiment, to open in a browser:")
    print(folder / "experiment" / "report" / "index.html")
    return 0


def _free(folder: Path) -> Path:
    number, free = 1, folder
    while free.exists() and (not free.is_dir() or any(free.iterdir())):
        number += 1
        free = folder.with_name(f"{folder.name}-{number}")
    return free
