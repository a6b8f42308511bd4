"""The two tables at the top of README: bundled models, and networks that can be trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aaff.loading import read_card
from aaff.networks import list_models, model_info
from aaff.networks.complexity import count
from aaff.published import DEFAULT, exported_files, list_bundled, list_exported
from scripts.tables import ROOT, model_name, percent, read, table


def models() -> str:
    """What each bundled file was measured at, how large it is, and what its weights allow."""
    rows: list[list[str]] = []
    licences: dict[str, str] = {}
    sources: dict[str, None] = {}
    for name in sorted(list_exported(), key=lambda name: name != DEFAULT):
        for precision, file in exported_files(name).items():
            card = read_card(file)
            licences[name] = card.licence
            scored, score = _score(name, precision)
            timed, latency = _latency({name, card.network}, precision, str(card.size))
            sources |= {found: None for found in (scored, timed) if found}
            rows.append(
                [
                    f"`{name}`, {precision}",
                    "none (trained on val)" if card.trained_on("val") else "CamVid val, camvid11",
                    f"{percent(score)} %" if score else "–",
                    f"{latency:.1f} ms" if latency else "–",
                    str(card.size).replace("x", "×"),
                    f"{file.stat().st_size / 1e6:.1f} MB",
                ]
            )
    away = ", ".join(f"`{name}`" for name in licences if name not in list_bundled())
    told = f"- Not bundled with the package, but in `weights/` of the repository: {away}.\n" if away else ""
    told += "\n".join(f"- Weights of `{name}`: {licence}." for name, licence in licences.items())
    machines = dict.fromkeys(_machine(name) for name in sources if name.startswith("bench"))
    return (
        table(["model", "split, protocol", "mean IoU", "latency", "input", "file"], rows)
        + f"\n{told}\n- Latency: median end-to-end latency (frame in memory to class map in memory) without "
        "confidence, in OpenVINO on "
        + " and on ".join(machines)
        + ".\n- Sources: "
        + ", ".join(f"`results/{name}.json`" for name in sources)
        + ".\n"
    )


def _score(name: str, precision: str) -> tuple[str | None, float | None]:
    """Result file and mean IoU on CamVid val of a bundled model."""
    parity, report = f"shipped_{name}_{precision}", f"{name}_camvid_val"
    if _exists(parity):
        return parity, float(read(parity)["rows"][0]["miou"])
    if _exists(report) and read(report)["precision"] == precision:
        return report, float(read(report)["miou"])
    return None, None


def _latency(names: set[str], precision: str, size: str) -> tuple[str | None, float | None]:
    """Result file and median milliseconds; all bundled models in one run before the paper's networks."""
    for file in filter(_exists, (f"bench_bundled_{size}", f"bench_{size}")):
        for row in read(file)["rows"]:
            setting = row["engine"], row["precision"], row["size"]
            if model_name(row) in names and setting == ("openvino", precision, size):
                return file, float(row["frame_to_map"]["median_ms"])
    return None, None


def _exists(name: str) -> bool:
    return Path(ROOT / "results" / f"{name}.json").is_file()


def _machine(name: str) -> str:
    about: dict[str, Any] = read(name)["provenance"]
    return f"{about['cores']} cores of an {about['processor']}"


def networks() -> str:
    """Every network of the package: parameters and multiply-accumulates with 11 classes."""
    rows = []
    for name in list_models():
        info = model_info(name)
        if not info.factory.__module__.startswith("aaff."):
            continue  # a plug-in of whoever runs this
        cost = count(name)
        size = f"{cost.parameters / 1e6:.2f} M", f"{cost.macs / 1e9:.2f} G"
        rows.append([f"`{name}`", *size, info.summary.rstrip(".")])
    columns = ["network", "parameters", "multiply-accumulates, 480×360", "description"]
    return table(columns, rows).replace("| ---: | ---: | ---: |", "| ---: | ---: | --- |")
