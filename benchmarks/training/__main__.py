"""``python -m benchmarks.training``: seconds per training step, beside a plain PyTorch loop."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aaff.preprocess import Size


@dataclass
class Args:
    """Measure this engine beside a plain PyTorch loop and beside itself without work on data, in one run.

    Every loop runs in a process of its own and has its turn in every round, on the same batches.
    """

    data: Path
    """Folder of the data set, in any layout that aaff data check knows."""
    model: str = "depthwise_aaff"
    """Network, see: aaff models."""
    options: tuple[str, ...] = ()
    """Options of the network as NAME=VALUE."""
    size: Size = Size(480, 360)
    """Of the views that the network trains on."""
    batch: int = 8
    """Frames in a batch."""
    steps: int = 4
    """Steps of a loop in one round, after one to warm up."""
    rounds: int = 4
    """How often each loop has its turn."""
    threads: int = 0
    """Compute threads; 0 takes all cores."""
    workers: int | None = None
    """Processes that decode for the plain loop; default: one per core."""
    measures: bool = False
    """Also switch each measure of the engine off, one at a time, to see what it brings."""
    side_by_side: bool = False
    """Also see whether runs on one thread each, side by side, do more than one run on all threads."""
    json: Path | None = None
    """Write the figures here."""


def main(words: Sequence[str] | None = None) -> int:
    """Read the options and measure; returns the exit status."""
    from aaff.cli import exit_status
    from aaff.cli.options import parse

    given = sys.argv[1:] if words is None else words
    return exit_status(lambda: run(parse(Args, given, prog="python -m benchmarks.training")))


def run(args: Args) -> int:
    """Print and write the figures; status 0."""
    from aaff.files import write_json
    from benchmarks.training.loops import recipe_for, refuse
    from benchmarks.training.measure import measure_training

    recipe = recipe_for(args.model, args.options, args.size, args.batch, args.threads)
    refuse(recipe, args.steps, args.rounds, args.workers)
    result = measure_training(
        args.data,
        recipe,
        steps=args.steps,
        rounds=args.rounds,
        workers=args.workers,
        measures=args.measures,
        side_by_side=args.side_by_side,
        tell=lambda text: print(text, file=sys.stderr, flush=True),
    )
    _print(result)
    if args.json is not None:
        write_json(args.json, result)
        print(f"written: {args.json}")
    return 0


def _print(result: dict[str, Any]) -> None:
    from aaff.cli.console import print_table

    rows = result["loops"]
    phases = list(next(iter(rows.values()))["share"])
    print_table(
        ("loop", "precision", "s/step", "images/s", *(f"{phase} %" for phase in phases), "peak %", "GiB"),
        [
            (
                name,
                row["precision"],
                f"{row['seconds_a_step']:.3f}",
                f"{row['images_a_second']:.2f}",
                *(f"{100 * row['share'][phase]:.1f}" for phase in phases),
                f"{100 * row['share_of_peak']:.0f}",
                f"{row['memory_gib']:.2f}",
            )
            for name, row in rows.items()
        ],
        title=f"{result['model']}, {result['size']}, batch {result['batch']}, "
        f"threads {next(iter(rows.values()))['threads']}",
        text_columns=2,
    )
    for name, ratio in result["ratios"].items():
        print(f"{name}: {ratio:.2f} times as fast")
    if "measures" in result:
        print_table(
            ("without", "beside", "s/step", "times as long"),
            [
                (r["without"], r["beside"], f"{r['seconds_a_step']:.3f}", f"{r['times_as_long']:.2f}")
                for r in result["measures"]
            ],
            text_columns=2,
        )
    if "side_by_side" in result:
        sides = result["side_by_side"]
        print(
            f"{sides['runs']} runs on one thread each: {sides['images_a_second_together']:.2f} images/s together, "
            f"one run on {sides['runs']} threads: {sides['images_a_second_one_run']:.2f}; ratio {sides['ratio']:.2f}"
        )


if __name__ == "__main__":
    sys.exit(main())
