"""The figures on the pages are those of the results."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("numbers_script", ROOT / "scripts" / "numbers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


numbers = script()


@pytest.mark.parametrize("page", numbers.PAGES)
def test_every_figure_is_that_of_the_results(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert text.count("<!-- numbers: ") == len(numbers.BLOCK.findall(text)) > 0
    assert numbers.render(text) == text, "run: python scripts/numbers.py"


def test_a_changed_figure_is_seen() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = numbers.BLOCKS["score"]()
    assert block in text
    assert numbers.render(text.replace(block, block.replace("|", "", 1))) == text
