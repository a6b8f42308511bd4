"""The rule gives the verdicts that docs/experiment/rule.md states, from numbers checked by hand or by an oracle."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from experiments.paper.rule import (
    Comparison,
    answer_block,
    compare,
    cost_sentence,
    seed_noise,
    speed_gain,
    within_noise,
)

SEEDS = ["seed 0", "seed 1", "seed 2"]
DRIVES = ["drive a", "drive b", "drive c"]
RULE = Path(__file__).resolve().parents[3] / "docs" / "experiment" / "rule.md"


def paired(values: Sequence[float], missing: Sequence[str] = ()) -> Comparison:
    return Comparison("x", "y", {f"pair {i}": v for i, v in enumerate(values)}, tuple(missing))


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([0.02, 0.03, 0.025], "higher"),
        ([-0.02, -0.03, -0.025], "lower"),
        ([0.02, -0.03, 0.025], "not shown"),
        ([0.0, 0.0, 0.0], "not shown"),
        ([0.01], "open"),
        ([], "open"),
    ],
)
def test_verdict_of_clear_cases(values: list[float], verdict: str) -> None:
    assert paired(values).verdict == verdict


def test_a_missing_pair_leaves_the_verdict_open_but_the_numbers_at_hand() -> None:
    comparison = paired([0.02, 0.021, 0.022], ["seed 2"])
    assert comparison.verdict == "open"
    assert comparison.mean == pytest.approx(0.021)


def test_mean_error_and_interval_agree_with_numpy() -> None:
    values = np.random.default_rng(0).normal(0.01, 0.02, 6)
    comparison = paired(values.tolist())
    error = values.std(ddof=1) / np.sqrt(6)
    assert comparison.mean == pytest.approx(values.mean())
    assert comparison.error == pytest.approx(error)
    assert comparison.interval == pytest.approx((values.mean() - 2.571 * error, values.mean() + 2.571 * error))


def test_the_bar_is_two_standard_errors() -> None:
    spread = np.array([-1.0, 0.0, 1.0])  # standard error 1 / √3
    bar = 2 / np.sqrt(3)
    assert paired((spread + 1.001 * bar).tolist()).verdict == "higher"
    assert paired((spread + 0.999 * bar).tolist()).verdict == "not shown"


def test_the_interval_is_said_to_disagree_when_only_the_low_bar_is_passed() -> None:
    spread = np.array([-1.0, 0.0, 1.0]) + 3 / np.sqrt(3)  # three standard errors: beyond 2, below 4.30
    assert paired(spread.tolist()).verdict == "higher"
    assert paired(spread.tolist()).interval_agrees is False


def test_chance_of_a_false_verdict_is_what_the_page_says() -> None:
    rng = np.random.default_rng(1)
    page = " ".join(RULE.read_text("utf-8").split())
    assert "in 10 of 100 cases with six pairs and in 18 of 100 with three" in page
    for pairs, expected in ((6, 0.10), (3, 0.18)):
        values = rng.normal(size=(200_000, pairs))
        t = values.mean(1) / (values.std(1, ddof=1) / np.sqrt(pairs))
        assert (np.abs(t) > 2).mean() == pytest.approx(expected, abs=0.006)


def test_pairs_need_both_networks_under_the_same_condition() -> None:
    scores = {("a", "seed 0"): 0.6, ("b", "seed 0"): 0.5, ("a", "seed 1"): 0.6, ("b", "seed 2"): 0.5}
    comparison = compare(scores, "a", "b", SEEDS)
    assert comparison.differences == {"seed 0": pytest.approx(0.1)}
    assert comparison.missing == ("seed 1", "seed 2")


def block_scores(design: float, attention: float, price: float) -> dict[tuple[str, str], float]:
    """Scores whose three comparisons are clear by these differences (0: not shown)."""
    wiggle = dict(zip([*SEEDS, *DRIVES], [0.001, -0.001, 0.002, -0.002, 0.001, -0.001], strict=True))
    scores = {}
    for condition, w in wiggle.items():
        scores["aaff", condition] = 0.6
        scores["plain", condition] = 0.6 - design + w
        scores["ungated", condition] = 0.6 - attention + w
        scores["wide", condition] = 0.6 - price + w
    return scores


SENTENCES = {
    "helps": "The AAFF block helps.",
    "branches": "The AAFF branches help; that their gates do is not shown.",
    "computation": "The AAFF block helps no more than the same computation spent on DepthwiseBiSeNet.",
    "harms": "The AAFF block harms.",
    "nothing": "That the AAFF block helps is not shown.",
}


@pytest.mark.parametrize("signs", list(itertools.product((-1, 0, 1), repeat=3)))
def test_every_row_of_the_table(signs: tuple[int, int, int]) -> None:
    answer = answer_block(
        block_scores(*(0.05 * s for s in signs)),
        SEEDS,
        DRIVES,
        block="aaff",
        plain="plain",
        ungated="ungated",
        widened="wide",
    )
    a, b, c = signs
    if a < 0:
        expected = "harms"
    elif a == 0:
        expected = "nothing"
    elif c < 1:
        expected = "computation"
    else:
        expected = "helps" if b == 1 else "branches"
    assert answer.sentence == SENTENCES[expected]
    assert answer.missing == ()


def test_a_missing_control_leaves_the_answer_open_and_is_named() -> None:
    scores = block_scores(0.05, 0.05, 0.05)
    del scores["wide", "drive b"]
    answer = answer_block(scores, SEEDS, DRIVES, block="aaff", plain="plain", ungated="ungated", widened="wide")
    assert answer.sentence == "Whether the AAFF block helps is open."
    assert answer.missing == ("aaff against wide: drive b",)
    assert answer.drives.verdict == "higher"


def test_the_page_states_the_sentences_that_the_code_says() -> None:
    page = RULE.read_text("utf-8").replace("It helps no more", "The AAFF block helps no more")
    for sentence in SENTENCES.values():
        assert sentence in page


def test_cost_sentences() -> None:
    assert cost_sentence(paired([0.03, 0.031, 0.032])).startswith("Depthwise convolutions cost accuracy: 3.1")
    assert cost_sentence(paired([-0.03, -0.031, -0.032])).startswith("Depthwise convolutions gain accuracy: 3.1")
    assert "up to 1.7 points" in cost_sentence(paired([0.01, -0.01, 0.01, -0.01, 0.03, -0.0001]))
    assert cost_sentence(paired([0.03], ["seed 1"])) == "What depthwise convolutions cost is open."


def test_small_latency_ratios_are_no_gain() -> None:
    assert speed_gain(20.0, 10.0) == (2.0, True)
    assert speed_gain(10.0, 10.4)[1] is False
    assert speed_gain(10.0, 12.0)[1] is True


def test_seed_noise_is_the_pooled_standard_deviation() -> None:
    scores = {"a": [0.60, 0.62, 0.61], "b": [0.50, 0.54, 0.52]}
    expected = float(np.sqrt((np.var(scores["a"], ddof=1) + np.var(scores["b"], ddof=1)) / 2))
    assert seed_noise(scores) == pytest.approx(expected)
    assert seed_noise({"a": [0.6]}) is None
    assert within_noise(2.8 * expected, expected) is True
    assert within_noise(2.9 * expected, expected) is False
    assert within_noise(0.1, None) is None
