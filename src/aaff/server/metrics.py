"""Metrics in the text format of Prometheus."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)

Labels = tuple[tuple[str, str], ...]


class Metrics:
    """Thread-safe counters, histograms and gauges.

    >>> metrics = Metrics()
    >>> metrics.count("aaff_frames_total", model="street")
    >>> 'aaff_frames_total{model="street"} 1' in metrics.text()
    True
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: dict[tuple[str, Labels], float] = defaultdict(float)
        self._histograms: dict[tuple[str, Labels], _Histogram] = {}
        self._gauges: dict[str, Callable[[], Mapping[Labels, float] | float]] = {}
        self._started = time.time()
        self.gauge("process_start_time_seconds", lambda: self._started)

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        with self._lock:
            self._counters[name, tuple(labels.items())] += amount

    def observe(self, name: str, value: float, bounds: tuple[float, ...] = SECONDS, **labels: str) -> None:
        """Add a value to a histogram."""
        with self._lock:
            key = name, tuple(labels.items())
            self._histograms.setdefault(key, _Histogram(bounds)).add(value)

    def gauge(self, name: str, read: Callable[[], Mapping[Labels, float] | float]) -> None:
        """Register a value that is read whenever the metrics are requested."""
        self._gauges[name] = read

    def text(self) -> str:
        """All metrics, one line per value."""
        lines: list[str] = []
        with self._lock:
            counters = sorted(self._counters.items())
            histograms = sorted((key, list(found.lines())) for key, found in self._histograms.items())
        for (name, labels), value in counters:
            _typed(lines, name, "counter")
            lines.append(_line(name, labels, value))
        for (name, labels), parts in histograms:
            _typed(lines, name, "histogram")
            lines += [_line(name + suffix, (*labels, *more), value) for suffix, more, value in parts]
        for name, read in sorted(self._gauges.items()):
            found = read()
            _typed(lines, name, "gauge")
            values = found if isinstance(found, Mapping) else {(): found}
            lines += [_line(name, labels, value) for labels, value in values.items()]
        return "\n".join(lines) + "\n"


class _Histogram:
    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds, self._counts, self._sum = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self) -> list[tuple[str, Labels, float]]:
        found: list[tuple[str, Labels, float]] = []
        total = 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            total += count
            found.append(("_bucket", (("le", "+Inf" if bound == float("inf") else f"{bound:g}"),), total))
        return [*found, ("_sum", (), self._sum), ("_count", (), total)]


def _typed(lines: list[str], name: str, kind: str) -> None:
    declaration = f"# TYPE {name} {kind}"
    if declaration not in lines:
        lines.append(declaration)


def _line(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
    return f"{name}{{{inside}}} {value:.15g}" if inside else f"{name} {value:.15g}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
