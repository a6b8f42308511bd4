"""Charts as SVG text: small, sharp at any size, readable in light and dark, without a plotting library.

Colours are CSS variables.  Inside the HTML report they are the page's; a chart saved as a file carries its own
style with the colours written out, since many viewers know no variables; it follows the reader's colour scheme where
the viewer does.  Series differ in colour and in the shape of their marks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources

LIGHT = {
    "ink": "#1c2024", "dim": "#60646c", "rule": "#e0e2e6", "paper": "#ffffff", "soft": "#f4f5f7",
    "s0": "#0072b2", "s1": "#d98200", "s2": "#00855f", "s3": "#c0448f", "s4": "#3a9bd1", "s5": "#7a7f87",
    "bad": "#c8321f", "link": "#0b5cad",
}  # fmt: skip
DARK = {
    "ink": "#e8eaed", "dim": "#a3a8b0", "rule": "#34383f", "paper": "#16181c", "soft": "#1f2227",
    "s0": "#4aa8e0", "s1": "#f0a63a", "s2": "#35c49a", "s3": "#ea86bf", "s4": "#8fd0f5", "s5": "#a3a8b0",
    "bad": "#ff7a66", "link": "#7ab8f5",
}  # fmt: skip
"""Colour-blind safe series (after Okabe and Ito), darkened or lightened for contrast."""


def style_sheet(name: str) -> str:
    """A CSS file of this package, in one line."""
    text = (resources.files("experiments.paper") / name).read_text(encoding="utf-8")
    return " ".join(text.split())


CHART_STYLE = style_sheet("chart.css")

SERIES = 6
"""Colours there are."""


def variables(colors: dict[str, str]) -> str:
    """CSS custom properties."""
    return ";".join(f"--{name}:{value}" for name, value in colors.items())


def standalone(svg: str) -> str:
    """A chart with its own style and background, to be saved as a file."""
    style = CHART_STYLE + " .chart .paper { fill: var(--paper) }"
    sheet = f"{_written_out(style, LIGHT)} @media (prefers-color-scheme: dark) {{ {_written_out(style, DARK)} }}"
    start = svg.index(">") + 1
    return f'{svg[:start]}<style>{sheet}</style><rect class="paper" width="100%" height="100%"/>{svg[start:]}'


def _written_out(css: str, colors: dict[str, str]) -> str:
    return re.sub(r"var\(--(\w+)\)", lambda found: colors[found[1]], css)


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        low, high: ends of the range.
        label: what it measures, with its unit.
        format: how a tick is written.
        log: logarithmic.
        ticks: where ticks stand; chosen when left out.
        names: names of categories 0, 1, …, in place of numbers.
    """

    low: float
    high: float
    label: str = ""
    format: Callable[[float], str] = lambda v: f"{v:g}"
    log: bool = False
    ticks: tuple[float, ...] | None = None
    names: tuple[str, ...] = ()

    def share(self, value: float) -> float:
        """Where a value lies, 0 at the low end, 1 at the high end."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / ((self.high - self.low) or 1.0)

    def places(self) -> list[float]:
        """Where ticks stand."""
        if self.names:
            return [float(i) for i in range(len(self.names))]
        return list(self.ticks) if self.ticks is not None else nice_ticks(self.low, self.high)


def categories(names: Sequence[str]) -> Axis:
    """An axis of named rows, the first at the top."""
    return Axis(len(names) - 0.5, -0.5, names=tuple(names))


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers between two ends.

    >>> nice_ticks(0.0, 0.93)
    [0.0, 0.2, 0.4, 0.6, 0.8]
    """
    span = (high - low) or 1.0
    power: float = 10.0 ** math.floor(math.log10(span / about))
    step = next(m * power for m in (1, 2, 5, 10) if span / (m * power) <= about + 0.5)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def padded(values: Sequence[float], share: float = 0.06, floor: float | None = None) -> tuple[float, float]:
    """A range around values with some air; never below ``floor``."""
    low, high = min(values), max(values)
    air = share * ((high - low) or max(abs(high), 1e-3))
    return (low - air if floor is None else max(floor, low - air)), high + air


class Chart:
    """A chart under construction; drawing methods append to it.

    Args:
        x, y: the axes.
        width, height: of the view box; the page scales it.
        title: read by screen readers and shown on hovering.
        left: room for the names of the rows.
        legend: one entry a series, in the order of the series, None leaves one out.
    """

    def __init__(
        self,
        x: Axis,
        y: Axis,
        *,
        title: str,
        width: int = 560,
        height: int = 340,
        left: int = 56,
        right: int = 16,
        legend: Sequence[str | None] = (),
    ) -> None:
        self.x, self.y, self.title = x, y, title
        self.width, self.height = width, height
        self._parts: list[str] = []
        rows = self._legend(legend, left)
        self.left, self.right = left, width - right
        self.top, self.bottom = 14 + 22 * rows, height - (46 if x.label else 30)
        self._axes()

    def px(self, value: float) -> float:
        """Horizontal place of a value."""
        return self.left + self.x.share(value) * (self.right - self.left)

    def py(self, value: float) -> float:
        """Vertical place of a value."""
        return self.bottom - self.y.share(value) * (self.bottom - self.top)

    def line(self, xs: Sequence[float], ys: Sequence[float], series: int, *, dash: bool = False) -> None:
        """A line through points."""
        points = " ".join(f"{self.px(x):.1f},{self.py(y):.1f}" for x, y in zip(xs, ys, strict=True))
        self._add(f'<polyline class="line{" dash" if dash else ""}" points="{points}"/>', series)

    def band(self, xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], series: int) -> None:
        """The area between two lines."""
        there = [f"{self.px(x):.1f},{self.py(y):.1f}" for x, y in zip(xs, highs, strict=True)]
        back = [f"{self.px(x):.1f},{self.py(y):.1f}" for x, y in zip(xs, lows, strict=True)][::-1]
        self._add(f'<polygon class="band" points="{" ".join(there + back)}"/>', series)

    def mark(self, x: float, y: float, series: int, *, size: float = 5, note: str = "", dy: float = 0) -> None:
        """A point in the shape of its series; ``note`` shows on hovering, ``dy`` shifts it in pixels."""
        hover = f"<title>{escape(note)}</title>" if note else ""
        path = shape(self.px(x), self.py(y) + dy, series, size)
        self._add(f'<path class="mark" d="{path}">{hover}</path>', series)

    def span(self, x1: float, x2: float, y: float, series: int, *, thin: bool = False, dy: float = 0) -> None:
        """A horizontal bar from ``x1`` to ``x2``."""
        at = self.py(y) + dy
        place = f'x1="{self.px(x1):.1f}" x2="{self.px(x2):.1f}" y1="{at:.1f}" y2="{at:.1f}"'
        self._add(f'<line class="{"thin" if thin else "bar"}" {place}/>', series)

    def upright(self, x: float, *, dash: bool = False) -> None:
        """A vertical line over the whole height."""
        place = f'x1="{self.px(x):.1f}" x2="{self.px(x):.1f}" y1="{self.top}" y2="{self.bottom}"'
        self._add(f'<line class="axis{" dash" if dash else ""}" {place}/>')

    def shade(self, x1: float, x2: float) -> None:
        """A vertical strip over the whole height."""
        low, high = self.px(x1), self.px(x2)
        place = f'x="{low:.1f}" y="{self.top}" width="{high - low:.1f}" height="{self.bottom - self.top}"'
        self._add(f'<rect {place} fill="currentColor" opacity=".12"/>', 5)

    def leader(self, x1: float, y1: float, x2: float, y2: float) -> None:
        """A thin line between pixel coordinates, from a mark to words that had to move aside."""
        self._add(f'<line class="rule" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')

    def text(self, x: float, y: float, words: str, *, anchor: str = "start", kind: str = "", size: int = 12) -> None:
        """Text at pixel coordinates of the view box."""
        where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
        self._add(f'<text class="{kind}" {where}>{escape(words)}</text>')

    def render(self) -> str:
        """The SVG element."""
        box = f'viewBox="0 0 {self.width} {self.height}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" {box}>'
        return f"{head}<title>{escape(self.title)}</title>{''.join(self._parts)}</svg>"

    def _add(self, part: str, series: int | None = None) -> None:
        self._parts.append(part if series is None else f'<g class="s{series % SERIES}">{part}</g>')

    def _legend(self, entries: Sequence[str | None], left: int) -> int:
        at, row = float(left), 0
        for series, name in enumerate(entries):
            if name is None:
                continue
            room = 6.4 * len(name) + 30
            if at + room > self.width and at > left:
                at, row = float(left), row + 1
            y = 15 + 20 * row
            self._add(f'<path class="mark" d="{shape(at + 6, y - 4, series, 5)}"/>', series)
            self.text(at + 17, y, name)
            at += room
        return row + 1 if any(entries) else 0

    def _axes(self) -> None:
        for tick in self.y.places():
            y = self.py(tick)
            if self.y.names:
                self.text(self.left - 8, y + 4, self.y.names[round(tick)], anchor="end", size=13)
            else:
                self.text(self.left - 8, y + 4, self.y.format(tick), anchor="end", kind="dim")
            self._add(f'<line class="rule" x1="{self.left}" x2="{self.right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        for tick in self.x.places():
            x = self.px(tick)
            words = self.x.names[round(tick)] if self.x.names else self.x.format(tick)
            self.text(x, self.bottom + 17, words, anchor="middle", kind="dim")
            if self.y.names:
                self._add(f'<line class="rule" x1="{x:.1f}" x2="{x:.1f}" y1="{self.top}" y2="{self.bottom}"/>')
        self._add(f'<line class="axis" x1="{self.left}" x2="{self.right}" y1="{self.bottom}" y2="{self.bottom}"/>')
        if self.x.label:
            self.text((self.left + self.right) / 2, self.height - 8, self.x.label, anchor="middle", kind="dim")
        if self.y.label:
            middle = (self.top + self.bottom) / 2
            turned = f'transform="translate(13 {middle:.0f}) rotate(-90)" text-anchor="middle" font-size="12"'
            self._add(f'<text class="dim" {turned}>{escape(self.y.label)}</text>')


def shape(x: float, y: float, series: int, size: float) -> str:
    """Path of a mark: circle, square, triangle, diamond, downward triangle, bar."""
    s = size
    kind = series % SERIES
    if kind == 0:
        return f"M{x - s:.1f},{y:.1f}a{s},{s} 0 1,0 {2 * s},0a{s},{s} 0 1,0 {-2 * s},0Z"
    corners = {
        1: [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        2: [(0, -1.2), (1.1, 0.9), (-1.1, 0.9)],
        3: [(0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)],
        4: [(0, 1.2), (1.1, -0.9), (-1.1, -0.9)],
        5: [(-1.1, -0.5), (1.1, -0.5), (1.1, 0.5), (-1.1, 0.5)],
    }[kind]
    return "M" + "L".join(f"{x + s * a:.1f},{y + s * b:.1f}" for a, b in corners) + "Z"
