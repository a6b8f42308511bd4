"""The figures of the report that are about scores: curves, differences, classes, generalisation, speed, ablation.

Each function takes results and returns a chart, or None while there is nothing to show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from experiments.paper.analysis import (
    TITLES,
    Generalisation,
    Spread,
    ablation_bar,
    class_spread,
    curve,
    generalisation,
    pareto,
    spread,
)
from experiments.paper.charts import COLORS, DIM, INK, MARKERS, Chart, finish, name_rows, new_axes, offsets, styled
from experiments.paper.plan import PAPER_ORDER
from experiments.paper.references import FROM_SCRATCH, Published
from experiments.paper.results import Results
from experiments.paper.rule import Comparison

_LABEL = {"miou": "val mean IoU, %", "pixel_accuracy": "val pixel accuracy, %", "loss": "training loss"}


@styled
def curves(results: Results, metric: str) -> Chart | None:
    """Fig. 4: a column of the histories by epoch, mean over seeds with a band of one standard deviation."""
    found = {name: c for name in PAPER_ORDER if (c := curve(results, name, metric))[1]}
    values = sorted(row.mean for _, rows in found.values() for row in rows)
    if len(values) < 2:
        return None
    scale = 1 if metric == "loss" else 100
    axes = new_axes(3.2)
    for name, (epochs, rows) in found.items():
        means = [scale * row.mean for row in rows]
        deviations = [scale * (row.deviation or 0) for row in rows]
        if any(deviations):
            low, high = ([m + s * d for m, d in zip(means, deviations, strict=True)] for s in (-1, 1))
            axes.fill_between(epochs, low, high, color=COLORS[name], alpha=0.16, linewidth=0)
        axes.plot(epochs, means, color=COLORS[name])
        axes.plot(epochs[-1:], means[-1:], color=COLORS[name], marker=MARKERS[name])
    if metric == "loss":
        axes.set_ylim(0, 1.05 * values[round(0.97 * (len(values) - 1))])  # the first epochs would flatten the rest
    axes.set(xlabel="epoch", ylabel=_LABEL[metric])
    return finish(axes, f"{_LABEL[metric].removesuffix(', %')} by epoch, mean and spread over seeds", list(found))


@styled
def differences(comparisons: Sequence[tuple[str, Comparison]], where: str) -> Chart | None:
    """The comparisons of one question: every pair, the mean and its 95 % interval, in points of mean IoU.

    Args:
        comparisons: with the name of each row.
        where: told in the chart's title, such as "on val".
    """
    rows = [(name, c) for name, c in comparisons if c.differences]
    if not rows:
        return None
    axes = new_axes(0.7 + 0.62 * len(rows))
    name_rows(axes, ["" for _ in rows])
    axes.grid(visible=False, axis="y")
    axes.axvline(0, color=DIM, linewidth=1)
    for row, (name, c) in enumerate(rows):
        # Above its row, not beside it: the names would leave no room for the intervals on a phone.
        axes.text(
            *(0, row - 0.22, name),
            transform=axes.get_yaxis_transform(),
            fontsize=9,
            color=INK,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},  # the line at 0 does not cross the letters
        )
        for value in c.differences.values():
            axes.plot(100 * value, row + 0.3, color=DIM, marker="o", markersize=4)
        if c.mean is not None:
            error = None if c.interval is None else 100 * (c.interval[1] - c.mean)
            axes.errorbar(100 * c.mean, row + 0.06, xerr=error, color=INK, marker="d", linewidth=2)
    axes.set_xlabel("difference, points of mean IoU")
    return finish(axes, f"Paired differences {where}")


@styled
def by_class(results: Results, split: str, labels: Sequence[str], metric: str) -> Chart | None:
    """``iou`` or ``accuracy`` of every class for the four networks, mean and one standard deviation over seeds."""
    found = {name: [class_spread(results, name, split, label, metric) for label in labels] for name in PAPER_ORDER}
    found = {name: values for name, values in found.items() if any(values)}
    if not found:
        return None
    what = "IoU" if metric == "iou" else "accuracy"
    axes = new_axes(1.0 + 0.42 * len(labels))
    _spreads(axes, found, labels)
    axes.set(xlabel=f"{what} on {split}, %", xlim=(0, 100))
    return finish(axes, f"{what} by class on {split}", list(found))


_STAGES = {
    "seeds": (("train", "train"), ("val", "val"), ("test", "test")),
    "drives": (("drives_seen", "two drives\n(trained on)"), ("drives", "third drive\n(unseen)")),
}


@styled
def generalisations(results: Results, group: str) -> Chart | None:
    """Mean IoU of a group's networks on what they trained on and on what they did not."""
    found = {name: generalisation(results, name) for name in PAPER_ORDER}
    stages = [(key, title) for key, title in _STAGES[group] if any(getattr(g, key) for g in found.values())]
    if not stages:
        return None
    axes = new_axes(0.9 + 0.5 * len(stages))
    spreads = {name: [_at(g, key) for key, _ in stages] for name, g in found.items()}
    _spreads(axes, spreads, [title for _, title in stages])
    axes.set_xlabel("mean IoU, %")
    return finish(axes, f"Mean IoU on seen and unseen frames, group {group}", list(found))


def _at(g: Generalisation, key: str) -> Spread | None:
    value: Spread | None = getattr(g, key)
    return value


def _spreads(axes: Axes, found: Mapping[str, Sequence[Spread | None]], rows: Sequence[str]) -> None:
    """Mean and standard deviation in percent, a row for each name and a mark in it for each network."""
    name_rows(axes, rows)
    for name, shift in zip(found, offsets(len(found), 0.18), strict=True):
        for row, value in enumerate(found[name]):
            if value is not None:
                error = None if value.deviation is None else 100 * value.deviation
                axes.errorbar(
                    100 * value.mean, row + shift, xerr=error, color=COLORS[name], marker=MARKERS[name], markersize=4
                )


@styled
def trade_off(
    costs: Mapping[str, float],
    results: Results,
    split: str,
    label: str,
) -> Chart | None:
    """V-D: mean IoU against cost and the Pareto front; on test, published networks stand at the right edge.

    Args:
        costs: latency or MACs of the networks that have one.
        results: for mean IoU.
        split: whose mean IoU.
        label: of the cost axis.
    """
    scores = {name: spread(results, name, split, "miou") for name in PAPER_ORDER if name in costs}
    found = {name: (costs[name], 100 * score.mean) for name, score in scores.items() if score}
    errors = {name: 100 * (score.deviation or 0.0) for name, score in scores.items() if score}
    if not found:
        return None
    axes = new_axes(4.2 if split == "test" else 3.2)
    ranked = list(found.values())
    front = [ranked[index] for index in pareto(ranked)]
    if len(front) > 1:
        axes.plot(*zip(*front, strict=True), color=DIM, linestyle="--", linewidth=1.2)
    for name, (cost, score) in found.items():
        error = errors[name] or None
        axes.errorbar(cost, score, yerr=error, color=COLORS[name], marker=MARKERS[name], markersize=7, capsize=3)
    axes.margins(x=0.25, y=0.08)
    axes.set(xlabel=label, ylabel=f"mean IoU on {split}, %")
    if split == "test":  # a score on val and another's on test share no axis
        _published(axes, FROM_SCRATCH)
    return finish(axes, f"Mean IoU against {label}", list(found))


def _published(axes: Axes, others: Sequence[Published]) -> None:
    """Names at the right edge, at the height of their score, pushed apart where they would touch."""
    scores = [other.miou for other in others]
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, *scores) - 1, max(high, *scores) + 1)
    low, high = axes.get_ylim()
    step = 0.042  # the height of a line as a share of the axis
    free = 1.0
    for other in sorted(others, key=lambda p: -p.miou):
        at = (other.miou - low) / (high - low)
        free = min(at, free - step)
        axes.annotate(
            f"{other.name} {other.miou:.1f}",
            xy=(1, at),
            xytext=(1.05, free),
            xycoords="axes fraction",
            va="center",
            fontsize=8,
            color=DIM,
            arrowprops={
                "arrowstyle": "-",
                "color": DIM,
                "linewidth": 0.6,
                "shrinkA": 0,
                "shrinkB": 0,
                "relpos": (0, 0.5),
            },
            annotation_clip=False,
        )
    if others:
        axes.text(1.05, 1.0, "published, test", transform=axes.transAxes, fontsize=8, color=DIM, va="bottom")


@styled
def ablation(results: Results) -> Chart | None:
    """Mean IoU of the ablation's variants beside the noise of a seed."""
    values = {run.name: 100 * float(run.scores["val"]["miou"]) for run in results.of("ablation") if "val" in run.scores}
    if not values:
        return None
    base, bar = values.get("sigmoid-concat"), ablation_bar(results)
    axes = new_axes(0.7 + 0.27 * len(values))
    name_rows(axes, [name.replace("_", " ").replace("-", " ") for name in values])
    if base is not None and bar:
        axes.axvspan(base - 100 * bar, base + 100 * bar, color=DIM, alpha=0.14, linewidth=0)
    for row, (name, value) in enumerate(values.items()):
        marker = MARKERS["depthwise_aaff"] if name == "sigmoid-concat" else "o"
        color = COLORS["depthwise_aaff"] if name == "sigmoid-concat" else INK
        axes.plot(value, row, color=color, marker=marker, linestyle="")
    axes.set_xlabel("val mean IoU, %")
    return finish(axes, f"Gates, fusions and parts of {TITLES['depthwise_aaff']}")
