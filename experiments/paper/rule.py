"""The rule of ``docs/experiment/rule.md``, as code: from paired differences to verdicts, from verdicts to the answer.

Nothing here reads a file or chooses anything; the page was committed before the first run ended, and this
module says the same in Python.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["higher", "lower", "not shown", "open"]

BAR = 2.0
"""Standard errors that a mean difference must exceed to count."""

_T95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228}
"""97.5 % quantile of Student's t by degrees of freedom; beyond 10 the tenth is used, which errs to caution."""

Condition = str
"""Under which a pair was measured, such as ``"seed 0"`` or ``"drive 0001TP"``."""


@dataclass(frozen=True)
class Comparison:
    """Paired differences ``first − second`` of one score.

    Attributes:
        first, second: names of the two networks.
        differences: by condition, in the order of the plan; the same recipe, frames and seed on both sides.
        missing: conditions of the plan without a finished pair.
    """

    first: str
    second: str
    differences: Mapping[Condition, float]
    missing: tuple[Condition, ...] = ()

    @property
    def mean(self) -> float | None:
        """Mean difference d̄; None without a pair."""
        return statistics.fmean(self.differences.values()) if self.differences else None

    @property
    def error(self) -> float | None:
        """Standard error of the mean, s = sd / √n; None with fewer than two pairs."""
        values = list(self.differences.values())
        return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None

    @property
    def verdict(self) -> Verdict:
        """What the rule says of this comparison."""
        if self.missing or self.mean is None or self.error is None:
            return "open"
        if self.mean > BAR * self.error:
            return "higher"
        if self.mean < -BAR * self.error:
            return "lower"
        return "not shown"

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of the t distribution; wider than the rule's bar, and printed beside every verdict."""
        if self.mean is None or self.error is None:
            return None
        half = _T95[min(len(self.differences) - 1, max(_T95))] * self.error
        return self.mean - half, self.mean + half

    @property
    def interval_agrees(self) -> bool | None:
        """Whether the 95 % interval comes to the same verdict; None while that is open."""
        if self.interval is None or self.verdict == "open":
            return None
        low, high = self.interval
        return {"higher": low > 0, "lower": high < 0, "not shown": low <= 0 <= high}[self.verdict]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "first": self.first,
            "second": self.second,
            "differences": dict(self.differences),
            "missing": list(self.missing),
            "mean": self.mean,
            "standard_error": self.error,
            "verdict": self.verdict,
            "interval95": None if self.interval is None else list(self.interval),
            "interval_agrees": self.interval_agrees,
        }


Scores = Mapping[tuple[str, Condition], float]
"""Score by network and condition, of the finished runs."""


def compare(scores: Scores, first: str, second: str, conditions: Sequence[Condition]) -> Comparison:
    """Pair two networks over the conditions of the plan.

    >>> scores = {("a", "seed 0"): 0.5, ("b", "seed 0"): 0.25, ("a", "seed 1"): 0.5}
    >>> compare(scores, "a", "b", ["seed 0", "seed 1"])
    Comparison(first='a', second='b', differences={'seed 0': 0.25}, missing=('seed 1',))
    """
    both = [c for c in conditions if (first, c) in scores and (second, c) in scores]
    differences = {c: scores[first, c] - scores[second, c] for c in both}
    return Comparison(first, second, differences, tuple(c for c in conditions if c not in both))


@dataclass(frozen=True)
class BlockAnswer:
    """Does the AAFF block help?

    Attributes:
        design: comparison A, against DepthwiseBiSeNet, seeds and drives.
        attention: comparison B, against itself without gates, drives.
        price: comparison C, against DepthwiseBiSeNet of the same MACs, drives.
        drives: the drives of comparison A alone, where the paper's claim about generalisation is read.
    """

    design: Comparison
    attention: Comparison
    price: Comparison
    drives: Comparison

    @property
    def sentence(self) -> str:
        """The row of the rule's table that applies."""
        a, b, c = (x.verdict for x in (self.design, self.attention, self.price))
        if "open" in (a, b, c):
            return "Whether the AAFF block helps is open."
        if a == "lower":
            return "The AAFF block harms."
        if a == "not shown":
            return "That the AAFF block helps is not shown."
        if c != "higher":
            return "The AAFF block helps no more than the same computation spent on DepthwiseBiSeNet."
        if b != "higher":
            return "The AAFF branches help; that their gates do is not shown."
        return "The AAFF block helps."

    @property
    def missing(self) -> tuple[str, ...]:
        """What keeps the answer open, as ``NETWORK against NETWORK: condition, …``."""
        rows = (x for x in (self.design, self.attention, self.price) if x.missing)
        return tuple(f"{x.first} against {x.second}: {', '.join(x.missing)}" for x in rows)


def answer_block(
    scores: Scores,
    seeds: Sequence[Condition],
    drives: Sequence[Condition],
    *,
    block: str,
    plain: str,
    ungated: str,
    widened: str,
) -> BlockAnswer:
    """Apply the rule to the AAFF block.

    Args:
        scores: mean IoU of finished runs.
        seeds, drives: the conditions of the plan.
        block, plain, ungated, widened: names of DepthwiseAAFF, DepthwiseBiSeNet and the two controls.
    """
    return BlockAnswer(
        design=compare(scores, block, plain, [*seeds, *drives]),
        attention=compare(scores, block, ungated, drives),
        price=compare(scores, block, widened, drives),
        drives=compare(scores, block, plain, drives),
    )


def cost_sentence(cost: Comparison) -> str:
    """What the rule says about BiSeNet − DepthwiseBiSeNet.

    >>> cost_sentence(Comparison("bisenet", "depthwise_bisenet", {"seed 0": 0.02, "seed 1": 0.021}))
    'Depthwise convolutions cost accuracy: 2.1 points of mean IoU (± 0.1).'
    """
    if cost.verdict == "open" or cost.mean is None or cost.error is None:
        return "What depthwise convolutions cost is open."
    size = f"{100 * abs(cost.mean):.1f} points of mean IoU (± {100 * BAR * cost.error:.1f})"
    if cost.verdict == "higher":
        return f"Depthwise convolutions cost accuracy: {size}."
    if cost.verdict == "lower":
        return f"Depthwise convolutions gain accuracy: {size}."
    hidden = max(100 * (cost.mean + BAR * cost.error), 0.0)
    return f"No cost of depthwise convolutions is shown; up to {hidden:.1f} points of mean IoU may be hidden."


def speed_gain(plain_ms: float, depthwise_ms: float) -> tuple[float, bool]:
    """Ratio of two latencies of one benchmark run, and whether the rule calls it a gain or a loss.

    >>> speed_gain(40.0, 39.0)
    (1.0256410256410255, False)
    """
    ratio = plain_ms / depthwise_ms
    return ratio, not 0.95 <= ratio <= 1.05


def seed_noise(scores: Mapping[str, Sequence[float]]) -> float | None:
    """Standard deviation over seeds, pooled over networks; None while no network has two seeds.

    >>> seed_noise({"a": [0.1, 0.2], "b": [0.5]})
    0.07071067811865477
    """
    usable = [values for values in scores.values() if len(values) > 1]
    freedom = sum(len(values) - 1 for values in usable)
    if not freedom:
        return None
    return math.sqrt(sum(statistics.variance(v) * (len(v) - 1) for v in usable) / freedom)


def within_noise(difference: float, noise: float | None) -> bool | None:
    """Whether a difference of two single runs is below 2√2 standard deviations; None without an estimate."""
    return None if noise is None else abs(difference) < 2 * math.sqrt(2) * noise
