"""The generated part of docs/networks.md: parameters and multiply-accumulates beside the published figures."""

from __future__ import annotations

from typing import Any

from scripts.tables import read, table


def counts() -> str:
    """Every row of ``results/network_counts.json``, then what explains the differences."""
    rows = read("network_counts")["rows"]
    columns = ["network", "classes", "size", "parameters", "published", "MACs", "published", "left unexplained"]
    lines = [
        [
            _name(row),
            str(row["classes"]),
            row["size"].replace("x", "×"),
            f"{row['parameters']:,}",
            _figure(row, "parameters"),
            f"{row['macs']:,}",
            _figure(row, "macs"),
            _unexplained(row),
        ]
        for row in rows
    ]
    told = [f"- {_name(row)}: {_reasons(row)}" for row in rows if row["source"]]
    return table(columns, lines) + "\n" + "\n".join(told) + "\n"


def _name(row: dict[str, Any]) -> str:
    options = ", ".join(f"{key} {value:g}" for key, value in row["options"].items())
    return f"`{row['network']}`" + (f", {options}" if options else "")


def _figure(row: dict[str, Any], kind: str) -> str:
    """The published figure with the digits that it has, or what stands for none."""
    found = row["published"].get(kind)
    if found is None:
        return "–"
    figure, unit = found["figure"], found["unit"]
    if unit == 1:
        return f"{figure:,}"
    scale, letter = (1e9, "G") if figure >= 1e9 else (1e6, "M")
    digits = max(0, len(str(round(scale / unit))) - 1)
    return f"{figure / scale:.{digits}f} {letter}"


def _unexplained(row: dict[str, Any]) -> str:
    parts = [
        "nothing"
        if not rest
        else f"{100 * rest / row['published'][kind]['figure']:+.1f} % of the {NAMES[kind]}".replace("-", "−")
        for kind, rest in row["unexplained"].items()
    ]
    return ", ".join(dict.fromkeys(parts)) or "–"


NAMES = {"parameters": "parameters", "macs": "MACs"}


def _reasons(row: dict[str, Any]) -> str:
    """Source, what the published figure has more (+) or less (−), a remark, and what confirms it."""
    reasons = [
        f"{f'{number:+,}'.replace('-', '−')} {NAMES[kind]}, {reason}"
        for kind in NAMES
        for reason, number in row["explained"].get(kind, {}).items()
    ]
    sentences = [row["source"]]
    sentences += [f"Published minus ours: {'; '.join(reasons)}"] if reasons else []
    sentences += [row["note"][0].upper() + row["note"][1:]] if row["note"] else []
    sentences += [f"Checked: {row['checked']}"] if row["checked"] else []
    return ". ".join(sentences) + "."
