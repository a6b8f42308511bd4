"""The figures of the report about how a network errs: confusion, confidence, borders, object sizes, gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np

from experiments.paper.analysis import TITLES, border_scores, pooled, pooled_confusion
from experiments.paper.details import BORDER_WIDTHS, CONFIDENCE_BINS, OBJECT_AREAS
from experiments.paper.figures import NARROW, percent
from experiments.paper.plan import PAPER_ORDER
from experiments.paper.results import Results
from experiments.paper.svg import Axis, Chart, categories


def confusion(results: Results, name: str, split: str, labels: Sequence[str]) -> str | None:
    """Confusion matrix of a network as a picture: each row (truth) shared out over the answers, in percent."""
    counts = pooled_confusion(results, name, split)
    if counts is None:
        return None
    rows = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cell, left, top = 34, 92, 84
    side = cell * len(labels)
    width, height = left + side + 44, top + side + 30
    parts = [f'<text class="bold" x="0" y="14">{escape(TITLES[name])}</text>']
    for i, label in enumerate(labels):
        middle = left + cell * (i + 0.5)
        parts.append(
            f'<text x="{left - 6}" y="{top + cell * (i + 0.5) + 4:.0f}" text-anchor="end">{escape(label)}</text>'
        )
        turn = f'transform="translate({middle + 4:.0f} {top - 6}) rotate(-50)"'
        parts.append(f"<text {turn}>{escape(label)}</text>")
        for j, other in enumerate(labels):
            share = float(rows[i, j])
            place = f'x="{left + cell * j}" y="{top + cell * i}" width="{cell - 1}" height="{cell - 1}"'
            # The square root shows a few percent too, which is where the errors are.
            color, strength = ("s2" if i == j else "s1"), max(0.04, share**0.5)
            note = f"<title>{escape(label)} answered as {escape(other)}: {100 * share:.1f} %</title>"
            parts.append(
                f'<g class="{color}"><rect {place} fill="currentColor" opacity="{strength:.2f}">{note}</rect></g>'
            )
            if share >= 0.005:
                at = f'x="{left + cell * (j + 0.5):.0f}" y="{top + cell * (i + 0.5) + 4:.0f}"'
                kind = ' class="inverse"' if share > 0.4 else ""
                parts.append(f'<text{kind} {at} text-anchor="middle" font-size="11">{100 * share:.0f}</text>')
    where = f'x="{left + side / 2:.0f}" y="{height - 8}" text-anchor="middle" font-size="12"'
    parts.append(
        f'<text class="dim" {where}>percent of the true pixels (row) by answer (column), {escape(split)}</text>'
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" viewBox="0 0 {width} {height}">'
    return f"{head}<title>Confusion matrix of {escape(TITLES[name])}</title>{''.join(parts)}</svg>"


def calibration_error(results: Results, name: str, split: str) -> float | None:
    """Expected calibration error over the pixels of all seeds."""
    table = [pooled(results, name, split, "calibration", key) for key in ("pixels", "right", "confidence_sum")]
    if table[0] is None or table[1] is None or table[2] is None:
        return None
    return float(np.abs(table[1] - table[2]).sum() / max(table[0].sum(), 1.0))


def calibration(results: Results, split: str) -> str | None:
    """Reliability curves: how often an answer is right, by the confidence it was given."""
    shown = {n: e for n in PAPER_ORDER if (e := calibration_error(results, n, split)) is not None}
    if not shown:
        return None
    chart = Chart(
        Axis(0, 1, "confidence, %", percent),
        Axis(0, 1, "right, %", percent),
        title=f"Reliability on {split}",
        legend=[f"{TITLES[n]} (ECE {100 * shown[n]:.1f})" if n in shown else None for n in PAPER_ORDER],
        height=400,
    )
    chart.line([0, 1], [0, 1], 5, dash=True)
    for name in shown:
        pixels, right, total = (
            pooled(results, name, split, "calibration", k) for k in ("pixels", "right", "confidence_sum")
        )
        assert pixels is not None
        assert right is not None
        assert total is not None
        # A bin with a handful of pixels says nothing; below 1 / classes there can be none.
        full = pixels > max(0.0002 * pixels.sum(), CONFIDENCE_BINS)
        xs, ys = (total[full] / pixels[full]).tolist(), (right[full] / pixels[full]).tolist()
        series = PAPER_ORDER.index(name)
        chart.line(xs, ys, series)
        for x, y in zip(xs, ys, strict=True):
            chart.mark(x, y, series, size=2.6, note=f"{TITLES[name]}: {percent(y)} right at {percent(x)}")
    return chart.render()


def borders(results: Results, split: str) -> str | None:
    """Pixel accuracy by distance to the nearest border between two classes."""
    found = {
        n: border_scores(c) for n in PAPER_ORDER if (c := pooled(results, n, split, "borders", "counts")) is not None
    }
    if not found:
        return None
    values = [accuracy for rows in found.values() for accuracy, _ in rows if accuracy is not None]
    chart = Chart(
        Axis(-0.3, len(BORDER_WIDTHS) + 0.3, "distance to the border, pixels", names=band_names()),
        Axis(max(0.0, min(values) - 0.05), 1, "pixel accuracy, %", percent),
        title=f"Accuracy near borders on {split}",
        legend=[TITLES[n] if n in found else None for n in PAPER_ORDER],
    )
    for name, rows in found.items():
        _line(chart, [accuracy for accuracy, _ in rows], PAPER_ORDER.index(name), TITLES[name])
    return chart.render()


def band_names() -> tuple[str, ...]:
    """How the bands of :data:`BORDER_WIDTHS` are written.

    >>> band_names()[:3], band_names()[-1]
    (('<1', '1–2', '2–4'), '≥32')
    """
    inner = [f"{a}–{b}" for a, b in pairwise(BORDER_WIDTHS)]
    return (f"<{BORDER_WIDTHS[0]}", *inner, f"≥{BORDER_WIDTHS[-1]}")


def area_names() -> tuple[str, ...]:
    """How the bins of :data:`OBJECT_AREAS` are written."""
    inner = [f"{a}–{b}" for a, b in pairwise(OBJECT_AREAS)]
    return (f"<{OBJECT_AREAS[0]}", *inner, f"≥{OBJECT_AREAS[-1]}")


def objects_found(results: Results, name: str, split: str, classes: Sequence[int]) -> list[float | None] | None:
    """Share of the objects of some classes, by size bin, of which at least half the pixels are right."""
    objects, found = (pooled(results, name, split, "objects", key) for key in ("objects", "found"))
    if objects is None or found is None:
        return None
    total, right = objects[list(classes)].sum(axis=0), found[list(classes)].sum(axis=0)
    return [float(r / t) if t else None for r, t in zip(right, total, strict=True)]


def object_sizes(results: Results, split: str, classes: Sequence[int]) -> str | None:
    """Share of the objects that are found, by their size."""
    found = {n: rows for n in PAPER_ORDER if (rows := objects_found(results, n, split, classes)) is not None}
    if not found:
        return None
    names = area_names()
    chart = Chart(
        Axis(-0.3, len(names) - 0.7, "area of the object, pixels of a 480×360 frame", names=names),
        Axis(0, 1, "objects found, %", percent),
        title=f"Objects found by size on {split}",
        legend=[TITLES[n] if n in found else None for n in PAPER_ORDER],
    )
    for name, rows in found.items():
        _line(chart, rows, PAPER_ORDER.index(name), TITLES[name])
    return chart.render()


def _line(chart: Chart, values: Sequence[float | None], series: int, title: str) -> None:
    kept = [(float(i), v) for i, v in enumerate(values) if v is not None]
    chart.line([x for x, _ in kept], [y for _, y in kept], series)
    for x, y in kept:
        chart.mark(x, y, series, size=3.6, note=f"{title}, {chart.x.names[round(x)]}: {percent(y)}")


def class_colors(classes: Mapping[str, str]) -> str:
    """Legend of the semantic maps.

    Args:
        classes: colour, as ``#rrggbb``, by name of the class.
    """
    column, height, per_row = 125, 22, 5
    parts = []
    for i, (name, color) in enumerate(classes.items()):
        x, y = column * (i % per_row), height * (i // per_row)
        parts.append(f'<rect x="{x}" y="{y + 3}" width="14" height="14" rx="2" fill="{escape(color)}"/>')
        parts.append(f'<text x="{x + 20}" y="{y + 15}">{escape(name)}</text>')
    box = f'viewBox="0 0 {column * per_row} {height * -(-len(classes) // per_row)}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" {box}>'
    return f"{head}<title>Colours of the classes</title>{''.join(parts)}</svg>"


def gate_title(name: str) -> str:
    """A gate's name in the network, for people.

    >>> gate_title("sides.left.aaff4.gate"), gate_title("arm5.1")
    ('left aaff4', 'arm5')
    """
    return name.removeprefix("sides.").removesuffix(".gate").removesuffix(".1").replace(".", " ")


def gates(statistics: Mapping[str, Mapping[str, Any]], title: str) -> str | None:
    """Every gate of a network: mean output, spread over channels (thin) and over frames (thick).

    Args:
        statistics: by gate, as :func:`experiments.paper.measure.gate_statistics` gives them.
        title: of the network.
    """
    if not statistics:
        return None
    high = max(s["mean"] + max(s["between_channels"], s["between_frames"]) for s in statistics.values())
    chart = Chart(
        Axis(0, max(1.0, 1.05 * high), "output of the gate"),
        categories([gate_title(name) for name in statistics]),
        title=f"Gates of {title}",
        width=NARROW,
        height=60 + 26 * len(statistics),
        left=140,
    )
    for row, (name, s) in enumerate(statistics.items()):
        ends = [(max(0.0, s["mean"] - s[key]), s["mean"] + s[key]) for key in ("between_channels", "between_frames")]
        chart.span(*ends[0], row, 0, thin=True)
        chart.span(*ends[1], row, 1)
        note = f"{name}: mean {s['mean']:.3f}, spread over frames {s['between_frames']:.3f}"
        chart.mark(s["mean"], row, 0, size=4, note=note)
    return chart.render()
