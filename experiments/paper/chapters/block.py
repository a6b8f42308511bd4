"""What the AAFF block does: gates, fusions and parts taken away, what the gates put out, and the published fault."""

from __future__ import annotations

from typing import Any

from experiments.paper.analysis import TITLES, ablation_noise
from experiments.paper.blocks import Block, Figure, Folded, Heading, Note, Points, Prose, Table, figure, row
from experiments.paper.figures import ablation
from experiments.paper.figures_detail import gate_title, gates
from experiments.paper.plan import PAPER_ORDER
from experiments.paper.results import Results
from experiments.paper.rule import points, within_noise


def chapter(results: Results) -> list[Block]:
    """The block taken apart."""
    return [Heading("What the block does"), *_ablation(results), *_gates(results), *_fault(results)]


def _ablation(results: Results) -> list[Block]:
    blocks: list[Block] = [Heading("Gates, fusions, sides, the spatial path", 3)]
    runs = [run for run in results.of("ablation") if "val" in run.scores]
    if not runs:
        planned = results.planned("ablation")
        return [*blocks, Note("No run of group ablation has finished." if planned else "This plan has no ablation.")]
    deviation = ablation_noise(results)
    scores = {run.name: float(run.scores["val"]["miou"]) for run in runs}
    base = scores.get("sigmoid-concat")
    epochs = runs[0].recipe["epochs"]
    bar = (
        f"Two single runs that differ by less than {100 * 2 * 2**0.5 * deviation:.1f} points are within the noise of "
        "the seed; no more is made of a larger difference than that it is worth a look"
        if deviation is not None
        else "No two of these runs differ by the seed alone, so their noise is not known and no difference here can be "
        "told apart from it: this is description"
    )
    blocks.append(
        Prose(
            f"DepthwiseAAFF with one thing changed at a time; {epochs} epochs, one seed, the same recipe for all. "
            f"{bar}."
        )
    )
    caption = "Mean IoU on val; the paper's choice (sigmoid, concat) is the green triangle."
    if deviation is not None:
        caption += " Grey: within the noise of the seed."
    chart = figure("ablation", ablation(results), caption)
    blocks += [chart] if chart else []
    rows = []
    for run in runs:
        value = scores[run.name]
        if run.name == "sigmoid-concat" or base is None:
            told = "–", "the paper's choice" if base is not None else "–"
        else:
            noisy = within_noise(value - base, deviation)
            told = (
                points(value - base),
                {True: "within the noise", False: "worth a look", None: "noise not known"}[noisy],
            )
        accuracy = 100 * run.scores["val"]["pixel_accuracy"]
        cost = f"{run.parameters / 1e6:.2f}", f"{run.macs / 1e9:.2f}"
        rows.append((run.name, *cost, f"{100 * value:.1f}", f"{accuracy:.1f}", *told))
    columns = ("", "M parameters", "G MACs", "mean IoU", "pixel accuracy", "difference", "reading")
    return [*blocks, Table(columns, tuple(rows), "Scores on val, percent and points")]


def _gates(results: Results) -> list[Block]:
    blocks: list[Block] = [Heading("What the gates put out", 3)]
    charts: list[Figure | None] = []
    rows: list[tuple[str, ...]] = []
    for name in PAPER_ORDER:
        run = next((r for r in results.of("seeds", name) if "gates" in r.scores.get("val", {})), None)
        if run is None:
            continue
        statistics = run.scores["val"]["gates"]
        caption = (
            f"{TITLES[name]}, seed {run.seed}, over the val frames. Thin: spread over channels; thick: over frames."
        )
        charts.append(figure(f"gates-{name.replace('_', '-')}", gates(statistics, name), caption))
        rows += _gate_rows(TITLES[name], statistics)
    if not rows:
        return [*blocks, Note("No trained network to look into yet.")]
    blocks.append(
        Prose(
            "A gate weighs every channel by what the whole frame says. The spread over channels tells whether it "
            "treats channels differently; the spread over frames (of a channel, averaged) tells whether it looks at "
            "the image at all. A gate without spread over frames could be folded into the weights of the convolution "
            "before it."
        )
    )
    shown = row(*charts)
    blocks += [shown] if shown else []
    blocks.append(Folded("The gates in numbers", (_gate_table(rows),)))
    variants = [
        row for r in results.of("ablation") for row in _gate_rows(r.name, r.scores.get("val", {}).get("gates", {}))
    ]
    if variants:
        blocks.append(Folded("The gates of the variants in numbers", (_gate_table(variants),)))
    return blocks


def _gate_rows(name: str, statistics: dict[str, dict[str, float]]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for gate, s in statistics.items():
        closed, opened = f"{100 * s['closed']:.0f}", f"{100 * s['open']:.0f}"
        spreads = f"{s['between_channels']:.3f}", f"{s['between_frames']:.3f}"
        rows.append((name, gate_title(gate), f"{s['mean']:.3f}", *spreads, closed, opened))
    return rows


def _gate_table(rows: list[tuple[str, ...]]) -> Table:
    columns = ("network", "gate", "mean", "over channels", "over frames", "closed, %", "always open, %")
    caption = "Closed: below 0.01 in every frame; open: above 0.99 in every frame"
    return Table(columns, tuple(rows), caption, text_columns=2)


def _fault(results: Results) -> list[Block]:
    blocks: list[Block] = [Heading("The published fault", 3)]
    if results.fault is None:
        note = "Not shown yet: `python -m experiments.paper --data DIR --only fault` makes it in minutes."
        return [*blocks, Note(note)]
    found, scale = results.fault["networks"], results.fault["scale"]
    blocks.append(
        Prose(
            "The reference trains one image at a time. A batch norm after global pooling then sees a single value a "
            "channel and puts out its shift alone, whatever the image. Both AAFF networks were trained that way and "
            f"soundly, on synthetic streets of {scale['size']}, {scale['steps']} steps, fixed seeds "
            "(`experiments.paper.fault`)."
        )
    )
    rows = []
    for name, both in found.items():
        for how, title in (("published", "batch of 1"), ("sound", f"batch of {scale['sound_batch']}")):
            normed = [s for gate, s in both[how]["gates"].items() if gate != "fusion" or name == "depthwise_aaff2"]
            mean = sum(s["mean"] for s in normed) / len(normed)
            moving = max(s["between_frames"] for s in normed)
            rows.append((TITLES[name], title, f"{mean:.3f}", f"{moving:.6f}", *_scores(both[how])))
    columns = (
        "",
        "trained with",
        "mean gate",
        "largest spread over frames",
        "pixel acc., own statistics",
        "moving statistics",
    )
    blocks.append(
        Table(columns, tuple(rows), "Gates with batch norm, and pixel accuracy on unseen streets", text_columns=2)
    )
    blocks.append(Points(tuple(_findings(found))))
    return blocks


def _scores(one: dict[str, Any]) -> tuple[str, str]:
    own = one.get("batch_statistics", {}).get("pixel_accuracy")
    return f"{100 * own:.1f}" if own is not None else "–", f"{100 * one['moving_statistics']['pixel_accuracy']:.1f}"


def _findings(found: dict[str, Any]) -> list[str]:
    """What the numbers say, each sentence only where they do."""
    said = []
    one, two = found["depthwise_aaff"]["published"], found["depthwise_aaff2"]["published"]
    still = max(s["between_frames"] for gate, s in one["gates"].items() if gate != "fusion")
    if still < 1e-6:
        said.append(
            "**Gates are constants.** With a batch of one no gate of DepthwiseAAFF changes from image to image "
            f"(largest spread {still:.1g}), so the block could have no effect that depends on the image."
        )
    parts = two["last_step"]["parts"]
    dead = [name for name, share in parts.items() if share > 0.999]
    if dead:
        said.append(
            f"**DepthwiseAAFF2 is dead but for its spatial path.** Its gates are ReLU(0) = 0 with zero gradient: "
            f"{', '.join(f'`{name}`' for name in dead)} have an exactly zero gradient at the first step and at the "
            f"last, {100 * two['last_step']['all']:.0f} % of all parameters. What the paper calls a network that "
            "learns worst and generalises best is a small spatial path alone."
        )
    drops = [(n, found[n]["published"]) for n in found]
    told = ", ".join(
        f"{TITLES[n]} {100 * p['batch_statistics']['pixel_accuracy']:.0f} → "
        f"{100 * p['moving_statistics']['pixel_accuracy']:.0f} %"
        for n, p in drops
    )
    if all(p["moving_statistics"]["pixel_accuracy"] < p["batch_statistics"]["pixel_accuracy"] for _, p in drops):
        said.append(
            "**A drop that is no generalisation gap.** The moving statistics are never updated, and the test graph "
            f"uses them: on the same frames pixel accuracy falls ({told})."
        )
    return said
