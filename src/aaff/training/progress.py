"""Progress of a training run: lines in the terminal, and tables and curves in the run folder."""

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
    """Write ``metrics.csv``, ``metrics.jsonl`` and ``curves.svg`` of the finished epochs, each atomically.

    ``metrics.jsonl`` also has the IoU of every class.  ``split`` is the name of the scored split.
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
    """Reports the progress of a run on standard error: one updated line on a terminal, otherwise occasional lines.

    Args:
        quiet: print nothing.
        every: seconds between lines if standard error is not a terminal.
    """

    def __init__(self, *, quiet: bool = False, every: float = 30.0) -> None:
        self.quiet = quiet
        self.live = sys.stderr.isatty()
        self.every = 0.5 if self.live else every
        self._recent: deque[tuple[float, int]] = deque(maxlen=50)
        self._told = 0.0
        self._epochs = self._steps = self._batch = 0

    def say(self, text: str) -> None:
        """Print a line."""
        if not self.quiet:
            print(("\r\033[K" if self.live else "") + text, file=sys.stderr, flush=True)

    def begin(self, recipe: Recipe, steps: int, position: Position, engine: TrainingEngine) -> None:
        """Report that a run starts or resumes."""
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
        """Report a finished step."""
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
        """Report how many validation frames are done."""
        if self.live and not self.quiet:
            print(f"\r\033[Kvalidation {done}/{total}", end="", file=sys.stderr, flush=True)

    def epoch(self, position: Position, row: dict[str, Any]) -> None:
        """Report a finished epoch."""
        self._recent.clear()  # the rate excludes validation
        score = ""
        if "miou" in row:
            best = " (best)" if row["miou"] == position.best else ""
            score = f"  mean IoU {row['miou']:.4f}{best}  pixel accuracy {row['pixel_accuracy']:.4f}"
        self.say(
            f"epoch {position.epoch}/{self._epochs}  loss {row['loss']:.4f}{score}  after {_span(position.seconds)}"
        )

    def end(self, position: Position) -> None:
        """Report the end of the run."""
        best = f", best mean IoU {position.best:.4f}" if position.best is not None else ""
        self.say(f"finished {_some(position.epoch, 'epoch')} in {_span(position.seconds)}{best}")


def _some(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _span(seconds: float) -> str:
    """A duration in seconds as M:SS or H:MM:SS.

    >>> _span(59.6), _span(3725)
    ('1:00', '1:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
