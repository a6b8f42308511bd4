"""Pictures of a run: its curves, and fixed validation frames as the network sees them now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aaff.files import replacing
from aaff.images import write_image
from aaff.labels import LabelMap, UInt8Array

_PANELS = (("loss", "training loss"), ("miou", "val mean IoU"), ("pixel_accuracy", "val pixel accuracy"))


def draw_curves(path: Path, history: Sequence[dict[str, Any]]) -> None:
    """Loss, mean IoU and pixel accuracy by epoch (the paper's Fig. 4), as SVG."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    shown = [(key, title) for key, title in _PANELS if any(key in row for row in history)]
    figure = Figure(figsize=(4 * len(shown), 3), layout="constrained")
    for place, (key, title) in enumerate(shown, start=1):
        axes = figure.add_subplot(1, len(shown), place)
        rows = [row for row in history if key in row]
        axes.plot(
            [r["epoch"] for r in rows], [r[key] for r in rows], color="#1b6ca8", marker="." if len(rows) < 30 else ""
        )
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("epoch", fontsize=9)
        axes.grid(alpha=0.3)
    with replacing(path) as temporary:
        FigureCanvasSVG(figure).print_svg(temporary)  # type: ignore[no-untyped-call]


def draw_frames(path: Path, rows: Sequence[tuple[UInt8Array, UInt8Array, UInt8Array]], labels: LabelMap) -> None:
    """One row a frame: the frame [H, W, 3], its truth and the network's answer [H, W], side by side."""
    strips = [np.hstack([image, labels.colorize(truth), labels.colorize(answer)]) for image, truth, answer in rows]
    width = min(strip.shape[1] for strip in strips)
    write_image(path, np.vstack([strip[:, :width] for strip in strips]))
