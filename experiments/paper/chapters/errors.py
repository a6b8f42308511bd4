"""Section IV-B and beyond: maps side by side, and how the networks err."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aaff.files import read_json
from experiments.paper.analysis import SMALL_THINGS, TITLES, border_scores, pooled
from experiments.paper.blocks import Block, Folded, Heading, Note, Picture, Prose, Strip, Table, figure, row
from experiments.paper.chapters.scores import labels_of, scored_splits
from experiments.paper.figures_detail import (
    area_names,
    band_names,
    borders,
    calibration,
    calibration_error,
    class_colors,
    confusion,
    object_sizes,
    objects_found,
)
from experiments.paper.plan import PAPER_ORDER
from experiments.paper.results import Results


def maps(pictures: Path | None) -> list[Block]:
    """IV-B, the paper's Fig. 5.

    Args:
        pictures: folder that ``experiments.paper.pictures.draw_pictures`` filled; None shows none.
    """
    blocks: list[Block] = [Heading("IV-B. Semantic maps")]
    if pictures is None or not (pictures / "index.json").is_file():
        return [
            *blocks,
            Note(
                "No maps: there is neither a checkpoint nor a published weights file of a finished first seed. "
                "In a clone, `python -m experiments.paper --data DIR --report-only --results results/experiment` "
                "uses the files in `weights`."
            ),
        ]
    index = read_json(pictures / "index.json")
    blocks.append(
        Prose(f"{index['about']} In the difference maps, red is wrong, pale is right, and dark is not counted.")
    )
    legend = figure("class-colours", class_colors(index["key"]["classes"]), "Colours of the classes in the maps.")
    blocks += [legend] if legend else []
    for frame in index["frames"]:
        shown = [Picture(pictures / p["file"], p["caption"]) for p in frame["pictures"]]
        blocks.append(Strip(frame["title"], tuple(shown), pictures / frame["sheet"]))
    return blocks


def chapter(results: Results) -> list[Block]:
    """Confusion, calibration, borders, object sizes."""
    blocks: list[Block] = [Heading("How the networks err")]
    splits = scored_splits(results)
    if not splits:
        return [*blocks, Note("No score yet.")]
    split = splits[-1]
    labels = labels_of(results, split)
    return [
        *blocks,
        *_confusion(results, split, labels),
        *_calibration(results, split),
        *_borders(results, split),
        *_objects(results, split, labels),
    ]


def _confusion(results: Results, split: str, labels: Sequence[str]) -> list[Block]:
    charts = [
        figure(f"confusion-{n.replace('_', '-')}", confusion(results, n, split, labels), TITLES[n])
        for n in PAPER_ORDER
        if results.of("seeds", n)
    ]
    shown = row(*charts)
    if shown is None:
        return []
    return [
        Heading("Confusion between classes", 3),
        Prose(
            f"Percent of each ground-truth class's pixels on {split}, summed over the seeds; grey: right, red: wrong."
        ),
        shown,
    ]


def _calibration(results: Results, split: str) -> list[Block]:
    caption = "Below the diagonal, a network is overconfident. ECE: mean distance from the diagonal over all pixels."
    chart = figure("calibration", calibration(results, split), caption)
    if chart is None:
        return []
    errors = {n: e for n in PAPER_ORDER if (e := calibration_error(results, n, split)) is not None}
    told = ", ".join(f"{TITLES[n]} {100 * e:.1f} %" for n, e in errors.items())
    return [
        Heading("Calibration", 3),
        Prose(
            f"Expected calibration error (ECE) on {split}: {told}. Class weights in the loss raise the predicted "
            "probability of rare classes."
        ),
        chart,
    ]


def _borders(results: Results, split: str) -> list[Block]:
    chart = figure(
        "borders", borders(results, split), "Pixel accuracy by distance to the nearest border between two classes."
    )
    if chart is None:
        return []
    rows = []
    for name in PAPER_ORDER:
        counts = pooled(results, name, split, "borders", "counts")
        if counts is not None:
            scores = [accuracy for accuracy, _ in border_scores(counts)]
            share = counts[:3].sum() / max(counts.sum(), 1)
            near = counts[:3].sum(axis=0)
            inside = near.trace() / max(near.sum(), 1)
            cells = [f"{100 * s:.1f}" if s is not None else "–" for s in scores]
            rows.append((TITLES[name], *cells, f"{100 * inside:.1f}", f"{100 * share:.0f}"))
    columns = ("pixels from the border", *band_names(), "within 4", "share of pixels within 4")
    return [Heading("Near class borders", 3), chart, Table(columns, tuple(rows), f"Pixel accuracy on {split}, percent")]


def _objects(results: Results, split: str, labels: Sequence[str]) -> list[Block]:
    classes = [labels.index(name) for name in SMALL_THINGS if name in labels]
    caption = (
        "An object is a connected region of one class in the ground truth; it is found if at least half of its pixels "
        "are right."
    )
    chart = figure("objects", object_sizes(results, split, classes), caption) if classes else None
    if chart is None:
        return []
    tables = []
    for place in classes:
        rows = []
        for name in PAPER_ORDER:
            shares = objects_found(results, name, split, [place])
            if shares is not None:
                rows.append((TITLES[name], *(f"{100 * s:.0f}" if s is not None else "–" for s in shares)))
        tables.append(Table(("found, %", *area_names()), tuple(rows), labels[place]))
    names = ", ".join(labels[place] for place in classes)
    return [
        Heading("By object size", 3),
        Prose(f"Small objects are the paper's weakness. Classes with countable objects: {names}."),
        chart,
        Folded("Every class", tuple(tables)),
    ]
