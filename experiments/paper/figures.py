"""The figures of the report that are about scores: curves, differences, classes, generalisation, speed, ablation.

Each function takes results and gives an SVG, or None while nothing is there to show.
"""

from __future__ import annotations

from collections.abc import Sequence

from experiments.paper.analysis import (
    TITLES,
    Generalisation,
    Spread,
    class_spread,
    curve,
    generalisation,
    noise,
    pareto,
    spread,
)
from experiments.paper.plan import PAPER_ORDER
from experiments.paper.references import FROM_SCRATCH, Published
from experiments.paper.results import Results
from experiments.paper.rule import BAR, Comparison
from experiments.paper.svg import Axis, Chart, categories, padded

NARROW = 430
"""Width of charts that stand two side by side, so that their letters are not smaller than those of the others."""

_LABEL = {"miou": "val mean IoU, %", "pixel_accuracy": "val pixel accuracy, %", "loss": "training loss"}


def percent(value: float) -> str:
    """A share as percent without the sign.

    >>> percent(0.6)
    '60'
    """
    return f"{100 * value:.3g}"


def points(value: float) -> str:
    """A difference in points, signed.

    >>> points(0.012), points(-0.03)
    ('+1.2', '−3.0')
    """
    return f"{100 * value:+.1f}".replace("-", "−") if round(1000 * value) else "0"


def curves(results: Results, metric: str) -> str | None:
    """Fig. 4: a column of the histories by epoch, mean over seeds with a band of one standard deviation."""
    found = {name: curve(results, name, metric) for name in PAPER_ORDER}
    values = [row.mean for _, rows in found.values() for row in rows]
    if len(values) < 2:
        return None
    last = max(epochs[-1] for epochs, _ in found.values() if epochs)
    share = metric != "loss"
    low, high = padded(values if share else sorted(values)[: max(2, round(0.97 * len(values)))], floor=0.0)
    chart = Chart(
        Axis(0, last, "epoch"),
        Axis(low, min(high, 1.0) if share else high, _LABEL[metric], percent if share else "{:g}".format),
        title=f"{_LABEL[metric]} by epoch, mean and spread over seeds",
        width=NARROW,
        height=300,
        left=48,
        legend=[TITLES[name] if found[name][0] else None for name in PAPER_ORDER],
    )
    for series, name in enumerate(PAPER_ORDER):
        epochs, rows = found[name]
        if not rows:
            continue
        kept = [(e, r) for e, r in zip(epochs, rows, strict=True) if r.mean <= chart.y.high]
        xs, spreads = [float(e) for e, _ in kept], [r for _, r in kept]
        if any(r.deviation for r in spreads):
            edges = [[clamp(r.mean + s * (r.deviation or 0), chart.y) for r in spreads] for s in (-1, 1)]
            chart.band(xs, edges[0], edges[1], series)
        chart.line(xs, [r.mean for r in spreads], series)
        if spreads:
            note = f"{TITLES[name]}: {percent(spreads[-1].mean)}"
            chart.mark(xs[-1], spreads[-1].mean, series, size=4, note=note)
    return chart.render()


def clamp(value: float, axis: Axis) -> float:
    """A value inside an axis' range."""
    return min(max(value, axis.low), axis.high)


def differences(comparisons: Sequence[tuple[str, Comparison]]) -> str | None:
    """The comparisons of the rule: every pair, the mean, and two standard errors, in points of mean IoU.

    Args:
        comparisons: with the name of each row.
    """
    rows = [(name, c) for name, c in comparisons if c.differences]
    if not rows:
        return None
    edges = [0.0]
    for _, c in rows:
        half = BAR * (c.error or 0.0)
        edges += [*c.differences.values(), (c.mean or 0.0) - half, (c.mean or 0.0) + half]
    low, high = padded(edges)
    chart = Chart(
        Axis(low, high, "difference, points of mean IoU", points),
        categories([name for name, _ in rows]),
        title="Paired differences",
        height=60 + 46 * len(rows),
        left=212,
        width=640,
    )
    chart.upright(0.0)
    for row, (name, c) in enumerate(rows):
        for condition, value in c.differences.items():
            note = f"{name}, {condition}: {points(value)}"
            chart.mark(value, row, 1 if condition.startswith("drive") else 0, size=4, note=note, dy=8)
        if c.mean is not None:
            if c.error is not None:
                chart.span(c.mean - BAR * c.error, c.mean + BAR * c.error, row, 2, dy=-7)
            chart.mark(c.mean, row, 2, size=5.5, note=f"{name}: mean {points(c.mean)}", dy=-7)
    return chart.render()


def by_class(results: Results, split: str, labels: Sequence[str], metric: str) -> str | None:
    """``iou`` or ``accuracy`` of every class for the four networks, mean and one standard deviation over seeds."""
    found = {n: {c: class_spread(results, n, split, c, metric) for c in labels} for n in PAPER_ORDER}
    if not any(value for row in found.values() for value in row.values()):
        return None
    what = "IoU" if metric == "iou" else "accuracy"
    chart = Chart(
        Axis(0, 1, f"{what} on {split}, %", percent),
        categories(labels),
        title=f"{what} by class on {split}",
        height=70 + 34 * len(labels),
        left=100,
        legend=[TITLES[n] if any(found[n].values()) else None for n in PAPER_ORDER],
    )
    for series, name in enumerate(PAPER_ORDER):
        for row, label in enumerate(labels):
            value = found[name][label]
            if value is not None:
                shift = 6.0 * (series - 1.5)
                if value.deviation:
                    low, high = (
                        clamp(value.mean - value.deviation, chart.x),
                        clamp(value.mean + value.deviation, chart.x),
                    )
                    chart.span(low, high, row, series, thin=True, dy=shift)
                note = f"{TITLES[name]}, {label}: {percent(value.mean)}"
                chart.mark(value.mean, row, series, size=3.8, note=note, dy=shift)
    return chart.render()


_STAGES = (
    ("train", "train"),
    ("val", "val"),
    ("test", "test"),
    ("drives_seen", "two drives (trained on)"),
    ("drives", "third drive (unseen)"),
)


def generalisations(results: Results) -> str | None:
    """Mean IoU on what the networks trained on and on what they did not."""
    found = {name: generalisation(results, name) for name in PAPER_ORDER}
    stages = [(key, title) for key, title in _STAGES if any(getattr(g, key) for g in found.values())]
    if not stages:
        return None

    def at(g: Generalisation, key: str) -> Spread | None:
        value: Spread | None = getattr(g, key)
        return value

    values = [
        s.mean + d * (s.deviation or 0) for g in found.values() for k, _ in stages if (s := at(g, k)) for d in (-1, 1)
    ]
    low, high = padded(values, floor=0.0)
    chart = Chart(
        Axis(low, min(high, 1.0), "mean IoU, %", percent),
        categories([title for _, title in stages]),
        title="Mean IoU on seen and unseen frames",
        height=80 + 46 * len(stages),
        left=160,
        legend=[TITLES[n] for n in PAPER_ORDER],
    )
    for series, name in enumerate(PAPER_ORDER):
        for row, (key, title) in enumerate(stages):
            value, shift = at(found[name], key), 8.0 * (series - 1.5)
            if value is not None:
                if value.deviation:
                    ends = [clamp(value.mean + s * value.deviation, chart.x) for s in (-1, 1)]
                    chart.span(ends[0], ends[1], row, series, thin=True, dy=shift)
                note = f"{TITLES[name]}, {title}: {percent(value.mean)}"
                chart.mark(value.mean, row, series, size=4.5, note=note, dy=shift)
    return chart.render()


def trade_off(
    costs: dict[str, float], results: Results, split: str, label: str, *, others: Sequence[Published] = FROM_SCRATCH
) -> str | None:
    """V-D: mean IoU against cost, the Pareto front, and published networks at the right edge.

    Args:
        costs: latency or MACs of the networks that have one.
        results: for mean IoU.
        split: whose mean IoU.
        label: of the cost axis.
        others: published networks; their cost on this machine is unknown, so they have no place on the cost axis.
    """
    found = {n: (costs[n], s) for n in PAPER_ORDER if n in costs and (s := spread(results, n, split, "miou"))}
    if not found:
        return None
    values = [s.mean for _, s in found.values()] + [p.miou / 100 for p in others]
    low, high = padded(values, 0.08, floor=0.0)
    ends = padded([c for c, _ in found.values()], 0.25, floor=0.0)
    chart = Chart(
        Axis(ends[0], ends[1], label),
        Axis(low, min(1.0, high), f"mean IoU on {split}, %", percent),
        title=f"Mean IoU against {label}",
        width=NARROW,
        height=400,
        left=48,
        right=142,
        legend=[TITLES[n] if n in found else None for n in PAPER_ORDER],
    )
    names = list(found)
    front = pareto([(found[n][0], found[n][1].mean) for n in names])
    if len(front) > 1:
        steps = [(found[names[i]][0], found[names[i]][1].mean) for i in front]
        chart.line([x for x, _ in steps], [y for _, y in steps], 5, dash=True)
    for name in names:
        cost, value = found[name]
        series = PAPER_ORDER.index(name)
        chart.mark(cost, value.mean, series, size=6.5, note=f"{TITLES[name]}: {percent(value.mean)} at {cost:.3g}")
    _published(chart, others)
    return chart.render()


def _published(chart: Chart, others: Sequence[Published]) -> None:
    """Names at the right edge, at the height of their score, pushed apart where they would touch."""
    if others:
        chart.text(chart.right + 14, chart.top - 2, "published, test", kind="dim", size=11)
    free = chart.top + 8.0
    for other in sorted(others, key=lambda p: -p.miou):
        at = chart.py(other.miou / 100)
        y = max(at, free)
        free = y + 13
        chart.leader(chart.right, at, chart.right + 12, y)
        chart.text(chart.right + 14, y + 4, f"{other.name} {other.miou:.1f}", kind="dim", size=11)
        chart.mark(chart.x.high, other.miou / 100, 5, size=3, note=f"{other.name}: {other.miou} on test")


def ablation(results: Results) -> str | None:
    """Mean IoU of the ablation's variants beside the noise of a seed."""
    runs = [run for run in results.of("ablation") if "val" in run.scores]
    if not runs:
        return None
    values = {run.name: float(run.scores["val"]["miou"]) for run in runs}
    base, deviation = values.get("sigmoid-concat"), noise(results)
    half = 2 * 2**0.5 * deviation if deviation is not None else 0.0
    edges = [*values.values(), *([base - half, base + half] if base is not None else [])]
    low, high = padded(edges, floor=0.0)
    chart = Chart(
        Axis(low, high, "val mean IoU, %" + (" (grey: within the noise of the seed)" if half else ""), percent),
        categories([name.replace("_", " ").replace("-", " ") for name in values]),
        title="Gates, fusions and parts of depthwise_aaff",
        height=60 + 26 * len(values),
        left=150,
    )
    if base is not None and half:
        chart.shade(max(base - half, low), min(base + half, high))
    for row, (name, value) in enumerate(values.items()):
        chart.mark(value, row, 2 if name == "sigmoid-concat" else 0, note=f"{name}: {percent(value)}")
    return chart.render()
