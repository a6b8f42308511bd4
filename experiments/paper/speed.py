"""Speeds as the report tells them, read from what ``aaff bench`` wrote."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from experiments.paper.plan import PAPER_ORDER

PRECISIONS = ("fp32", "bf16", "int8")
"""Those that the report tells; int8 with its rest in bf16 makes no difference worth another column."""


@dataclass(frozen=True)
class SpeedRow:
    """End-to-end latency of one network, measured in one run of the benchmark with the others.

    Attributes:
        network: registered name.
        engine, precision: what ran it.
        size: WIDTHxHEIGHT of the frames.
        median_ms, p95_ms: end-to-end latency.
        alone_ms: the network alone, median.
        threads: of the CPU.
    """

    network: str
    engine: str
    precision: str
    size: str
    median_ms: float
    p95_ms: float
    alone_ms: float | None
    threads: int | None

    @property
    def fps(self) -> float:
        """Frames per second, one after the other."""
        return 1000 / self.median_ms

    @property
    def setting(self) -> tuple[str, str, str]:
        """Engine, precision and size: what rows must share to be compared."""
        return self.engine, self.precision, self.size


def speed_rows(files: Iterable[Any]) -> list[SpeedRow]:
    """The rows of benchmark files that are about the paper's networks, in the paper's order within each setting."""
    rows = [row for content in files for entry in _entries(content) if (row := _row(entry)) is not None]
    settings = list(dict.fromkeys(row.setting for row in rows))
    return sorted(rows, key=lambda r: (settings.index(r.setting), PAPER_ORDER.index(r.network)))


def _entries(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, dict):
        return [entry for entry in content.get("rows", []) if isinstance(entry, dict)]
    return []


def _row(entry: dict[str, Any]) -> SpeedRow | None:
    network = entry.get("network")
    whole = entry.get("frame_to_map")
    if network not in PAPER_ORDER or entry.get("precision") not in PRECISIONS or not isinstance(whole, dict):
        return None
    alone = entry.get("network_alone")
    return SpeedRow(
        network=network,
        engine=str(entry["engine"]),
        precision=str(entry["precision"]),
        size=str(entry["size"]),
        median_ms=float(whole["median_ms"]),
        p95_ms=float(whole["p95_ms"]),
        alone_ms=float(alone["median_ms"]) if isinstance(alone, dict) else None,
        threads=entry.get("threads"),
    )


def main_setting(rows: list[SpeedRow], precision: str = "fp32") -> tuple[str, str, str] | None:
    """The setting that the summary uses: most networks, then the fastest, of one precision.

    Latency stands beside scores, and scores are of fp32.
    """
    settings = {row.setting for row in rows if row.precision == precision}
    if not settings:
        return None

    def rank(setting: tuple[str, str, str]) -> tuple[int, float]:
        times = [row.median_ms for row in rows if row.setting == setting]
        return -len(times), min(times)

    return min(settings, key=rank)
