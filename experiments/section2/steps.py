"""What a training step of each network costs on one core, and the width that keeps it within the limit.

    python -m experiments.section2.steps [NETWORK …]

CPU time of the fastest of two steps on random frames, each network beside depthwise_aaff.  Batches of 4 rather than the
recipe's 8: the ratio is the same and takes half the time.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aaff.files import read_json, write_json
from aaff.preprocess import Size
from aaff.provenance import provenance
from aaff.training.distributed import Group
from aaff.training.engine import resolve
from aaff.training.learner import Learner
from aaff.training.recipe import EngineOptions, Recipe
from experiments.runner.costs import Costs
from experiments.section2.plan import LIMIT, NETWORKS, OPTIONS, REFERENCE

RESULTS = Path(__file__).parents[2] / "results" / "section2"
SIZE, BATCH, CLASSES = Size(240, 176), 4, 11
ENGINE = EngineOptions(device="cpu", threads=1)

GRID = 0.05
"""Widths are multiples of this."""

HOPELESS = 10.0
"""A network with so many times the operations is not tried at full width."""


def step_seconds(model: str, options: tuple[str, ...]) -> float:
    """CPU seconds of a step of ``BATCH`` views of ``SIZE`` on one thread: the faster of two after a first one."""
    recipe = Recipe(model=model, options=options, batch=BATCH, engine=ENGINE)
    learner = Learner(recipe, CLASSES, np.full((BATCH, CLASSES), 100, np.int64), resolve(ENGINE), Group())
    generator = torch.Generator().manual_seed(0)
    shape = BATCH, SIZE.height, SIZE.width
    images = torch.randint(0, 256, (*shape, 3), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, CLASSES, shape, dtype=torch.uint8, generator=generator)
    times = []
    for number in range(3):
        begun = time.process_time()
        learner.step(images, labels, 1e-4, number)
        times.append(time.process_time() - begun)
    return min(times[1:])


def widest(model: str, limit: float, guess: float) -> tuple[float, float]:
    """The largest width on the grid, 1 included, whose step stays within ``limit`` seconds; and its seconds.

    Args:
        model: a network with the option ``width``.
        limit: seconds.
        guess: the width to begin the search at.
    """
    steps = min(round(1 / GRID), max(1, round(guess / GRID)))
    known: dict[int, float] = {}

    def seconds(count: int) -> float:
        if count not in known:
            width = round(count * GRID, 2)
            known[count] = step_seconds(model, (*OPTIONS.get(model, ()), *(() if width == 1 else (f"width={width}",))))
        return known[count]

    while steps > 1 and seconds(steps) > limit:
        steps -= 1
    while steps * GRID < 1 - GRID / 2 and steps + 1 not in known and seconds(steps + 1) <= limit:
        steps += 1
    return round(steps * GRID, 2), seconds(steps)


def main(names: Sequence[str]) -> int:
    """Measure the networks named, or all; what is known of the others stays."""
    path = RESULTS / "step_costs.json"
    known: dict[str, Any] = read_json(path)["networks"] if path.is_file() else {}
    costs = Costs(CLASSES)
    for name in names or NETWORKS:
        reference = step_seconds(REFERENCE, ())  # anew each time: other work slows the core now and then
        macs = costs.macs(name, OPTIONS.get(name, ()), SIZE) / costs.macs(REFERENCE, (), SIZE)
        guess = 1.0 if macs < HOPELESS else 1.3 * math.sqrt(LIMIT / macs)  # plain convolutions are the faster kind
        width, taken = widest(name, LIMIT * reference, guess)
        known[name] = {"macs_ratio_at_width_1": round(macs, 2), "width": width, "ratio": round(taken / reference, 2)}
        print(name, known[name], flush=True)
        write_json(
            path,
            {
                "what": "CPU time of one training step on one thread, in steps of the reference",
                "size": str(SIZE),
                "batch": BATCH,
                "limit": LIMIT,
                "reference": REFERENCE,
                "networks": {n: known[n] for n in NETWORKS if n in known},
                "engine": resolve(ENGINE).to_dict(),
                "provenance": provenance(),
            },
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
