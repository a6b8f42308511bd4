"""The page on the architecture names files and packages that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_every_file_of_the_page_exists() -> None:
    files = set(re.findall(r"`((?:\w+/)*\w+\.(?:py|toml|txt|md))`", PAGE))
    assert len(files) > 30
    missing = [f for f in files if not any((ROOT / base / f).is_file() for base in ("src/aaff", "docs", "."))]
    assert missing == []


def test_every_package_has_a_row() -> None:
    packages = {path.parent.name for path in (ROOT / "src" / "aaff").glob("*/__init__.py")}
    assert packages <= set(re.findall(r"^\| `(\w+)` \|", PAGE, re.M))
