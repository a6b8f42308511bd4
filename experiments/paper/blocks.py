"""The report before it has a form: headings, prose, tables, figures, pictures; HTML and Markdown render the same.

Prose and cells may hold ``**bold**``, ```code``` and ``[words](address)``, which both forms understand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from experiments.paper.charts import Chart


@dataclass(frozen=True)
class Heading:
    """A heading of level 2 (a chapter) or 3."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Prose:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Points:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Note:
    """What a reader must not miss: something absent, provisional, or of another protocol."""

    text: str


@dataclass(frozen=True)
class Table:
    """A table; the first column is text, the others numbers to the right.

    Attributes:
        columns: headings.
        rows: cells as text.
        caption: above the table.
        quiet: indices of rows that are only for comparison.
        text_columns: how many columns from the left are text.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    quiet: frozenset[int] = frozenset()
    text_columns: int = 1


@dataclass(frozen=True)
class Figure:
    """A chart.

    Attributes:
        name: of its file, without suffix.
        chart: the drawing.
        caption: below it.
    """

    name: str
    chart: Chart
    caption: str


@dataclass(frozen=True)
class Row:
    """Figures side by side where the page is wide enough."""

    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Picture:
    """A raster picture file with what it shows."""

    path: Path
    caption: str


@dataclass(frozen=True)
class Strip:
    """Pictures of one frame, side by side where the page is wide enough.

    Attributes:
        title: above them.
        pictures: the pictures.
        sheet: all of them in one file, for forms that cannot lay them out.
    """

    title: str
    pictures: tuple[Picture, ...]
    sheet: Path


@dataclass(frozen=True)
class Folded:
    """Blocks that most readers skip, behind a line that opens them."""

    title: str
    blocks: tuple[Block, ...]


Block = Heading | Prose | Points | Note | Table | Figure | Row | Strip | Folded


@dataclass
class Document:
    """A report.

    Attributes:
        title: of the page.
        lead: the sentences at the top, the answer.
        blocks: the rest in order.
        footer: one line at the end.
    """

    title: str
    lead: Sequence[str]
    blocks: list[Block] = field(default_factory=list)
    footer: str = ""

    def add(self, *blocks: Block | None) -> None:
        """Append what is there."""
        self.blocks += [block for block in blocks if block is not None]


def figure(name: str, chart: Chart | None, caption: str) -> Figure | None:
    """A figure, or None when there is nothing to show."""
    return None if chart is None else Figure(name, chart, caption)


def row(*figures: Figure | None) -> Row | None:
    """The figures that are there, side by side; None when none is."""
    present = tuple(f for f in figures if f is not None)
    return Row(present) if present else None
