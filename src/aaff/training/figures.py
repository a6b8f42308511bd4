"""Figures of a run: training curves, and predictions of fixed validation frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aaff.files import replacing
from aaff.images import write_image
from aaff.labels import LabelMap, UInt8Array
from aaff.preprocess import Size, resize_image, resize_label

_PANELS = (("loss", "training loss"), ("miou", "mean IoU, {split}"), ("pixel_accuracy", "pixel accuracy, {split}"))
_COLOR = "#0072b2"
_WIDEST = 480
STYLE = {"font.size": 9, "axes.grid": True, "grid.alpha": 0.3, "svg.fonttype": "none", "svg.hashsalt": "aaff"}
"""Matplotlib's settings for curves; the salt makes equal curves equal files."""


def draw_curves(path: Path, history: Sequence[dict[str, Any]], split: str = "val") -> None:
    """Plot loss, mean IoU and pixel accuracy per epoch (the paper's Fig. 4), one below the other.

    Args:
        path: path of the ``.svg`` file.
        history: one row per epoch, with ``epoch``, ``loss`` and, where the epoch was scored, the scores.
        split: name of the scored split.

    Raises:
        AaffError: the file cannot be written.
    """
    from matplotlib import style
    from matplotlib.figure import Figure  # without pyplot, there is nothing to close and no display is needed

    shown = [(key, title) for key, title in _PANELS if any(key in row for row in history)]
    with style.context(STYLE, after_reset=True):
        figure = Figure(figsize=(4.5, 1.9 * len(shown)), layout="constrained")
        panels = figure.subplots(len(shown), squeeze=False, sharex=True)[:, 0]
        for axes, (key, title) in zip(panels, shown, strict=True):
            points = [(row["epoch"], row[key]) for row in history if key in row]
            marker = "o" if len(points) < 30 else None
            axes.plot(*zip(*points, strict=True), color=_COLOR, marker=marker, markersize=3)
            axes.set_title(title.format(split=split), loc="left", fontsize=9)
        panels[-1].set_xlabel("epoch")
        panels[-1].xaxis.get_major_locator().set_params(integer=True)
        with replacing(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})


def draw_frames(path: Path, rows: Sequence[tuple[UInt8Array, UInt8Array, UInt8Array]], labels: LabelMap) -> None:
    """Draw one row per frame: the frame [H, W, 3], its ground truth and the prediction [H, W], side by side."""
    height, width = rows[0][1].shape
    size = Size(min(width, _WIDEST), round(height * min(1, _WIDEST / width)))  # of all, since they stand in rows
    write_image(
        path,
        np.vstack(
            [
                np.hstack(
                    [
                        resize_image(image, size),
                        *(labels.colorize(resize_label(ids, size)) for ids in (expected, predicted)),
                    ]
                )
                for image, expected, predicted in rows
            ]
        ),
    )
