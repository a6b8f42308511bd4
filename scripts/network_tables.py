"""The generated parts of docs/networks.md: speed, the check of exported files, counts beside the published figures."""

from __future__ import annotations

from typing import Any

from scripts.tables import ROOT, percent, read, source, table

SPEED, EXPORTS = "bench_networks", "network_exports"


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
        f"{f'{number:+,}'.replace('-', '−')} {NAMES[kind]} ({reason})"
        for kind in NAMES
        for reason, number in row["explained"].get(kind, {}).items()
    ]
    sentences = [row["source"]]
    sentences += [f"Published minus ours: {', '.join(reasons)}"] if reasons else []
    sentences += [row["note"][0].upper() + row["note"][1:]] if row["note"] else []
    sentences += [f"Checked: {row['checked']}"] if row["checked"] else []
    return ". ".join(sentences) + "."


def speed() -> str:
    """Every network in fp32 and int8, one table for each size, from one run of ``aaff bench``."""
    if not _measured(SPEED):
        return "Not measured yet.\n"
    result = read(SPEED)
    rows, failed = result["rows"], result["failed"]
    told = [_speed(size, rows) for size in dict.fromkeys(row["size"] for row in rows)]
    told += [
        f"- `{one['network']}` in {one['precision']} at {one['size'].replace('x', '×')}: {one['reason']}\n"
        for one in failed
    ]
    return "\n".join(told) + source(SPEED)


def _speed(size: str, rows: list[dict[str, Any]]) -> str:
    found = {(row["network"], row["precision"]): row for row in rows if row["size"] == size}
    title = f"end-to-end latency, {size.replace('x', '×')}"
    columns = [title, "parameters", "GMACs", "fp32", "of peak", "int8", "of peak", "fps, int8", "int8 speed-up"]
    networks = sorted({row["network"] for row in found.values()}, key=lambda name: _order(name, found))
    return table(columns, [_speed_row(name, found.get((name, "fp32")), found.get((name, "int8"))) for name in networks])


def _order(name: str, found: dict[tuple[str, str], dict[str, Any]]) -> float:
    """Fastest first, by int8 where there is one."""
    row = found.get((name, "int8")) or found[name, "fp32"]
    return float(row["frame_to_map"]["median_ms"])


def _speed_row(name: str, fp32: dict[str, Any] | None, int8: dict[str, Any] | None) -> list[str]:
    about = fp32 or int8
    assert about is not None
    ratio = fp32["frame_to_map"]["median_ms"] / int8["frame_to_map"]["median_ms"] if fp32 and int8 else None
    return [
        f"`{name}`",
        f"{about['parameters'] / 1e6:.2f} M",
        f"{about['macs'] / 1e9:.2f}",
        _latency(fp32),
        _peak(fp32),
        _latency(int8),
        _peak(int8),
        f"{int8['frame_to_map']['fps']:.1f}" if int8 else "–",
        f"{ratio:.2f}" if ratio else "–",
    ]


def _latency(row: dict[str, Any] | None) -> str:
    """Median and quartiles."""
    if row is None:
        return "failed"
    found = row["frame_to_map"]
    low, middle, high = (
        f"{found[key]:.{0 if found['median_ms'] >= 100 else 1}f}" for key in ("q1_ms", "median_ms", "q3_ms")
    )
    return f"{middle} ms ({low}–{high})"


def _peak(row: dict[str, Any] | None) -> str:
    return "–" if row is None or row["share_of_peak"] is None else f"{percent(row['share_of_peak'], 0)} %"


def exports() -> str:
    """Every network's exported file beside the PyTorch network, in both engines."""
    if not _measured(EXPORTS):
        return "Not measured yet.\n"
    rows = read(EXPORTS)["networks"]
    columns = ["pixels of the same class, %", "fp32", "at another size", "int8: OpenVINO", "ONNX Runtime", "as written"]
    lines = []
    for name, row in rows.items():
        fp32, int8 = row["fp32"], row["int8"]
        other = next(share for key, share in fp32.items() if key[0].isdigit())
        shares = [min(fp32["openvino"], fp32["onnxruntime"]), other]
        shares += [int8[key] for key in ("openvino", "onnxruntime", "as_written")]
        told = [percent(share, 2) for share in shares]
        lines.append([f"`{name}`", *told, "yes" if int8["passed"] else "no"])
    return table([*columns, "as good"], lines) + source(EXPORTS)


def _measured(name: str) -> bool:
    return (ROOT / "results" / f"{name}.json").is_file()
