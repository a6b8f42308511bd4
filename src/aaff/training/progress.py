"""What a person sees of a run while it trains: lines in the terminal, tables and curves in its folder."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aaff.files import write_text
from aaff.training.engine import TrainingEngine
from aaff.training.figures import draw_curves
from aaff.training.recipe import Recipe
from aaff.training.state import Position

_COLUMNS = ("epoch", "step", "lr", "loss", "miou", "pixel_accuracy", "mean_class_accuracy", "seconds")


def write_history(folder: Path, history: Sequence[dict[str, Any]], split: str = "val") -> None:
    """``metrics.csv``, ``metrics.jsonl`` and ``curves.svg`` of the finished epochs, each replaced whole.

    ``metrics.jsonl`` also has the IoU of every class.  ``split`` is the one that is scored.
    """
    if not history:
        return
    table = io.StringIO()
    writer = csv.DictWriter(table, _COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(folder / "metrics.csv", table.getvalue())
    write_text(folder / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in history))
    draw_curves(folder / "curves.svg", history, split)


class Reporter:
    """Tells of a run on standard error: one line that is overwritten in a terminal, now and then a line elsewhere.

    Args:
        quiet: tell nothing.
        every: seconds between lines where standard error is not a terminal.
    """

    def __init__(self, *, quiet: bool = False, every: float = 30.0) -> None:
        self.quiet = quiet
        self.live = sys.stderr.isatty()
        self.every = 0.5 if self.live else every
        self._recent: deque[tuple[float, int]] = deque(maxlen=50)
        self._told = 0.0
        self._epochs = self._steps = self._batch = 0

    def say(self, text: str) -> None:
        """A line of its own."""
        if not self.quiet:
            print(("\r\033[K" if self.live else "") + text, file=sys.stderr, flush=True)

    def begin(self, recipe: Recipe, steps: int, position: Position, engine: TrainingEngine) -> None:
        """A run starts or resumes."""
        self._epochs, self._steps, self._batch = recipe.epochs, steps, recipe.batch
        how = f"{engine.device}, {engine.precision}"
        how += f", {_some(engine.threads, 'thread')}" if engine.device == "cpu" else ""
        how += f" in each of {engine.processes} processes" if engine.processes > 1 else ""
        self.say(
            f"{recipe.model}: {_some(recipe.epochs, 'epoch')} of {_some(steps, 'step')}, batch {recipe.batch}, {how}"
        )
        if position.step:
            self.say(f"resuming after step {position.step} (epoch {position.epoch + 1}, batch {position.batch})")

    def step(self, position: Position, loss: float, lr: float) -> None:
        """A step is done."""
        now = time.monotonic()
        self._recent.append((now, position.step))
        if self.quiet or now - self._told < self.every or len(self._recent) < 2:
            return
        self._told = now
        (then, first), (_, last) = self._recent[0], self._recent[-1]
        rate = (last - first) / max(now - then, 1e-9)
        left = (self._epochs * self._steps - position.step) / max(rate, 1e-9)
        text = (
            f"epoch {position.epoch + 1}/{self._epochs} step {position.batch}/{self._steps}  loss {loss:.4f}  "
            f"lr {lr:.1e}  {rate * self._batch:.1f} images/s  {_span(left)} left"
        )
        print(f"\r\033[K{text}" if self.live else text, end="" if self.live else "\n", file=sys.stderr, flush=True)

    def evaluated(self, done: int, total: int) -> None:
        """A validation frame is done."""
        if self.live and not self.quiet:
            print(f"\r\033[Kvalidation {done}/{total}", end="", file=sys.stderr, flush=True)

    def epoch(self, position: Position, row: dict[str, Any]) -> None:
        """An epoch is done."""
        self._recent.clear()  # validation does not count for the rate
        score = ""
        if "miou" in row:
            best = " (best)" if row["miou"] == position.best else ""
            score = f"  mean IoU {row['miou']:.4f}{best}  pixel accuracy {row['pixel_accuracy']:.4f}"
        self.say(
            f"epoch {position.epoch}/{self._epochs}  loss {row['loss']:.4f}{score}  after {_span(position.seconds)}"
        )

    def end(self, position: Position) -> None:
        """The run is finished."""
        best = f", best mean IoU {position.best:.4f}" if position.best is not None else ""
        self.say(f"finished {_some(position.epoch, 'epoch')} in {_span(position.seconds)}{best}")


def _some(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _span(seconds: float) -> str:
    """A span of time as a person says it.

    >>> _span(59.6), _span(3725)
    ('1:00', '1:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
