"""What the report makes of verdicts: no sentence says more than they do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from experiments.paper.analysis import compared
from experiments.paper.chapters.claims import all_of
from experiments.paper.plan import PAPER_ORDER
from experiments.paper.rule import Comparison

PAIRS = {
    "higher": {"seed 0": 0.02, "seed 1": 0.021, "seed 2": 0.022},
    "lower": {"seed 0": -0.02, "seed 1": -0.021, "seed 2": -0.022},
    "undecided": {"seed 0": 0.02, "seed 1": -0.05, "seed 2": 0.03},
    "open": {"seed 0": 0.02},
}


@pytest.mark.parametrize(
    ("verdicts", "start"),
    [
        (("lower", "lower", "lower"), "Yes."),
        (("lower", "lower", "undecided"), "In part: lower against a and b, undecided against c."),
        (("undecided", "undecided", "undecided"), "Not shown: "),
        (("higher", "undecided", "undecided"), "No: higher against a"),
        (("lower", "lower", "open"), "Open: "),
    ],
)
def test_a_claim_about_all_others_holds_only_against_all_of_them(verdicts: tuple[str, ...], start: str) -> None:
    found = {name: Comparison("x", name, PAIRS[v]) for name, v in zip("abc", verdicts, strict=True)}
    assert [c.verdict for c in found.values()] == list(verdicts)
    assert all_of(found, "lower", "Yes.").startswith(start)


def test_means_take_only_the_seeds_that_all_four_networks_have() -> None:
    rows = [{"name": name, "condition": f"seed {s}", "seed": s} for name in PAPER_ORDER for s in (0, 1)]
    rows.append({"name": "depthwise_aaff", "condition": "seed 3", "seed": 3})  # the partner of a control
    runs = [SimpleNamespace(name=row["name"], seed=row["seed"]) for row in rows]
    results: Any = SimpleNamespace(
        planned=lambda group: rows, of=lambda group, name: [run for run in runs if run.name == name]
    )
    assert [run.seed for run in compared(results, "depthwise_aaff")] == [0, 1]
