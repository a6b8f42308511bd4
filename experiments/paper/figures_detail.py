"""The figures of the report about how a network errs: confusion, confidence, borders, object sizes, gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch

from experiments.paper.analysis import TITLES, border_scores, pooled, pooled_confusion
from experiments.paper.charts import (
    COLORS,
    DIM,
    INK,
    MARKERS,
    RIGHT,
    WRONG,
    Chart,
    finish,
    name_rows,
    new_axes,
    styled,
)
from experiments.paper.plan import PAPER_ORDER
from experiments.paper.results import Results
from experiments.runner.details import BORDER_WIDTHS, CONFIDENCE_BINS, OBJECT_AREAS


@styled
def confusion(results: Results, name: str, split: str, labels: Sequence[str]) -> Chart | None:
    """Confusion matrix of a network: each row (ground truth) shared out over the predictions, in percent."""
    counts = pooled_confusion(results, name, split)
    if counts is None:
        return None
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    # The square root shows a few percent too, which is where the errors are.
    strength = np.maximum(0.04, np.sqrt(shares))[..., None]
    right = np.eye(len(labels), dtype=bool)[..., None]
    picture = 1 - strength * (1 - np.where(right, to_rgb(RIGHT), to_rgb(WRONG)))
    axes = new_axes(4.2)
    axes.imshow(picture)
    axes.set_xticks(range(len(labels)), labels, rotation=50, ha="left")
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False, labelcolor=INK)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    for row, column in zip(*np.nonzero(shares >= 0.005), strict=True):
        share = shares[row, column]
        color = "white" if share > 0.3 else INK
        axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=8, color=color)
    axes.set(xlabel="prediction", ylabel="ground truth")
    return finish(axes, f"Confusion matrix of {TITLES[name]}")


def calibration_error(results: Results, name: str, split: str) -> float | None:
    """Expected calibration error over the pixels of all seeds."""
    table = [pooled(results, name, split, "calibration", key) for key in ("pixels", "right", "confidence_sum")]
    if table[0] is None or table[1] is None or table[2] is None:
        return None
    return float(np.abs(table[1] - table[2]).sum() / max(table[0].sum(), 1.0))


@styled
def calibration(results: Results, split: str) -> Chart | None:
    """Reliability curves: how often a prediction is right, by its confidence."""
    shown = {n: e for n in PAPER_ORDER if (e := calibration_error(results, n, split)) is not None}
    if not shown:
        return None
    axes = new_axes(4.2)
    axes.plot([0, 100], [0, 100], color=DIM, linestyle="--", linewidth=1)
    for name in shown:
        pixels, right, total = (
            pooled(results, name, split, "calibration", k) for k in ("pixels", "right", "confidence_sum")
        )
        assert pixels is not None
        assert right is not None
        assert total is not None
        # A bin with a handful of pixels says nothing; below 1 / classes there can be none.
        full = pixels > max(0.0002 * pixels.sum(), CONFIDENCE_BINS)
        xs, ys = 100 * total[full] / pixels[full], 100 * right[full] / pixels[full]
        axes.plot(xs, ys, color=COLORS[name], marker=MARKERS[name], markersize=3)
    axes.set(xlabel="confidence, %", ylabel="accuracy, %", xlim=(0, 101), ylim=(0, 101))
    return finish(axes, f"Reliability on {split}", list(shown))


@styled
def borders(results: Results, split: str) -> Chart | None:
    """Pixel accuracy by distance to the nearest border between two classes."""
    found = {
        n: [accuracy for accuracy, _ in border_scores(c)]
        for n in PAPER_ORDER
        if (c := pooled(results, n, split, "borders", "counts")) is not None
    }
    if not found:
        return None
    axes = new_axes(3.4)
    _lines(axes, found, band_names())
    axes.set(xlabel="distance to the border, pixels", ylabel="pixel accuracy, %", ylim=(None, 100))
    return finish(axes, f"Accuracy near borders on {split}", list(found))


def band_names() -> tuple[str, ...]:
    """How the bands of ``BORDER_WIDTHS`` are written.

    >>> band_names()[:3], band_names()[-1]
    (('<1', '1–2', '2–4'), '≥32')
    """
    inner = [f"{a}–{b}" for a, b in pairwise(BORDER_WIDTHS)]
    return (f"<{BORDER_WIDTHS[0]}", *inner, f"≥{BORDER_WIDTHS[-1]}")


def area_names() -> tuple[str, ...]:
    """How the bins of ``OBJECT_AREAS`` are written."""
    inner = [f"{a}–{b}" for a, b in pairwise(OBJECT_AREAS)]
    return (f"<{OBJECT_AREAS[0]}", *inner, f"≥{OBJECT_AREAS[-1]}")


def objects_found(results: Results, name: str, split: str, classes: Sequence[int]) -> list[float | None] | None:
    """Share of the objects of some classes, by size bin, of which at least half the pixels are right."""
    objects, found = (pooled(results, name, split, "objects", key) for key in ("objects", "found"))
    if objects is None or found is None:
        return None
    total, right = objects[list(classes)].sum(axis=0), found[list(classes)].sum(axis=0)
    return [float(r / t) if t else None for r, t in zip(right, total, strict=True)]


@styled
def object_sizes(results: Results, split: str, classes: Sequence[int]) -> Chart | None:
    """Share of the objects that are found, by their size."""
    found = {n: rows for n in PAPER_ORDER if (rows := objects_found(results, n, split, classes)) is not None}
    if not found:
        return None
    axes = new_axes(3.4)
    _lines(axes, found, area_names())
    axes.set(xlabel="area of the object, pixels of a 480×360 frame", ylabel="objects found, %", ylim=(0, 100))
    axes.tick_params("x", rotation=30)
    return finish(axes, f"Objects found by size on {split}", list(found))


def _lines(axes: Axes, found: Mapping[str, Sequence[float | None]], names: Sequence[str]) -> None:
    """A line of shares in percent for each network, over named places."""
    for name, values in found.items():
        kept = [(place, 100 * value) for place, value in enumerate(values) if value is not None]
        axes.plot([x for x, _ in kept], [y for _, y in kept], color=COLORS[name], marker=MARKERS[name])
    axes.set_xticks(range(len(names)), names)


@styled
def class_colors(classes: Mapping[str, str]) -> Chart | None:
    """Legend of the semantic maps.

    Args:
        classes: colour, as ``#rrggbb``, by name of the class.
    """
    axes = new_axes(0.15 + 0.22 * -(-len(classes) // 3))
    axes.set_axis_off()
    handles = [Patch(color=color, label=name) for name, color in classes.items()]
    axes.legend(handles=handles, loc="center", ncols=3, handlelength=1.2, handleheight=1.2, borderpad=0, fontsize=9)
    return finish(axes, "Colours of the classes")


def gate_title(name: str) -> str:
    """A gate's name in the network, for people.

    >>> gate_title("sides.left.aaff4.gate"), gate_title("arm5.1")
    ('left aaff4', 'arm5')
    """
    return name.removeprefix("sides.").removesuffix(".gate").removesuffix(".1").replace(".", " ")


@styled
def gates(statistics: Mapping[str, Mapping[str, Any]], network: str) -> Chart | None:
    """Every gate of a network: mean output, spread over channels (thin) and over frames (thick).

    Args:
        statistics: by gate, as ``experiments.runner.measure.gate_statistics`` gives them.
        network: registered name.
    """
    if not statistics:
        return None
    axes = new_axes(0.7 + 0.27 * len(statistics))
    name_rows(axes, [gate_title(name) for name in statistics])
    color = COLORS[network]
    for row, s in enumerate(statistics.values()):
        for key, width in (("between_channels", 1.0), ("between_frames", 3.5)):
            axes.plot([max(0.0, s["mean"] - s[key]), s["mean"] + s[key]], [row, row], color=color, linewidth=width)
        axes.plot(s["mean"], row, color=color, marker=MARKERS[network], markersize=4)
    axes.set_xlabel("output of the gate")
    axes.set_xlim(0, max(1.0, axes.get_xlim()[1]))
    return finish(axes, f"Gates of {TITLES[network]}")
