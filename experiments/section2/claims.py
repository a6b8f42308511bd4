"""The rule of ``docs/experiment/rule-section2.md``, as code: from results to numbers, from numbers to verdicts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from experiments.paper.rule import seed_noise
from experiments.runner.results import RunResult
from experiments.section2.drive_out import HELD_OUT
from experiments.section2.plan import NOISE

Verdict = Literal["confirmed", "refuted", "undecided", "not run yet"]

REAL_TIME = 30.0
"""Frames per second that the paper calls real time (section V-C)."""

THIN = ("pole", "sign symbol", "pedestrian", "bicyclist")
PAPER = ("bisenet", "depthwise_bisenet", "depthwise_aaff", "depthwise_aaff2")
EDGE, INNER = 4, 8
"""Pixels from a border: nearer than the first is edge, the second or more is inside."""

SAME_LATENCY = 0.05


def edge_accuracy(score: Mapping[str, Any]) -> float:
    """Pixel accuracy nearer than ``EDGE`` pixels to a border."""
    return _band_accuracy(score, lambda low, high: high <= EDGE)


def inner_accuracy(score: Mapping[str, Any]) -> float:
    """Pixel accuracy ``INNER`` pixels or more from any border."""
    return _band_accuracy(score, lambda low, high: low >= INNER)


def _band_accuracy(score: Mapping[str, Any], belongs: Callable[[float, float], bool]) -> float:
    edges = [0.0, *map(float, score["borders"]["widths"]), math.inf]
    bands = np.array(score["borders"]["counts"], np.int64)
    chosen = bands[[i for i in range(len(bands)) if belongs(edges[i], edges[i + 1])]].sum(axis=0)
    return float(np.trace(chosen) / chosen.sum())


def thin_iou(score: Mapping[str, Any]) -> float | None:
    """Mean IoU of the thin classes that the split has; None when it has none."""
    found = [score["per_class"].get(name, {}).get("iou") for name in THIN]
    known = [value for value in found if value is not None]
    return sum(known) / len(known) if known else None


NUMBERS: Mapping[str, Callable[[RunResult], float]] = {
    "pixel accuracy on val": lambda run: float(run.scores["val"]["pixel_accuracy"]),
    "pixel accuracy on the drive": lambda run: float(run.scores[HELD_OUT]["pixel_accuracy"]),
    "mean IoU on val": lambda run: float(run.scores["val"]["miou"]),
    "detail loss": lambda run: inner_accuracy(run.scores["val"]) - edge_accuracy(run.scores["val"]),
    "inner accuracy": lambda run: inner_accuracy(run.scores["val"]),
    "field": lambda run: float(run.scores["val"]["receptive_field"]["window95"]),
}


@dataclass(frozen=True)
class Evidence:
    """What is known: finished runs, and the rows of one benchmark.

    Attributes:
        runs: finished runs of the plan.
        latency: end-to-end milliseconds at full width by network, the faster of fp32 and int8.
        parameters: of the networks at full width.
    """

    runs: Sequence[RunResult]
    latency: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, int] = field(default_factory=dict)

    def number(self, what: str, network: str) -> float | None:
        """A number of a network's first seed; None while it has not run."""
        run = next((r for r in self.runs if r.name == network and r.seed == 0), None)
        return None if run is None else NUMBERS[what](run)

    def noise(self, what: str) -> float | None:
        """What a difference of two single runs must exceed: 2√2 σ; None while a noise run is missing."""
        values = {name: [NUMBERS[what](run) for run in self.runs if run.name == name] for name in NOISE}
        if any(len(found) < 3 for found in values.values()):
            return None
        sigma = seed_noise(values)
        return None if sigma is None else 2 * math.sqrt(2) * sigma

    def fps(self, network: str) -> float | None:
        """Frames per second at full width; None when it was not measured."""
        found = self.latency.get(network)
        return None if found is None else 1000 / found


@dataclass(frozen=True)
class Claim:
    """A sentence of section II and what became of it.

    Attributes:
        said: the paper's sentence, shortened.
        decides: which number decides.
        found: the numbers.
        verdict: by the rule.
    """

    said: str
    decides: str
    found: str
    verdict: Verdict


def judge(evidence: Evidence) -> list[Claim]:
    """Every sentence of the rule, in its order."""
    return [
        _too_slow(evidence, "FCN is too large for real time", ("fcn8s", "fcn32s")),
        _parameters(evidence),
        _larger(evidence, "SegNet breaks spatial information by pooling", "detail loss", "segnet", "unet"),
        _larger(evidence, "U-Net is more accurate than SegNet", "pixel accuracy on val", "unet", "segnet"),
        _larger(evidence, "… and generalises better", "pixel accuracy on the drive", "unet", "segnet"),
        _too_slow(evidence, "… but is slow", ("unet",)),
        _larger(evidence, "ICNet loses spatial detail by resizing the frame", "detail loss", "icnet", "bisenet"),
        _larger(evidence, "… and with it accuracy", "pixel accuracy on val", "bisenet", "icnet"),
        _field(evidence),
    ]


def difference(evidence: Evidence, what: str, first: str, second: str) -> tuple[str, Verdict]:
    """First − second in words, and whether it exceeds the noise: confirmed above it, refuted below its negative."""
    a, b, noise = evidence.number(what, first), evidence.number(what, second), evidence.noise(what)
    if a is None or b is None:
        waiting = [name for name, value in ((first, a), (second, b)) if value is None]
        return f"needs {', '.join(f'`{name}`' for name in waiting)}", "not run yet"
    told = f"`{first}` {100 * a:.1f}, `{second}` {100 * b:.1f}"
    if noise is None:
        return f"{told}; the noise needs further seeds", "not run yet"
    told += f"; noise {100 * noise:.1f}"
    return told, "confirmed" if a - b > noise else "refuted" if b - a > noise else "undecided"


def _larger(evidence: Evidence, said: str, what: str, first: str, second: str) -> Claim:
    told, verdict = difference(evidence, what, first, second)
    return Claim(said, what, told, verdict)


def _too_slow(evidence: Evidence, said: str, networks: Sequence[str]) -> Claim:
    decides = "frames/s at 480×360, full width"
    found = {name: evidence.fps(name) for name in (*networks, *PAPER)}
    if any(found[name] is None for name in networks) or all(found[name] is None for name in PAPER):
        return Claim(said, decides, "needs a benchmark with these networks and one of the paper's", "not run yet")
    known = {name: value for name, value in found.items() if value is not None}
    best = max((name for name in PAPER if name in known), key=lambda name: known[name])
    told = ", ".join(f"`{name}` {known[name]:.1f}" for name in (*networks, best))
    if any(known[name] >= REAL_TIME for name in networks):
        return Claim(said, decides, told, "refuted")
    return Claim(said, decides, told, "confirmed" if known[best] >= REAL_TIME else "undecided")


def _parameters(evidence: Evidence) -> Claim:
    said, decides = "… because of its number of parameters", "parameters and latency at full width"
    names = "fcn8s", "unet", "segnet"
    if any(name not in evidence.latency for name in names):
        return Claim(said, decides, "needs a benchmark with `fcn8s`, `unet` and `segnet`", "not run yet")
    fcn, *others = (evidence.latency[name] for name in names)
    told = ", ".join(
        f"`{name}` {evidence.parameters[name] / 1e6:.0f} M {evidence.latency[name]:.0f} ms"
        if name in evidence.parameters
        else f"`{name}` {evidence.latency[name]:.0f} ms"
        for name in names
    )
    if any(other >= fcn * (1 + SAME_LATENCY) for other in others):
        return Claim(said, decides, told, "refuted")
    faster = all(other <= fcn * (1 - SAME_LATENCY) for other in others)
    return Claim(said, decides, told, "confirmed" if faster else "undecided")


def _field(evidence: Evidence) -> Claim:
    said = "ENet's receptive field is too small for the frame"
    field_told, smaller = difference(evidence, "field", "bisenet", "enet")
    inner_told, worse = difference(evidence, "inner accuracy", "bisenet", "enet")
    told = f"Field: {field_told}. Inner accuracy: {inner_told}"
    verdict: Verdict = "undecided"
    if "not run yet" in (smaller, worse):
        verdict = "not run yet"
    elif smaller == worse == "confirmed":
        verdict = "confirmed"
    elif smaller != "confirmed" or worse == "refuted":
        verdict = "refuted"
    return Claim(said, "field (% of the frame's side) and inner accuracy", told, verdict)
