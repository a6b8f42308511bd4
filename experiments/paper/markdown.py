"""The report as Markdown, with its charts and pictures as files beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

from aaff.files import replacing, write_text
from experiments.paper.blocks import Block, Document, Figure, Folded, Heading, Note, Points, Prose, Row, Strip, Table

FIGURES = "figures"
"""Folder beside the page."""


def write_markdown(document: Document, page: Path) -> None:
    """Write the page and, into ``figures/`` beside it, what it shows.

    Figures of an earlier report that this one does not have are removed.

    Raises:
        AaffError: a file cannot be written.
    """
    folder = page.parent / FIGURES
    kept: set[str] = set()
    lead = "\n".join(f"> {sentence}\n>" for sentence in document.lead).removesuffix("\n>")
    parts = [f"# {document.title}", lead, *(_block(block, folder, kept) for block in document.blocks)]
    write_text(page, "\n\n".join(part for part in [*parts, document.footer] if part) + "\n")
    if folder.is_dir():
        for path in folder.iterdir():
            if path.name not in kept:
                path.unlink()


def _block(block: Block, folder: Path, kept: set[str]) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {block.text}"
    if isinstance(block, Prose):
        return block.text
    if isinstance(block, Points):
        return "\n".join(f"- {item}" for item in block.items)
    if isinstance(block, Note):
        return f"> **Note.** {block.text}"
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Figure):
        return f"{_figure(block, folder, kept)}\n\n{block.caption}"
    if isinstance(block, Row):
        return "\n\n".join(_block(figure, folder, kept) for figure in block.figures)
    if isinstance(block, Strip):
        kept.add(block.sheet.name)
        target = folder / block.sheet.name
        with replacing(target) as temporary:
            shutil.copyfile(block.sheet, temporary)
        shown = ", ".join(picture.caption for picture in block.pictures)
        return f"{block.title}\n\n![{shown}]({FIGURES}/{target.name})"
    assert isinstance(block, Folded)
    inside = "\n\n".join(_block(part, folder, kept) for part in block.blocks)
    return f"<details><summary>{block.title}</summary>\n\n{inside}\n\n</details>"


def _figure(figure: Figure, folder: Path, kept: set[str]) -> str:
    name = f"{figure.name}.svg"
    kept.add(name)
    write_text(folder / name, figure.chart.svg)
    return f"![{figure.chart.title}]({FIGURES}/{name})"


def _table(table: Table) -> str:
    sides = [":--" if i < table.text_columns else "--:" for i in range(len(table.columns))]
    lines = [table.columns, tuple(sides), *table.rows]
    grid = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    return f"{table.caption}\n\n{grid}" if table.caption else grid
