"""Sections V-C and V-D: what the networks cost, and accuracy against cost."""

from __future__ import annotations

from experiments.paper.analysis import TITLES, pareto, spread
from experiments.paper.blocks import Block, Folded, Heading, Note, Prose, Table, figure, row
from experiments.paper.chapters import claims
from experiments.paper.chapters.scores import cell, scored_splits
from experiments.paper.figures import trade_off
from experiments.paper.plan import PAPER_ORDER
from experiments.paper.references import FROM_SCRATCH, PAPER_TABLE
from experiments.paper.results import Results
from experiments.paper.speed import SpeedRow, main_setting, speed_rows
from experiments.runner.results import RunResult

_BASE = "bisenet"


def speed(results: Results) -> list[Block]:
    """V-C: parameters, operations and latency, as numbers and as ratios to BiSeNet."""
    blocks: list[Block] = [Heading("V-C. Speed")]
    networks = _networks(results)
    if not networks:
        return [*blocks, Note("No run has finished.")]
    paper = PAPER_TABLE[_BASE].fps
    base = networks.get(_BASE)
    rows = []
    for name, run in networks.items():
        ratio = f"{base.macs / run.macs:.2f}" if base else "–"
        claimed = PAPER_TABLE[name].fps
        counts = f"{run.parameters:,}", f"{run.macs / 1e9:.3f}"
        rows.append((TITLES[name], *counts, ratio, f"{claimed / paper:.2f}", str(claimed)))
    size = next(iter(networks.values())).size
    columns = ("", "parameters", f"G MACs at {size}", "BiSeNet's MACs / own", "paper, fps ratio", "paper, fps")
    blocks += [
        Prose(
            "The paper's frames per second are close to the arithmetic peak of the GPU that it names, so only their "
            "ratios are worth comparing. A ratio above 1 means faster than BiSeNet."
        ),
        *claims.speed(results),
        Table(columns, tuple(rows), "Cost of the networks"),
    ]
    measured = speed_rows(results.speed)
    if not measured:
        blocks.append(
            Note("No latency yet: `python -m experiments.paper --bench FILE` adds what `aaff bench` measured.")
        )
        return blocks
    setting = main_setting(measured)
    main = [r for r in measured if r.setting == setting]
    every = _latency_table(measured, "Every engine, precision and size; one run for each size")
    return [
        *blocks,
        _latency_table(main, _LATENCY),
        *([Folded("Every engine, precision and size", (every,))] if len(main) < len(measured) else []),
    ]


_LATENCY = "End-to-end latency (frame in memory to class map in memory), measured in one benchmark run"


def _latency_table(measured: list[SpeedRow], caption: str) -> Table:
    """Networks with their latency, and its ratio to BiSeNet of the same setting."""
    base = {r.setting: r.median_ms for r in measured if r.network == _BASE}
    rows = []
    for r in measured:
        ratio = f"{base[r.setting] / r.median_ms:.2f}" if r.setting in base else "–"
        alone = f"{r.alone_ms:.1f}" if r.alone_ms is not None else "–"
        times = f"{r.median_ms:.1f}", ratio, f"{r.p95_ms:.1f}", alone, f"{r.fps:.1f}"
        rows.append((TITLES[r.network], *times, f"{r.engine} {r.precision}", r.size))
    columns = ("", "median ms", "× BiSeNet", "p95 ms", "network alone ms", "fps", "engine", "size")
    return Table(columns, tuple(rows), caption)


def _networks(results: Results) -> dict[str, RunResult]:
    """One finished run of each of the four networks, for its costs."""
    found: dict[str, RunResult] = {}
    for name in PAPER_ORDER:
        run = next((r for r in results.runs if r.name == name), None)
        if run is not None:
            found[name] = run
    return found


def whole(results: Results) -> list[Block]:
    """V-D: accuracy against latency and operations, the Pareto front, published networks."""
    blocks: list[Block] = [Heading("V-D. Overall")]
    splits = scored_splits(results)
    if not splits:
        return [*blocks, Note("No score yet.")]
    split = "test" if "test" in splits else "val"
    networks = _networks(results)
    measured = speed_rows(results.speed)
    setting = main_setting(measured)
    latency = {r.network: r.median_ms for r in measured if r.setting == setting}
    label = f"latency, ms ({' '.join(setting[:2])}, {setting[2]})" if setting else ""
    macs = {name: run.macs / 1e9 for name, run in networks.items()}
    where, epochs = next((run.size, run.recipe["epochs"]) for run in results.of("seeds"))
    charts = row(
        figure(
            "trade-off-latency",
            trade_off(latency, results, split, label) if latency else None,
            "Mean IoU and latency, both in fp32. Bars: one standard deviation over seeds; dashed line: the Pareto "
            "front of the means.",
        ),
        figure(
            "trade-off-macs",
            trade_off(macs, results, split, f"G MACs at {where}"),
            f"Mean IoU on {split} against multiply-accumulates; bars and dashed line as above.",
        ),
    )
    blocks += claims.whole(results)
    trained = (
        "trained on CamVid alone at 480×360, most of them for up to 1000 epochs on train + val. Their mean IoU is on "
        f"**test**; ours were trained for {epochs} epochs on train. The cost of the published networks on this machine "
        "was not measured"
    )
    if split == "test":
        blocks.append(Prose(f"The right edge shows published networks {trained}."))
    if charts is not None:
        blocks.append(charts)
    costs = latency or macs
    scored = [(n, s) for n in costs if (s := spread(results, n, split, "miou")) is not None]
    front = [scored[i] for i in pareto([(costs[n], s.mean) for n, s in scored])]
    if front:
        what = "latency" if latency else "operations"
        told = ", ".join(f"{TITLES[n]} ({cell(s)} %)" for n, s in front)
        blocks.append(Prose(f"Pareto front of {what} and mean IoU among the four: {told}."))
    if split != "test":
        listed = Table(("", "mean IoU on test"), tuple((p.name, f"{p.miou:.1f}") for p in FROM_SCRATCH))
        note = Prose(f"These networks were {trained}. Ours were not scored on test, so the scores are not comparable.")
        blocks.append(Folded("Published networks on CamVid test (ours were not scored on it)", (note, listed)))
    return blocks
