"""``aaff demo``: the whole workflow on synthetic streets, by the commands that a user would type."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from pathlib import Path

_SHOWN = 6
"""Number of images on the report page."""

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>aaff demo</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<style>body {{ font: 16px/1.5 sans-serif; max-width: 60rem; margin: auto; padding: 1rem }} img {{ max-width: 100% }}
.maps img {{ width: 32% }}
pre {{ overflow-x: auto; background: #f4f5f7; padding: 1rem }}
td + td {{ text-align: right; padding-left: 2rem }}
i {{ display: inline-block; width: .9em; height: .9em; margin-right: .5em; vertical-align: -.1em }}</style>
<h1>aaff demo</h1>
<p>A small network, trained for a few minutes on synthetic streets. The scores show that everything works; they say
nothing about real streets.</p>
<h2>Predictions</h2>
<p class="maps">{pictures}</p>
<h2>Scores on {split}</h2>
<table>{table}</table>
<h2>Training</h2>
<img src="run/curves.svg" alt="loss, mean IoU and pixel accuracy per epoch">
<h2>The commands</h2>
<pre>{commands}</pre>
</html>
"""


@dataclass
class Args:
    """Generate a synthetic data set, train a small network on it, then evaluate, export and predict.

    Takes a few minutes on two cores. Every step is an aaff command, which is printed so that you can run it yourself.
    """

    out: Path = Path("demo")
    """Output folder; if it exists, the next free one of demo-2, demo-3 and so on."""
    frames: int = 96
    """Number of training frames."""
    epochs: int | None = None
    """Number of training epochs; default: that of the recipe."""


def commands(args: Args, folder: Path) -> list[list[str]]:
    """The command lines of the demo in ``folder``, each without ``aaff``."""
    data, run, scores, maps = (str(folder / name) for name in ("streets", "run", "scores.json", "maps"))
    model = str(folder / "model.onnx")
    # Small frames: every step of a real training, in minutes instead of hours.
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
    """Run the commands in order; return the status of the first one that fails, else 0."""
    from aaff.cli import main
    from aaff.errors import require

    require("torch", "train")  # report what is missing now, not after the data set is generated
    require("onnx", "train")
    require("onnxruntime", "train")
    folder = _free(args.out)
    begin = time.monotonic()
    for words in commands(args, folder):
        print(f"\n$ aaff {shlex.join(words)}", flush=True)
        status = main(words)
        if status:
            return status
    minutes, seconds = divmod(round(time.monotonic() - begin), 60)
    report = write_report(args, folder)
    print(f"\nfinished in {minutes}:{seconds:02d}")
    print(f"model:     {folder / 'model.onnx'} (runs without torch)")
    print(f"images:    {folder / 'maps'} (see *_overlay.png)")
    print(f"report:    {report} (open it in a browser)")
    print("live page: aaff serve --example --open (the bundled model on a short drive; drop your own video on it)")
    return 0


def write_report(args: Args, folder: Path) -> Path:
    """Write a page with the scores, the training curves, some predictions and the commands.

    Returns:
        Its path, ``report.html`` in ``folder``.
    """
    from html import escape

    from aaff.files import read_json, write_text
    from aaff.labels import CAMVID11

    scores = read_json(folder / "scores.json")
    rows = {"mean IoU": scores["miou"], "pixel accuracy": scores["pixel_accuracy"]}
    colors = dict(
        zip(CAMVID11.names, CAMVID11.colors, strict=True)
    )  # of the overlays, which are too small for a legend
    for name, row in scores["per_class"].items():
        rows[f'<i style="background: rgb{colors[name]}"></i>IoU, {escape(name)}'] = row["iou"]
    table = "".join(
        f"<tr><td>{name}<td>{'–' if value is None else f'{100 * value:.1f} %'}" for name, value in rows.items()
    )
    overlays = sorted((folder / "maps").glob("*_overlay.png"))
    shown = overlays[:: max(1, len(overlays) // _SHOWN)][:_SHOWN]
    pictures = "".join(f'<img src="maps/{path.name}" alt="overlay of {path.stem}">\n' for path in shown)
    lines = "\n".join(f"aaff {shlex.join(words)}" for words in commands(args, folder))
    path = folder / "report.html"
    write_text(path, _PAGE.format(table=table, pictures=pictures, commands=escape(lines), split=scores["split"]))
    return path


def _free(folder: Path) -> Path:
    number, free = 1, folder
    while free.exists() and (not free.is_dir() or any(free.iterdir())):
        number += 1
        free = folder.with_name(f"{folder.name}-{number}")
    return free
