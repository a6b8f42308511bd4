"""From results to the numbers of the report: means over seeds, paired comparisons, gaps, the front of speed.

Pure arithmetic on ``Results``; the words and pictures are made elsewhere.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aaff.evaluation import ConfusionMatrix
from experiments.paper.plan import PAPER_ORDER, UNGATED, WIDENED
from experiments.paper.results import Results
from experiments.paper.rule import MARGIN, Answer, Comparison, Scores, compare, noise_bar, seed_noise
from experiments.runner.results import RunResult

TITLES = {
    "bisenet": "BiSeNet",
    "depthwise_bisenet": "DepthwiseBiSeNet",
    "depthwise_aaff": "DepthwiseAAFF",
    "depthwise_aaff2": "DepthwiseAAFF2",
    UNGATED: "DepthwiseAAFF, no gates",
    WIDENED: "DepthwiseBiSeNet, widened",
}
"""How the networks are called in text."""

QUESTION_GROUPS = ("seeds", "drives", "long-drives")
"""Groups of runs that a question is asked of, see ``answer``."""

SMALL_THINGS = ("pole", "sign symbol", "fence", "car", "pedestrian", "bicyclist")
"""Classes of things that come in countable pieces, for the analysis by object size."""


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (n − 1) over runs; the deviation is None for one run."""

    mean: float
    deviation: float | None
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """Over some values; None when there are none.

        >>> Spread.of([0.5])
        Spread(mean=0.5, deviation=None, count=1)
        """
        found = list(values)
        if not found:
            return None
        deviation = statistics.stdev(found) if len(found) > 1 else None
        return cls(statistics.fmean(found), deviation, len(found))


def held_out(run: RunResult) -> str:
    """The split that a run's primary score is of: val, or the drive it has not seen."""
    return f"drive-{run.fold}" if run.fold else "val"


def seen(run: RunResult) -> str:
    """The split that a run was trained on."""
    return f"train-without-{run.fold}" if run.fold else "train"


def by_drive(runs: Iterable[RunResult]) -> dict[str, float]:
    """Mean IoU on the drive that each run has not seen, by the drive's name; runs of one network and seed."""
    return {run.fold: float(run.scores[held_out(run)]["miou"]) for run in runs if run.fold}


def scores_by_condition(
    results: Results, group: str, metric: str = "miou", split: Callable[[RunResult], str] = held_out
) -> Scores:
    """Scores of a group's runs by network (variants by their name) and condition, of every seed, on the split that
    ``split`` names."""
    found: dict[tuple[str, str], dict[int, float]] = {}
    for run in results.of(group):
        if split(run) in run.scores:
            found.setdefault((run.name, run.condition), {})[run.seed] = float(run.scores[split(run)][metric])
    return found


def conditions(results: Results, group: str, *names: str) -> dict[str, list[int]]:
    """The conditions of a group for which the plan has all the networks named, in its order, with their seeds."""
    found: dict[str, dict[int, set[str]]] = {}
    for row in results.planned(group):
        found.setdefault(row["condition"], {}).setdefault(row["seed"], set()).add(row["name"])
    shared = {c: [seed for seed, has in seeds.items() if has.issuperset(names)] for c, seeds in found.items()}
    return {condition: seeds for condition, seeds in shared.items() if seeds}


def arithmetic(run: RunResult) -> str:
    """Device and precision that a run was trained with, such as ``"cpu fp32"``; empty where they are not known."""
    engine = run.provenance.get("engine", {})
    return " ".join(str(engine[key]) for key in ("device", "precision") if key in engine)


def conditions_by_arithmetic(results: Results) -> dict[str, list[str]]:
    """The finished conditions of seeds and drives, each under the arithmetic that its runs share."""
    found: dict[str, list[str]] = {}
    for run in (run for group in QUESTION_GROUPS for run in results.of(group)):
        listed = found.setdefault(arithmetic(run), [])
        if run.condition not in listed:
            listed.append(run.condition)
    return found


def answer(results: Results, group: str, metric: str = "miou", split: Callable[[RunResult], str] = held_out) -> Answer:
    """The comparisons of one question by the rule: group ``"seeds"`` (val), or ``"drives"`` or ``"long-drives"`` (the
    held-out drive)."""
    scores = scores_by_condition(results, group, metric, split)

    def pair(first: str, second: str) -> Comparison:
        # Known when the rule was written: the 15-epoch drives, and on val all but the controls.
        unknown = group == "long-drives" or (group == "seeds" and second in (UNGATED, WIDENED))
        margin = MARGIN if unknown and metric == "miou" and split is held_out else None
        return compare(scores, first, second, conditions(results, group, first, second), margin)

    return Answer(
        design=pair("depthwise_aaff", "depthwise_bisenet"),
        claim=pair("depthwise_aaff", "bisenet"),
        attention=pair("depthwise_aaff", UNGATED),
        price=pair("depthwise_aaff", WIDENED),
        depthwise=pair("bisenet", "depthwise_bisenet"),
        small=pair("depthwise_aaff2", "depthwise_aaff"),
    )


def compared(results: Results, name: str) -> list[RunResult]:
    """The runs of one of the four networks in group seeds, of the seeds that the plan has for all of the four.

    Further seeds are planned for a control and its partner alone; a mean that took them would compare unequal seeds.
    """
    four = [n for n in PAPER_ORDER if any(row["name"] == n for row in results.planned("seeds"))]
    shared = {seed for seeds in conditions(results, "seeds", *four).values() for seed in seeds}
    return [run for run in results.of("seeds", name) if run.seed in shared]


def noise(results: Results) -> float | None:
    """Standard deviation of val mean IoU over seeds, pooled over the networks."""
    return seed_noise({name: _values(compared(results, name), "val", "miou") for name in PAPER_ORDER})


def ablation_bar(results: Results) -> float | None:
    """Below which the seed alone explains a difference of two runs of the ablation; None while no variant has two."""
    names = dict.fromkeys(run.name for run in results.of("ablation"))
    return noise_bar({name: _values(results.of("ablation", name), "val", "miou") for name in names})


def spread(results: Results, name: str, split: str, metric: str) -> Spread | None:
    """A score of one of the four networks over its seeds."""
    return Spread.of(_values(compared(results, name), split, metric))


def class_spread(results: Results, name: str, split: str, label: str, metric: str) -> Spread | None:
    """A class's ``iou`` or ``accuracy`` of one of the four networks over its seeds; None where the class is absent."""
    values = [run.scores[split]["per_class"].get(label, {}) for run in compared(results, name) if split in run.scores]
    return Spread.of(v[metric] for v in values if v.get(metric) is not None)


def _values(runs: Sequence[RunResult], split: str, metric: str) -> list[float]:
    return [float(run.scores[split][metric]) for run in runs if split in run.scores]


def curve(results: Results, name: str, metric: str) -> tuple[list[int], list[Spread]]:
    """A column of the histories of a network by epoch, over the seeds that have finished."""
    rows: dict[int, list[float]] = {}
    for run in compared(results, name):
        for row in run.history:
            if metric in row:
                rows.setdefault(int(row["epoch"]), []).append(float(row[metric]))
    epochs = sorted(rows)
    return epochs, [found for epoch in epochs if (found := Spread.of(rows[epoch])) is not None]


@dataclass(frozen=True)
class Generalisation:
    """Mean IoU of a network on what it trained on and on what it did not.

    Attributes:
        train, val, test: of group seeds.
        drives_seen, drives: of group drives: the two drives it trained on, the third.
        train_to_val, val_to_test, seen_to_unseen: gaps, each taken within a run.
    """

    train: Spread | None
    val: Spread | None
    test: Spread | None
    drives_seen: Spread | None
    drives: Spread | None
    train_to_val: Spread | None
    val_to_test: Spread | None
    seen_to_unseen: Spread | None


def generalisation(results: Results, name: str) -> Generalisation:
    """Train, val, drives and test of a network."""
    seeds, folds = compared(results, name), results.of("drives", name)
    return Generalisation(
        spread(results, name, "train", "miou"),
        spread(results, name, "val", "miou"),
        spread(results, name, "test", "miou"),
        Spread.of(float(run.scores[seen(run)]["miou"]) for run in folds if seen(run) in run.scores),
        Spread.of(float(run.scores[held_out(run)]["miou"]) for run in folds if held_out(run) in run.scores),
        _gap(seeds, seen, held_out),
        _gap(seeds, held_out, lambda _: "test"),
        _gap(folds, seen, held_out),
    )


def _gap(
    runs: Sequence[RunResult], before: Callable[[RunResult], str], after: Callable[[RunResult], str]
) -> Spread | None:
    """Change of mean IoU from one split to another, over the runs that have both."""
    return Spread.of(
        float(run.scores[after(run)]["miou"]) - float(run.scores[before(run)]["miou"])
        for run in runs
        if before(run) in run.scores and after(run) in run.scores
    )


def pooled_confusion(results: Results, name: str, split: str) -> np.ndarray[Any, Any] | None:
    """Confusion counts of a network summed over its seeds, int64 [C, C], rows ground truth; None without a run."""
    found = [r.scores[split]["confusion"]["counts"] for r in compared(results, name) if split in r.scores]
    return np.sum([np.array(c, np.int64) for c in found], axis=0) if found else None


def pooled(results: Results, name: str, split: str, detail: str, key: str) -> np.ndarray[Any, Any] | None:
    """Counts of a detail (calibration, borders, objects) summed over the seeds of a network."""
    found = [r.scores[split][detail][key] for r in compared(results, name) if detail in r.scores.get(split, {})]
    return np.sum([np.array(c, np.float64) for c in found], axis=0) if found else None


def border_scores(counts: np.ndarray[Any, Any]) -> list[tuple[float | None, float | None]]:
    """Pixel accuracy and mean IoU of each band of ``experiments.runner.details.Borders``; None without a pixel.

    Args:
        counts: [bands, C, C].
    """
    rows: list[tuple[float | None, float | None]] = []
    for band in counts.astype(np.int64):
        if band.any():
            metrics = ConfusionMatrix(band.shape[0], band).metrics()
            rows.append((metrics.pixel_accuracy, metrics.miou))
        else:
            rows.append((None, None))
    return rows


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Which points no other beats: lower first coordinate (cost), higher second (score); by rising cost.

    >>> pareto([(1.0, 0.5), (2.0, 0.4), (3.0, 0.7)])
    [0, 2]
    """
    front: list[int] = []
    for index in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        if not front or points[index][1] > points[front[-1]][1]:
            front.append(index)
    return front


def unfinished(results: Results) -> list[dict[str, Any]]:
    """Rows of the plan that are not done."""
    return [row for row in results.plan["runs"] if row["stage"] != "done"]
