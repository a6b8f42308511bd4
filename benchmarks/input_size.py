"""``python -m benchmarks.input_size``: what a larger or smaller input gives and costs, the option ``--size``."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aaff.preprocess import Size
from benchmarks.command import start
from benchmarks.robustness import score


@dataclass(kw_only=True)
class Args:
    """Score a model on a split at several input sizes, and time it at each, in turns."""

    data: Path
    """Folder of the data set."""
    model: Path | None = None
    """An exported file for any size; default: the bundled model."""
    size: tuple[Size, ...] = tuple(Size(*pair) for pair in ((384, 288), (480, 360), (544, 408), (600, 448), (720, 544)))
    """Input sizes; ratios of latency are to the model's own."""
    split: str = "val"
    """Split to score."""
    every: int = 1
    """Score every this many frames."""
    runs: int = 100
    """Frames timed at each size."""
    json: Path | None = None
    """Write the figures here."""


def run(args: Args) -> int:
    """Print and write the figures; status 0."""
    from aaff.cli.console import print_table
    from aaff.data import open_dataset
    from aaff.files import write_json
    from aaff.loading import find_model, load_segmenter, read_card
    from aaff.provenance import file_hash, provenance

    file = find_model(args.model)
    card = read_card(file)
    dataset = open_dataset(args.data, args.split)
    indices = range(0, len(dataset), args.every)
    frames = [dataset.image(index) for index in indices]
    segmenters = {
        size: load_segmenter(file, size=size, confidence=False) for size in dict.fromkeys((card.size, *args.size))
    }
    taken: dict[Size, list[float]] = {size: [] for size in segmenters}
    for turn in range(args.runs + 5):  # the first ones warm up
        for size, segmenter in segmenters.items():
            started = time.perf_counter()
            segmenter(frames[turn % len(frames)])
            taken[size].append(1000 * (time.perf_counter() - started))
    latency = {size: float(np.median(times[5:])) for size, times in taken.items()}
    rows: list[dict[str, Any]] = [
        {
            "size": str(size),
            "latency_ms": latency[size],
            "ratio": latency[size] / latency[card.size],
            **score(segmenters[size], dataset, lambda frame: frame, indices),
        }
        for size in sorted(segmenters)
    ]
    table = [
        (row["size"], f"{100 * row['miou']:.1f}", f"{row['latency_ms']:.1f}", f"{row['ratio']:.2f}") for row in rows
    ]
    print_table(("input", "mean IoU %", "ms", "ratio"), table)
    if args.json is not None:
        found = {"network": card.network, "model": file_hash(file), "size": str(card.size), "split": args.split}
        counted = {"every": args.every, "runs": args.runs}
        write_json(args.json, {**found, **counted, "rows": rows, "provenance": provenance()})
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """Read the options and measure; returns the exit status."""
    return start("benchmarks.input_size", Args, run, words)


if __name__ == "__main__":
    sys.exit(main())
