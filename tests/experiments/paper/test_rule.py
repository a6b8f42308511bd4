"""The rule gives the verdicts that docs/experiment/rule-2.md states, from numbers checked by hand or by an oracle."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from experiments.paper.rule import (
    MARGIN,
    Answer,
    Comparison,
    compare,
    depthwise_headline,
    noise_bar,
    seed_noise,
    speed_gain,
)

SEEDS = ["seed 0", "seed 1", "seed 2"]
RULE = Path(__file__).resolve().parents[3] / "docs" / "experiment" / "rule-2.md"


def paired(values: Sequence[float], missing: Sequence[str] = (), margin: float | None = None) -> Comparison:
    return Comparison("x", "y", {f"pair {i}": v for i, v in enumerate(values)}, tuple(missing), margin)


@pytest.mark.parametrize(
    ("values", "margin", "verdict"),
    [
        ([0.02, 0.03, 0.025], None, "higher"),
        ([-0.02, -0.03, -0.025], None, "lower"),
        ([0.02, -0.03, 0.025], None, "undecided"),
        ([0.001, -0.001, 0.0], None, "undecided"),
        ([0.001, -0.001, 0.0], 0.01, "equivalent"),
        ([0.02, -0.02, 0.0], 0.01, "undecided"),
        ([0.002, 0.003, 0.0025], 0.01, "higher"),
        ([0.01], None, "open"),
        ([], None, "open"),
    ],
)
def test_verdicts(values: list[float], margin: float | None, verdict: str) -> None:
    assert paired(values, margin=margin).verdict == verdict


def test_a_missing_pair_leaves_the_verdict_open_but_the_numbers_at_hand() -> None:
    comparison = paired([0.02, 0.021, 0.022], ["seed 2"])
    assert comparison.verdict == "open"
    assert comparison.mean == pytest.approx(0.021)


def test_the_interval_is_that_of_students_t() -> None:
    values = np.random.default_rng(0).normal(0.01, 0.02, 6)
    comparison = paired(values.tolist())
    error = values.std(ddof=1) / np.sqrt(6)
    assert comparison.mean == pytest.approx(values.mean())
    assert comparison.interval == pytest.approx((values.mean() - 2.571 * error, values.mean() + 2.571 * error))


def test_what_may_be_hidden_is_the_end_of_the_same_interval() -> None:
    comparison = paired([0.02, -0.03, 0.025])
    assert comparison.interval is not None
    assert comparison.hidden == comparison.interval[1]
    assert paired([0.02, 0.021, 0.022]).hidden is None


def test_a_verdict_is_wrong_by_chance_in_5_of_100_cases() -> None:
    values = np.random.default_rng(1).normal(size=(4000, 3))
    decided = [paired(row.tolist()).verdict in ("higher", "lower") for row in values]
    assert np.mean(decided) == pytest.approx(0.05, abs=0.012)


def test_pairs_need_both_networks_under_the_same_condition() -> None:
    scores = {
        ("a", "seed 0"): {0: 0.6},
        ("b", "seed 0"): {0: 0.5},
        ("a", "seed 1"): {1: 0.6},
        ("b", "seed 2"): {2: 0.5},
    }
    comparison = compare(scores, "a", "b", {name: [number] for number, name in enumerate(SEEDS)})
    assert comparison.differences == {"seed 0": pytest.approx(0.1)}
    assert comparison.missing == ("seed 1", "seed 2")
    assert comparison.planned == 3


def test_a_drive_counts_once_as_the_mean_of_its_seeds_and_waits_for_all_of_them() -> None:
    scores = {("a", "drive x"): {0: 0.5, 1: 0.7, 2: 0.9}, ("b", "drive x"): {0: 0.4, 1: 0.5}}
    comparison = compare(scores, "a", "b", {"drive x": [0, 1, 2], "drive y": [0, 1, 2]})
    assert comparison.differences == {"drive x": pytest.approx(0.15)}  # seed 2 has no partner
    assert comparison.missing == ("drive x, seed 2", "drive y")
    assert (comparison.planned, comparison.verdict) == (2, "open")


CLEAR = {
    "higher": paired([0.02, 0.021, 0.022]),
    "lower": paired([-0.02, -0.021, -0.022]),
    "undecided": paired([0.02, -0.03, 0.025]),
    "equivalent": paired([0.001, -0.001, 0.0], margin=MARGIN),
    "open": paired([]),
}


@pytest.mark.parametrize(("design", "price", "gates"), list(itertools.product(CLEAR, repeat=3)))
def test_a_headline_claims_no_more_than_the_verdicts(design: str, price: str, gates: str) -> None:
    one = CLEAR[design]
    said = Answer(one, one, CLEAR[gates], CLEAR[price], one, one).headline("here")
    assert said.startswith("The AAFF block helps here") is (design == "higher" and price == "higher")
    assert "so do its gates" not in said or gates == "higher"
    if design in ("undecided", "open", "equivalent"):
        assert design in said
    elif design == "higher" and price != "higher":
        assert {"lower": "scores higher still"}.get(price, price) in said


def test_a_missing_control_is_named() -> None:
    one, two = CLEAR["higher"], Comparison("aaff", "wide", {"drive a": 0.1}, ("drive b",))
    assert Answer(one, one, one, two, one, one).missing == ("aaff against wide: drive b",)


def test_the_page_states_the_margin_and_the_verdicts() -> None:
    page = RULE.read_text("utf-8")
    assert f"**{100 * MARGIN:.1f} point**" in page
    assert all(f"**{verdict}**" in page for verdict in CLEAR)


def test_depthwise_headlines() -> None:
    assert "cost accuracy" in depthwise_headline(CLEAR["higher"], "here")
    assert "gain accuracy" in depthwise_headline(CLEAR["lower"], "here")
    assert "undecided" in depthwise_headline(CLEAR["undecided"], "here")
    assert "is open" in depthwise_headline(paired([0.03], ["seed 1"]), "here")


def test_small_latency_ratios_are_no_gain() -> None:
    assert speed_gain(20.0, 10.0) == (2.0, True)
    assert speed_gain(10.0, 10.4)[1] is False
    assert speed_gain(10.0, 12.0)[1] is True


def test_seed_noise_is_the_pooled_standard_deviation() -> None:
    scores = {"a": [0.60, 0.62, 0.61], "b": [0.50, 0.54, 0.52]}
    expected = float(np.sqrt((np.var(scores["a"], ddof=1) + np.var(scores["b"], ddof=1)) / 2))
    assert seed_noise(scores) == pytest.approx(expected)
    assert seed_noise({"a": [0.6]}) is None
    freedom = sum(len(values) - 1 for values in scores.values())
    assert noise_bar(scores) == pytest.approx(stats.t.ppf(0.975, freedom) * 2**0.5 * expected, rel=1e-3)
    assert noise_bar({"a": [0.6]}) is None
