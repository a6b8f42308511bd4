"""The report as one HTML file: no script, no font, nothing fetched; readable on a phone, in light and in dark."""

from __future__ import annotations

import base64
import re
from html import escape
from pathlib import Path

from experiments.paper.blocks import Block, Document, Figure, Folded, Heading, Note, Points, Prose, Row, Strip, Table

WIDE = 3
"""Columns beyond which a table is likely to be wider than a phone, which is then said above it."""


def render_html(document: Document) -> str:
    """The whole page as text."""
    chapters = [b for b in document.blocks if isinstance(b, Heading) and b.level == 2]
    links = " ".join(f'<a href="#{anchor(h.text)}">{inline(h.text)}</a>' for h in chapters)
    lead = "".join(f"<p>{inline(sentence)}</p>" for sentence in document.lead)
    body = "".join(_block(block) for block in document.blocks)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(document.title)}</title><style>{_style_sheet()}</style></head>"
        f'<body><main><h1>{escape(document.title)}</h1><div class="lead">{lead}</div><nav>{links}</nav>{body}'
        f"<footer>{inline(document.footer)}</footer></main></body></html>\n"
    )


def _style_sheet() -> str:
    return " ".join((Path(__file__).with_name("page.css")).read_text(encoding="utf-8").split())


def anchor(text: str) -> str:
    """Name of a heading inside the page.

    >>> anchor("V-A. What they learn")
    'v-a-what-they-learn'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def inline(text: str) -> str:
    """Bold, code and links of the house's small markup; everything else is shown as it is.

    >>> inline("**a** < `b`")
    '<strong>a</strong> &lt; <code>b</code>'
    """
    safe = escape(text, quote=False)
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", safe)
    safe = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", safe)
    return re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", r'<a href="\2">\1</a>', safe)


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f'<h{block.level} id="{anchor(block.text)}">{inline(block.text)}</h{block.level}>'
    if isinstance(block, Prose):
        return f"<p>{inline(block.text)}</p>"
    if isinstance(block, Points):
        return "<ul>" + "".join(f"<li>{inline(item)}</li>" for item in block.items) + "</ul>"
    if isinstance(block, Note):
        return f'<div class="note">{inline(block.text)}</div>'
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Figure):
        chart = base64.b64encode(block.chart.svg.encode()).decode()
        image = f'<img class="chart" src="data:image/svg+xml;base64,{chart}" alt="{escape(block.chart.title)}">'
        return f"<figure>{image}<figcaption>{inline(block.caption)}</figcaption></figure>"
    if isinstance(block, Row):
        return '<div class="row">' + "".join(_block(figure) for figure in block.figures) + "</div>"
    if isinstance(block, Strip):
        pictures = "".join(
            f'<figure><img src="{_data(p.path)}" alt="{escape(p.caption)}" loading="lazy">'
            f"<figcaption>{inline(p.caption)}</figcaption></figure>"
            for p in block.pictures
        )
        return f'<p>{inline(block.title)}</p><div class="strip">{pictures}</div>'
    assert isinstance(block, Folded)
    inside = "".join(_block(part) for part in block.blocks)
    return f"<details><summary>{inline(block.title)}</summary>{inside}</details>"


def _table(table: Table) -> str:
    def cells(words: tuple[str, ...], tag: str) -> str:
        kinds = [' class="t"' if i < table.text_columns else "" for i in range(len(words))]
        return "".join(f"<{tag}{kind}>{inline(word)}</{tag}>" for kind, word in zip(kinds, words, strict=True))

    # Above the part that scrolls: inside, a phone cuts it off.
    caption = f'<p class="caption">{inline(table.caption)}</p>' if table.caption else ""
    marks = [' class="quiet"' if i in table.quiet else "" for i in range(len(table.rows))]
    rows = "".join(f"<tr{mark}>{cells(row, 'td')}</tr>" for mark, row in zip(marks, table.rows, strict=True))
    head = f"<thead><tr>{cells(table.columns, 'th')}</tr></thead>"
    hint = '<p class="hint">Scroll the table sideways →</p>' if len(table.columns) > WIDE else ""
    named = f' aria-label="{escape(re.sub(r"[*`]", "", table.caption))}"' if table.caption else ""
    return f'{caption}{hint}<div class="scroll" tabindex="0"><table{named}>{head}<tbody>{rows}</tbody></table></div>'


def _data(path: Path) -> str:
    kind = {".png": "png", ".jpg": "jpeg"}[path.suffix]
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
