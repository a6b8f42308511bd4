"""The rule of ``docs/experiment/rule-2.md``, as code: from paired differences to verdicts, from verdicts to sentences.

Nothing here reads a file or chooses anything.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["higher", "lower", "equivalent", "undecided", "open"]

MARGIN = 0.01
"""Margin of equivalence in mean IoU, for pairs that were not known when the rule was written."""

_T95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228}
"""97.5 % quantile of Student's t by degrees of freedom; beyond 10 the tenth is used, which errs to caution."""


def t95(freedom: int) -> float:
    """97.5 % quantile of Student's t."""
    return _T95[min(freedom, max(_T95))]


Condition = str
"""Under which a pair was measured, such as ``"seed 0"`` or ``"drive 0001TP"``."""


def points(value: float) -> str:
    """A difference in points, signed.

    >>> points(0.012), points(-0.03)
    ('+1.2', '−3.0')
    """
    return f"{100 * value:+.1f}".replace("-", "−") if round(1000 * value) else "0.0"


@dataclass(frozen=True)
class Comparison:
    """Paired differences ``first − second`` of one score, all of one question.

    Attributes:
        first, second: names of the two networks.
        differences: by condition, in the order of the plan; the same recipe, frames and seeds on both sides, the mean
            over the seeds.
        missing: what of the plan has no finished pair: conditions, or seeds of a condition.
        margin: of equivalence, where one was stated before the pairs were known; None claims no equivalence.
    """

    first: str
    second: str
    differences: Mapping[Condition, float]
    missing: tuple[Condition, ...] = ()
    margin: float | None = None

    @property
    def mean(self) -> float | None:
        """Mean difference; None without a pair."""
        return statistics.fmean(self.differences.values()) if self.differences else None

    @property
    def planned(self) -> int:
        """Conditions of the plan, finished or not."""
        return len({*self.differences, *(name.partition(",")[0] for name in self.missing)})

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval by Student's t; None with fewer than two pairs."""
        values = list(self.differences.values())
        if len(values) < 2:
            return None
        mean, error = statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values))
        half = t95(len(values) - 1) * error
        return mean - half, mean + half

    @property
    def verdict(self) -> Verdict:
        """What the rule says of this comparison."""
        if self.missing or self.interval is None:
            return "open"
        low, high = self.interval
        if low > 0:
            return "higher"
        if high < 0:
            return "lower"
        if self.margin is not None and -self.margin < low and high < self.margin:
            return "equivalent"
        return "undecided"

    @property
    def hidden(self) -> float | None:
        """How large a gain an undecided comparison may hide: the upper end of the interval."""
        return self.interval[1] if self.verdict == "undecided" and self.interval is not None else None

    @property
    def told(self) -> str:
        """Mean, interval and verdict in points.

        >>> Comparison("a", "b", {"seed 0": 0.02, "seed 1": 0.021, "seed 2": 0.022}).told
        '+2.1 [+1.9, +2.3] higher'
        """
        if self.mean is None:
            return "not measured"
        if self.interval is None:
            return f"{points(self.mean)} (1 pair) open"
        return f"{points(self.mean)} [{points(self.interval[0])}, {points(self.interval[1])}] {self.verdict}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "first": self.first,
            "second": self.second,
            "differences": dict(self.differences),
            "missing": list(self.missing),
            "margin": self.margin,
            "mean": self.mean,
            "interval95": None if self.interval is None else list(self.interval),
            "verdict": self.verdict,
            "told": self.told,
        }


Scores = Mapping[tuple[str, Condition], Mapping[int, float]]
"""Scores of the finished runs by seed, of each network and condition."""

Planned = Mapping[Condition, Sequence[int]]
"""The seeds that the plan has for both networks of a pair, by condition."""


def compare(scores: Scores, first: str, second: str, planned: Planned, margin: float | None = None) -> Comparison:
    """Pair two networks over the conditions of the plan, seed by seed; a condition counts once, as its seeds' mean.

    >>> scores = {("a", "seed 0"): {0: 0.5}, ("b", "seed 0"): {0: 0.25}, ("a", "seed 1"): {1: 0.5}}
    >>> compare(scores, "a", "b", {"seed 0": [0], "seed 1": [1]}).missing
    ('seed 1',)

    >>> scores = {("a", "drive x"): {0: 0.5, 1: 0.7}, ("b", "drive x"): {0: 0.4, 1: 0.5}}
    >>> found = compare(scores, "a", "b", {"drive x": [0, 1, 2]})
    >>> round(found.differences["drive x"], 3), found.missing
    (0.15, ('drive x, seed 2',))
    """
    differences, missing = {}, []
    for condition, seeds in planned.items():
        one, other = scores.get((first, condition), {}), scores.get((second, condition), {})
        pairs = [one[seed] - other[seed] for seed in seeds if seed in one and seed in other]
        if pairs:
            differences[condition] = statistics.fmean(pairs)
            missing += [f"{condition}, seed {seed}" for seed in seeds if seed not in one or seed not in other]
        else:
            missing.append(condition)
    return Comparison(first, second, differences, tuple(missing), margin)


@dataclass(frozen=True)
class Answer:
    """The comparisons of one question: seeds on val, or held-out drives.

    Attributes:
        design: DepthwiseAAFF against DepthwiseBiSeNet.
        claim: against BiSeNet, the paper's main claim.
        attention: against itself without gates.
        price: against DepthwiseBiSeNet widened to the same operations.
        depthwise: BiSeNet against DepthwiseBiSeNet.
        small: DepthwiseAAFF2 against DepthwiseAAFF.
    """

    design: Comparison
    claim: Comparison
    attention: Comparison
    price: Comparison
    depthwise: Comparison
    small: Comparison

    @property
    def missing(self) -> tuple[str, ...]:
        """What keeps comparisons open, as ``NETWORK against NETWORK: condition, …``."""
        rows = (self.design, self.claim, self.attention, self.price, self.depthwise, self.small)
        return tuple(f"{x.first} against {x.second}: {', '.join(x.missing)}" for x in rows if x.missing)

    def headline(self, where: str) -> str:
        """What the verdicts say about the block, such as ``where="on val"``; never more than they say."""
        design, price, gates = self.design.verdict, self.price.verdict, self.attention.verdict
        if design == "open":
            return f"Whether the AAFF block helps {where} is open."
        if design == "undecided":
            return f"Whether the AAFF block helps {where} is undecided."
        if design == "equivalent":
            return f"DepthwiseAAFF and DepthwiseBiSeNet are equivalent {where}."
        if design == "lower":
            return f"DepthwiseAAFF scores lower than DepthwiseBiSeNet {where}."
        if price == "higher":
            return (
                f"The AAFF block helps {where}; "
                + {
                    "higher": "so do its gates.",
                    "lower": "without its gates it scores higher still.",
                    "equivalent": "its scores with and without gates are equivalent.",
                    "undecided": "whether its gates help is undecided.",
                    "open": "whether its gates help is open.",
                }[gates]
            )
        return (
            f"DepthwiseAAFF scores higher than DepthwiseBiSeNet {where}; "
            + {
                "lower": "a DepthwiseBiSeNet widened to the same cost scores higher still.",
                "equivalent": "it is equivalent to a DepthwiseBiSeNet widened to the same cost.",
                "undecided": "whether this is due to the block or to its added computation is undecided.",
                "open": "whether this is due to the block or to its added computation is open.",
            }[price]
        )


def depthwise_headline(cost: Comparison, where: str) -> str:
    """What the verdict on BiSeNet − DepthwiseBiSeNet says.

    >>> depthwise_headline(Comparison("a", "b", {"seed 0": 0.02, "seed 1": 0.021}), "on val")
    'Depthwise convolutions cost accuracy on val: BiSeNet − DepthwiseBiSeNet is +2.1 [+1.4, +2.7] points.'
    """
    if cost.interval is None or cost.verdict == "open":
        return f"What depthwise convolutions cost {where} is open."
    interval = cost.told.rpartition(" ")[0]
    said = {
        "higher": f"Depthwise convolutions cost accuracy {where}",
        "lower": f"Depthwise convolutions gain accuracy {where}",
        "equivalent": f"Networks with and without depthwise convolutions are equivalent {where}",
        "undecided": f"What depthwise convolutions cost {where} is undecided",
    }[cost.verdict]
    hidden = 100 * max(cost.interval[1], 0)
    limit = f", and a cost of up to {hidden:.1f} points is not excluded" if cost.verdict == "undecided" else ""
    return f"{said}: BiSeNet − DepthwiseBiSeNet is {interval} points{limit}."


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


def noise_bar(scores: Mapping[str, Sequence[float]]) -> float | None:
    """Below which the seed alone explains a difference of two single runs: half the 95 % interval of such a
    difference by Student's t; None without an estimate.

    Args:
        scores: as for ``seed_noise``.

    >>> noise_bar({"a": [0.1, 0.2], "b": [0.5]})
    1.2706
    """
    deviation = seed_noise(scores)
    freedom = sum(len(values) - 1 for values in scores.values() if values)
    return None if deviation is None else round(t95(freedom) * math.sqrt(2) * deviation, 12)
