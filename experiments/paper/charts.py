"""The look of every chart: one width, literal colours, one colour and one marker per network.

Letters stay legible where a phone shows a chart 350 pixels wide, and no viewer needs CSS to show the colours.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.paper.analysis import TITLES

WIDTH = 4.0
"""Inches; an inch is 96 pixels of a page."""

INK, DIM, RULE = "#1c2024", "#60646c", "#e0e2e6"
RIGHT, WRONG = "#5b6470", "#c8321f"
"""Right and wrong, in the confusion matrix as in the maps of differences; no network has these colours."""

COLORS = {
    "bisenet": "#0072b2",
    "depthwise_bisenet": "#d98200",
    "depthwise_aaff": "#00855f",
    "depthwise_aaff2": "#c0448f",
}
"""By network, colour-blind safe (after Okabe and Ito)."""

MARKERS = {"bisenet": "o", "depthwise_bisenet": "s", "depthwise_aaff": "^", "depthwise_aaff2": "D"}

_STYLE: dict[str, Any] = {
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": DIM,
    "axes.labelcolor": DIM,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "xtick.color": DIM,
    "ytick.color": DIM,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "legend.frameon": False,
    "svg.fonttype": "none",  # letters stay letters: small files, and a reader can search them
    "svg.hashsalt": "aaff",  # the same results give the same file
}


styled = style.context(_STYLE, after_reset=True)
"""Decorates a drawing function: this module's style, whatever the reader's own matplotlibrc says."""


@dataclass(frozen=True)
class Chart:
    """A finished chart.

    Attributes:
        title: for screen readers.
        svg: the file's content.
    """

    title: str
    svg: str


def new_axes(height: float) -> Axes:
    """Axes of a new chart, ``height`` inches high."""
    axes: Axes = Figure(figsize=(WIDTH, height), layout="constrained").subplots()
    return axes


def finish(axes: Axes, title: str, networks: Sequence[str] = ()) -> Chart:
    """Add a legend of networks above the axes and write the chart.

    Args:
        axes: with everything drawn.
        title: for screen readers.
        networks: those shown, in order; none adds no legend.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    if networks:
        labels = [TITLES[name] for name in networks]
        handles = [Line2D([], [], color=COLORS[name], marker=MARKERS[name]) for name in networks]
        figure.legend(
            handles, labels, loc="outside upper center", ncols=2, columnspacing=1.0, handlelength=1.5, fontsize=9
        )
    return Chart(title, to_svg(figure, title))


def to_svg(figure: Figure, title: str) -> str:
    """The figure as SVG text that is the same every time."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Title": title})
    return file.getvalue()


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows 0, 1, … of the vertical axis, the first at the top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params("y", length=0, labelcolor=INK)
    axes.spines["left"].set_visible(False)


def offsets(count: int, step: float) -> list[float]:
    """Vertical shifts that set ``count`` marks of one row apart, centred on it.

    >>> offsets(3, 0.2)
    [-0.2, 0.0, 0.2]
    """
    return [step * (index - (count - 1) / 2) for index in range(count)]
