"""The figures on the pages are those of the results."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import update_tables

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("page", update_tables.PAGES)
def test_every_figure_is_that_of_the_results(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert text.count("<!-- numbers: ") == len(update_tables.BLOCK.findall(text)) > 0
    assert update_tables.render(text) == text, "run: make tables"


def test_a_changed_figure_is_seen() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = update_tables.BLOCKS["score"]()
    assert block in text
    assert update_tables.render(text.replace(block, block.replace("|", "", 1))) == text
