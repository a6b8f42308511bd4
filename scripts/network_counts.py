"""Compare parameters and multiply-accumulates of every network with the published figures::

    python -m scripts.network_counts

It writes ``results/network_counts.json`` from ``scripts/published_counts.yaml``; ``make tables`` puts it into the docs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from aaff.files import write_json
from aaff.networks import list_models, model_info
from aaff.networks.complexity import DEFAULT_SIZE, count
from aaff.preprocess import Size
from scripts.tables import ROOT

PUBLISHED = Path(__file__).with_name("published_counts.yaml")
RESULT = ROOT / "results" / "network_counts.json"
KINDS = ("parameters", "macs")


def own_networks() -> list[str]:
    """The registered networks of this package, without plug-ins."""
    return [name for name in list_models() if model_info(name).factory.__module__.startswith("aaff.")]


def rows(names: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """One row for each published figure, one for each network without any; default: all networks of this package.

    ``published`` holds figures with the unit of their last digit; ``explained`` what they count and ours do not;
    ``unexplained`` is what remains beyond the rounding, 0 where everything is accounted for.
    """
    published = yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))
    return [_row(name, entry) for name in names or own_networks() for entry in published.get(name, [{"classes": 11}])]


def _row(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    size = Size.parse(entry["size"]) if "size" in entry else DEFAULT_SIZE
    options = entry.get("options", {})
    found = count(name, entry["classes"], size, **options)
    row: dict[str, Any] = {
        "network": name,
        "classes": entry["classes"],
        "size": str(size),
        "options": options,
        "parameters": found.parameters,
        "macs": found.macs,
        "published": {},
        "explained": {kind: {} for kind in KINDS} | entry.get("explained", {}),
        "unexplained": {},
        "source": entry.get("source", ""),
        "note": entry.get("note", ""),
        "checked": entry.get("checked", ""),
    }
    for kind in KINDS:
        if kind in entry:
            figure, unit = (float(number) for number in entry[kind])
            rest = figure - row[kind] - sum(row["explained"].get(kind, {}).values())
            row["published"][kind] = {"figure": round(figure), "unit": round(unit)}
            row["unexplained"][kind] = 0 if abs(rest) <= unit / 2 else round(rest)
    return row


def read() -> Any:
    """What was written last."""
    return json.loads(RESULT.read_text(encoding="utf-8"))


def main() -> int:
    """Write the file."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    write_json(RESULT, {"default_size": str(DEFAULT_SIZE), "rows": rows()})
    print(f"written: {RESULT.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
