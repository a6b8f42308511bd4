"""Helpers for the tables in README and docs: reading results, Markdown, provenance."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def read(name: str) -> Any:
    """One file of ``results/``."""
    return json.loads((ROOT / "results" / f"{name}.json").read_text(encoding="utf-8"))


def table(columns: list[str], rows: list[list[str]]) -> str:
    """A Markdown table with left-aligned text and right-aligned numbers.

    >>> print(table(["model", "IoU"], [["a", "60.7 %"]]), end="")
    | model | IoU |
    | --- | ---: |
    | a | 60.7 % |
    """
    numeric = [any(re.match(r"[+−-]?\d", row[i]) for row in rows) for i in range(len(columns))]
    rules = ["---:" if right else "---" for right in numeric]
    return "".join(f"| {' | '.join(row)} |\n" for row in [columns, rules, *rows])


def source(*names: str) -> str:
    """Where the figures above come from."""
    about = read(names[0])["provenance"]
    files = " and ".join(f"`results/{name}.json`" for name in names)
    cores = f"{about['cores']} core{'s' if about['cores'] != 1 else ''} of an {about['processor']}"
    if about.get("instructions"):
        cores += f" with {', '.join(about['instructions'])}"
    return f"\n({files}, {about['date'][:10]}, {cores}.)\n"


def percent(value: float, digits: int = 1) -> str:
    """A share as a figure in percent, without the sign."""
    return f"{100 * value:.{digits}f}"


def model_name(row: dict[str, Any]) -> str:
    """Name of the model of a row of a benchmark, also where its file was measured.

    >>> model_name({"model": "src/aaff/shipped/street-int8.onnx"})
    'street'
    """
    return re.sub(r"-(int8|fp32)\.onnx$", "", Path(row["model"]).name)
