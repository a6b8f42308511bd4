"""What the AAFF block does: gates, fusions, parts removed, gate outputs, and the reference implementation's fault."""

from __future__ import annotations

from typing import Any

from experiments.paper.analysis import TITLES, ablation_bar
from experiments.paper.blocks import Block, Figure, Folded, Heading, Note, Points, Prose, Table, figure, row
from experiments.paper.figures import ablation
from experiments.paper.figures_detail import gate_title, gates
from experiments.paper.plan import PAPER_ORDER
from experiments.paper.results import Results
from experiments.paper.rule import points


def chapter(results: Results) -> list[Block]:
    """The block taken apart."""
    return [Heading("What the block does"), *_ablation(results), *_gates(results), *_fault(results)]


def _ablation(results: Results) -> list[Block]:
    blocks: list[Block] = [Heading("Gates, fusions, sides and the spatial path", 3)]
    runs = [run for run in results.of("ablation") if "val" in run.scores]
    if not runs:
        planned = results.planned("ablation")
        return [*blocks, Note("No run of group ablation has finished." if planned else "This plan has no ablation.")]
    noise = ablation_bar(results)
    scores = {run.name: float(run.scores["val"]["miou"]) for run in runs}
    base = scores.get("sigmoid-concat")
    epochs = runs[0].recipe["epochs"]
    bar = (
        f"A difference of less than {100 * noise:.1f} points between two single runs is within the "
        "noise of the seed; a larger one is worth a look, but no more than that"
        if noise is not None
        else "No two of these runs differ by the seed alone, so their noise is unknown and no difference here can be "
        "told apart from it: the table is purely descriptive"
    )
    blocks.append(
        Prose(
            f"DepthwiseAAFF with another gate, another fusion or a part removed: {epochs} epochs, one seed, the same "
            f"recipe for all. {bar}."
        )
    )
    caption = "Mean IoU on val; the paper's choice (sigmoid, concat) is the green triangle."
    if noise is not None:
        caption += " Grey: within the noise of the seed."
    chart = figure("ablation", ablation(results), caption)
    blocks += [chart] if chart else []
    rows = []
    for run in runs:
        value = scores[run.name]
        if run.name == "sigmoid-concat" or base is None:
            told = "–", "the paper's choice" if base is not None else "–"
        else:
            noisy = None if noise is None else abs(value - base) < noise
            told = (
                points(value - base),
                {True: "within the noise", False: "worth a look", None: "noise unknown"}[noisy],
            )
        accuracy = 100 * run.scores["val"]["pixel_accuracy"]
        cost = f"{run.parameters / 1e6:.2f}", f"{run.macs / 1e9:.2f}"
        rows.append((run.name, *cost, f"{100 * value:.1f}", f"{accuracy:.1f}", *told))
    columns = ("", "M parameters", "G MACs", "mean IoU", "pixel accuracy", "difference", "interpretation")
    return [*blocks, Table(columns, tuple(rows), "Scores on val in percent, differences in points of mean IoU")]


def _gates(results: Results) -> list[Block]:
    blocks: list[Block] = [Heading("What the gates output", 3)]
    charts: list[Figure | None] = []
    rows: list[tuple[str, ...]] = []
    for name in PAPER_ORDER:
        run = next((r for r in results.of("seeds", name) if "gates" in r.scores.get("val", {})), None)
        if run is None:
            continue
        statistics = run.scores["val"]["gates"]
        caption = (
            f"{TITLES[name]}, seed {run.seed}, over the val frames. Thin line: spread over channels; thick line: over "
            "frames."
        )
        charts.append(figure(f"gates-{name.replace('_', '-')}", gates(statistics, name), caption))
        rows += _gate_rows(TITLES[name], statistics)
    if not rows:
        return [*blocks, Note("No trained network to inspect yet.")]
    blocks.append(
        Prose(
            "A gate weights each channel by what it computes from the whole frame. The spread over channels shows "
            "whether it treats channels differently; the spread over frames (per channel, then averaged) shows whether "
            "it depends on the image at all. A gate without spread over frames could be folded into the weights of the "
            "preceding convolution."
        )
    )
    shown = row(*charts)
    blocks += [shown] if shown else []
    blocks.append(Folded("Gate statistics", (_gate_table(rows),)))
    variants = [
        row for r in results.of("ablation") for row in _gate_rows(r.name, r.scores.get("val", {}).get("gates", {}))
    ]
    if variants:
        blocks.append(Folded("Gate statistics of the variants", (_gate_table(variants),)))
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
    caption = "Closed: share of channels below 0.01 in every frame; always open: above 0.99 in every frame"
    return Table(columns, tuple(rows), caption, text_columns=2)


def _fault(results: Results) -> list[Block]:
    blocks: list[Block] = [Heading("The fault in the reference implementation", 3)]
    if results.fault is None:
        note = "Not measured yet: `python -m experiments.paper --data DIR --only fault` measures it in minutes."
        return [*blocks, Note(note)]
    found, scale = results.fault["networks"], results.fault["scale"]
    blocks.append(
        Prose(
            "The author's reference implementation trains on one image at a time. A batch norm after global pooling "
            "then sees a single value per channel and outputs only its shift, whatever the image. Both AAFF networks "
            f"were trained in this way and, for comparison, with batches of {scale['sound_batch']}: on synthetic "
            f"streets of {scale['size']}, for {scale['steps']} steps, with fixed seeds (`experiments.paper.fault`)."
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
        "pixel acc., batch statistics",
        "pixel acc., moving statistics",
    )
    blocks.append(
        Table(
            columns,
            tuple(rows),
            "Gates with batch norm, and pixel accuracy in % on unseen streets",
            text_columns=2,
        )
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
            "**The gates are constant.** With a batch of one, no gate of DepthwiseAAFF with batch norm changes from "
            f"image to image (largest spread {still:.1g}), so their attention cannot depend on the image."
        )
    steps = two["first_step"]["parts"], two["last_step"]["parts"]
    dead = [name for name in steps[1] if min(parts[name] for parts in steps) > 0.999]
    if dead:
        said.append(
            "**DepthwiseAAFF2 is dead except for its spatial path.** Its gates are ReLU(0) = 0 with zero gradient. At "
            f"the last step, {100 * two['last_step']['all']:.0f} % of all parameters have a gradient of exactly zero, "
            f"among them all of {', '.join(f'`{name}`' for name in dead)}, whose gradients are zero at the first step "
            "too. The network that, according to the "
            "paper, learns worst and generalises best is just a small spatial path."
        )
    drops = [(n, found[n]["published"]) for n in found]
    told = ", ".join(
        f"{TITLES[n]} {100 * p['batch_statistics']['pixel_accuracy']:.0f} → "
        f"{100 * p['moving_statistics']['pixel_accuracy']:.0f} %"
        for n, p in drops
    )
    if all(p["moving_statistics"]["pixel_accuracy"] < p["batch_statistics"]["pixel_accuracy"] for _, p in drops):
        said.append(
            "**The drop is not a generalisation gap.** The moving statistics are never updated, yet the test graph "
            f"uses them: pixel accuracy falls on the very same frames ({told})."
        )
    return said
