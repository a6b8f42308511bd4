"""Sections IV-A, IV-C, V-A and V-B: training curves, Table 1, what the networks learn and how it carries over."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.paper.analysis import TITLES, Spread, class_spread, compared, generalisation, held_out, spread
from experiments.paper.blocks import Block, Folded, Heading, Note, Prose, Table, figure, row
from experiments.paper.chapters import claims
from experiments.paper.figures import by_class, curves, generalisations
from experiments.paper.plan import PAPER_ORDER
from experiments.paper.references import PAPER, PAPER_PROTOCOL, PAPER_TABLE
from experiments.paper.results import Results
from experiments.paper.rule import points
from experiments.paper.speed import main_setting, speed_rows

_BASELINES = ("majority class", "position prior")


def cell(value: Spread | None, digits: int = 1) -> str:
    """A share over runs in percent, ``60.9 ± 0.4``.

    >>> cell(Spread(0.609, 0.004, 3)), cell(Spread(0.6, None, 1)), cell(None)
    ('60.9 ± 0.4', '60.0', '–')
    """
    if value is None:
        return "–"
    spread = f" ± {100 * value.deviation:.{digits}f}" if value.deviation is not None else ""
    return f"{100 * value.mean:.{digits}f}{spread}"


def scored_splits(results: Results) -> list[str]:
    """``val``, and ``test`` where a finished run was scored on it."""
    return [split for split in ("val", "test") if any(split in run.scores for run in results.of("seeds"))]


def labels_of(results: Results, split: str) -> list[str]:
    """Names of the classes."""
    for run in results.of("seeds"):
        if split in run.scores:
            return list(run.scores[split]["confusion"]["names"])
    return []


def training(results: Results) -> list[Block]:
    """IV-A, the paper's Fig. 4."""
    charts = [
        figure(f"curves-{metric.replace('_', '-')}", curves(results, metric), caption)
        for metric, caption in (
            ("pixel_accuracy", "Pixel accuracy on val, the paper's Fig. 4."),
            ("miou", "Mean IoU on val."),
            ("loss", "Training loss, mean over the epoch."),
        )
    ]
    blocks: list[Block] = [Heading("IV-A. Training")]
    if not any(charts):
        return [*blocks, Note("No curve yet: no finished run of group seeds was validated during training.")]
    counts = {name: len(compared(results, name)) for name in PAPER_ORDER}
    told = ", ".join(f"{TITLES[n]} {count}" for n, count in counts.items() if count)
    blocks.append(Prose(f"Mean over seeds, with a band of one standard deviation. Finished seeds: {told}."))
    shown = row(*charts)
    return [*blocks, *([shown] if shown else [])]


def table(results: Results) -> list[Block]:
    """IV-C, the paper's Table 1."""
    blocks: list[Block] = [Heading("IV-C. Scores")]
    splits = scored_splits(results)
    if not splits:
        return [*blocks, Note("No score yet: no run of group seeds has finished.")]
    blocks.append(
        Prose(
            "Mean ± standard deviation over seeds, in percent, from one confusion matrix over the split, with native "
            "logits resized to the label and void never counted. The majority class and the position prior (the most "
            "frequent class of each pixel) are baselines without a network. Scores are in fp32; frames per second in "
            "other precisions are given for orientation. The paper's own figures follow **its own protocol** "
            f"({PAPER_PROTOCOL}) and are not comparable."
        )
    )
    blocks += [summary(results, split) for split in splits]
    for split in splits:
        labels = labels_of(results, split)
        chart = figure(f"classes-{split}", by_class(results, split, labels, "iou"), f"IoU of every class on {split}.")
        blocks += [chart] if chart else []
        blocks.append(class_table(results, split, labels, "accuracy"))
        blocks.append(class_table(results, split, labels, "iou"))
    return blocks


def summary(results: Results, split: str) -> Table:
    """Networks and baselines by the three means, beside the paper's averages, and the speeds at one size."""
    metrics = ("miou", "pixel_accuracy", "mean_class_accuracy")
    measured = speed_rows(results.speed)
    main = main_setting(measured)
    settings = list(dict.fromkeys(row.setting for row in measured if main and row.size == main[2]))
    fps = {(row.network, row.setting): f"{row.fps:.1f}" for row in measured}
    rows, quiet = [], set()
    for name in PAPER_ORDER:
        paper = PAPER_TABLE[name]
        theirs = f"{100 * paper.val:.0f}", f"{100 * paper.test:.0f}"
        seeds = sum(split in run.scores for run in compared(results, name))
        own = [cell(spread(results, name, split, metric)) for metric in metrics]
        speeds = [fps.get((name, setting), "–") for setting in settings]
        rows.append((TITLES[name], str(seeds), *own, *theirs, *speeds))
    for name in _BASELINES:
        scores = results.baselines.get(split, {}).get(name, {})
        own = [f"{100 * scores[metric]:.1f}" if metric in scores else "–" for metric in metrics]
        quiet.add(len(rows))
        rows.append((name, "–", *own, "–", "–", *("–" for _ in settings)))
    theirs = "paper's protocol: Average (val), pixel accuracy", "paper's protocol: Test, pixel accuracy"
    columns = ("", "seeds", "mean IoU", "pixel accuracy", "mean class accuracy", *theirs)
    speeds = [f"fps, {' '.join(setting)}" for setting in settings]
    return Table((*columns, *speeds), tuple(rows), f"Table 1, averages on {split}", frozenset(quiet))


def class_table(results: Results, split: str, labels: Sequence[str], metric: str) -> Table:
    """Every class; with accuracy, the paper's figure in brackets where it has the class."""
    rows = []
    for label in labels:
        line = [label]
        for name in PAPER_ORDER:
            own = cell(class_spread(results, name, split, label, metric))
            theirs = PAPER_TABLE[name].accuracy.get(label) if metric == "accuracy" and split == "val" else None
            line.append(own + (f" (paper {100 * theirs:.0f})" if theirs is not None else ""))
        rows.append(tuple(line))
    quiet = set()
    if metric == "accuracy" and split == "val":
        quiet.add(len(rows))
        told = [f"(paper {100 * PAPER_TABLE[name].accuracy['traffic light']:.0f})" for name in PAPER_ORDER]
        rows.append(("traffic light, the paper's protocol only", *told))
    what, whose = ("accuracy (recall)", ", the paper's measure") if metric == "accuracy" else ("IoU", "")
    bracketed = "; in brackets, the paper's figures under its own protocol" if quiet else ""
    caption = f"Table 1, {what} of every class on {split}{whose}{bracketed}"
    return Table(("class", *(TITLES[n] for n in PAPER_ORDER)), tuple(rows), caption, frozenset(quiet))


def learning(results: Results) -> list[Block]:
    """V-A: how well the networks fit what they are shown, and val beside it."""
    blocks: list[Block] = [Heading("V-A. Learning ability")]
    rows = []
    for name in PAPER_ORDER:
        runs = compared(results, name)
        if runs:
            loss = Spread.of(float(run.history[-1]["loss"]) for run in runs)
            told = f"{loss.mean:.3f}" + (f" ± {loss.deviation:.3f}" if loss and loss.deviation else "") if loss else "–"
            accuracy = [cell(spread(results, name, split, "pixel_accuracy")) for split in ("train", "val")]
            own = [cell(spread(results, name, split, "miou")) for split in ("train", "val")]
            rows.append(
                (TITLES[name], told, own[0], own[1], accuracy[0], accuracy[1], f"{100 * PAPER_TABLE[name].val:.0f}")
            )
    if not rows:
        return [*blocks, Note("No run of group seeds has finished.")]
    prior = results.baselines.get("val", {}).get("position prior", {}).get("pixel_accuracy")
    scale = f" Predicting the most frequent training class at each pixel scores {100 * prior:.0f} %." if prior else ""
    blocks.append(
        Prose("Pixel accuracy on val is the paper's measure of learning ability." + scale),
    )
    blocks += claims.learning(results)
    columns = (
        "",
        "last training loss",
        "train mean IoU",
        "val mean IoU",
        "train pixel acc.",
        "val pixel acc.",
        "paper's protocol, val pixel acc.",
    )
    blocks.append(Table(columns, tuple(rows), "How well the networks fit (train without augmentation)"))
    return blocks


def carrying_over(results: Results) -> list[Block]:
    """V-B: from frames a network trained on to those it has not seen."""
    blocks: list[Block] = [Heading("V-B. Generalisation")]
    charts = [
        figure(f"generalisation-{group}", generalisations(results, group), f"{caption} Bars: one standard deviation.")
        for group, caption in (
            ("seeds", "Recipe of the paper, over seeds: train, and val, taken between frames of the same drives."),
            ("drives", "Shorter recipe, over drives: the two training drives, and the third."),
        )
    ]
    shown = row(*charts)
    if shown is None:
        return [*blocks, Note("Nothing to compare yet.")]
    blocks.append(
        Prose(
            "The val frames of CamVid lie between training frames of the same drive, so they say little about other "
            "streets. Under `camvid11-drives`, a network trains on two drives and is scored on the third."
        )
    )
    blocks += claims.carrying_over(results)
    blocks.append(shown)
    rows = []
    for name in PAPER_ORDER:
        g = generalisation(results, name)
        gaps = ["–" if x is None else points(x.mean) for x in (g.train_to_val, g.val_to_test, g.seen_to_unseen)]
        scores = [cell(x) for x in (g.train, g.val, g.test, g.drives_seen, g.drives)]
        rows.append((TITLES[name], *scores, *gaps, points(PAPER_TABLE[name].test - PAPER_TABLE[name].val)))
    columns = ("", "train", "val", "test", "two drives", "third drive", "train → val", "val → test", "two → third")
    blocks.append(
        Table(
            (*columns, "paper's protocol, val → test (pixel acc.)"),
            tuple(rows),
            "Mean IoU in percent; gaps in points, each computed within a run",
        )
    )
    folds = _folds(results)
    if folds is not None:
        blocks.append(Folded("Every held-out drive", (folds,)))
    blocks.append(
        Prose(
            f"The paper ({PAPER.split(',')[0]}) judges generalisation by the change from its validation to its test "
            "scores. In the reference implementation, batch-norm statistics that are never updated cause such a drop "
            "by themselves: see its fault below."
        )
    )
    return blocks


def _folds(results: Results) -> Table | None:
    drives = list(dict.fromkeys(run.fold for run in results.of("drives") if run.fold))
    names = list(dict.fromkeys(run.name for run in results.of("drives")))
    if not drives:
        return None
    found = {(r.name, r.fold): r.scores[held_out(r)] for r in results.of("drives") if held_out(r) in r.scores}
    rows, quiet = [], set()
    for name in names:
        line = [TITLES.get(name, name)]
        for fold in drives:
            score = found.get((name, fold))
            line += [f"{100 * score['miou']:.1f}", f"{100 * score['pixel_accuracy']:.1f}"] if score else ["–", "–"]
        rows.append(tuple(line))
    for base in _BASELINES:
        line = [base]
        for fold in drives:
            scores = results.baselines.get(f"drive-{fold}", {}).get(base)
            line += [f"{100 * scores[m]:.1f}" for m in ("miou", "pixel_accuracy")] if scores else ["–", "–"]
        quiet.add(len(rows))
        rows.append(tuple(line))
    columns = ["trained on the other two"]
    for fold in drives:
        columns += [f"{fold} mean IoU", f"{fold} pixel acc."]
    return Table(tuple(columns), tuple(rows), "Scores on the held-out drive, in percent", frozenset(quiet))
