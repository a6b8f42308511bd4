"""The whole of training, from frames to checkpoints, top to bottom.

:func:`train` prepares, :class:`Run` holds what changes, and the loop in :meth:`Run.go` is the field's
usual one: batch, forward, loss, backward, step; score and keep after each epoch; state on disk every
few minutes.  A run that is killed at any moment resumes to the same weights as one that was not.
"""

from __future__ import annotations

import hashlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from aaff.card import ModelCard
from aaff.data.augment import Augment
from aaff.data.cache import CachedDataset
from aaff.data.duplicates import cross_split_leaks
from aaff.data.layouts import open_dataset
from aaff.data.loader import Plan, Transform, batches
from aaff.data.sample import Dataset
from aaff.data.statistics import count_classes
from aaff.errors import AaffError, DataError, OptionError
from aaff.evaluation.evaluate import Report, Subject, count, report
from aaff.files import write_text
from aaff.networks import create_model
from aaff.networks.engine import TorchEngine
from aaff.networks.weights import read_checkpoint, save_checkpoint
from aaff.provenance import provenance
from aaff.training.engine import Engine, resolve
from aaff.training.objective import Objective, class_weights, weighted_mean
from aaff.training.optimization import WeightAverage, learning_rate_factor, make_optimizer, set_learning_rate
from aaff.training.progress import Reporter, write_history
from aaff.training.recipe import Recipe
from aaff.training.state import Position, Snapshot, finite, load_snapshot, save_snapshot
from aaff.training.warm_start import warm_start

STATE = "last.state.safetensors"
LAST = "last.safetensors"
BEST = "best.safetensors"

CAMVID_LICENCE = "research and other non-commercial use only (trained on CamVid, CC BY-NC 4.0)"


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        run: its folder.
        finished: False when it was interrupted; it can be resumed.
        position: where it stands.
        report: the last validation scores, None without validation.
    """

    run: Path
    finished: bool
    position: Position
    report: Report | None


def train(
    data: str | Path,
    recipe: Recipe,
    run: str | Path,
    *,
    resume: bool = False,
    layout: str | None = None,
    allow_leaks: bool = False,
    transform: Transform | None = None,
    checkpoint_seconds: float = 120.0,
    reporter: Reporter | None = None,
) -> Outcome:
    """Train a network by a recipe.

    Args:
        data: folder of a data set, any layout that :func:`aaff.data.open_dataset` reads.
        recipe: what to do.
        run: folder for ``recipe.yaml``, ``metrics.csv``, ``metrics.jsonl``, ``curves.svg``,
            ``last.safetensors`` and ``best.safetensors``; new or empty unless resuming.
        resume: go on from the folder's state.
        layout: name of the data set's layout, where the guess is wrong.
        allow_leaks: train although frames of the train and the val split are nearly identical.
        transform: ``f(image=, mask=)`` applied to whole frames before the recipe's own augmentation.
        checkpoint_seconds: how often the state is put on disk within an epoch.
        reporter: told of every step and epoch.

    Raises:
        AaffError: and its kinds, with one sentence; what is on disk stays whole and resumable.
    """
    run = Path(run)
    reporter = reporter or Reporter()
    if not resume and (run / STATE).exists():
        raise OptionError(f"{run} holds a run already; add --resume to go on with it, or choose another folder")
    snapshot = load_snapshot(run / STATE) if resume else None
    engine = resolve(recipe.engine) if snapshot is None else _resumed_engine(run, recipe, snapshot, reporter)
    train_set = open_dataset(data, recipe.train_split, protocol=recipe.protocol, layout=layout)
    val_set = None
    if recipe.val_split != "none":
        val_set = open_dataset(data, recipe.val_split, protocol=recipe.protocol, layout=layout)
    names = hashlib.sha256("\n".join(p.name for p in train_set.pairs).encode()).hexdigest()
    if snapshot is not None and snapshot.data != names:
        raise OptionError(f"{run} was trained on other frames than {data} has; resume with the same data")
    reporter.say(
        f"reading {len(train_set)} frames of {train_set.split}"
        + (f", {len(val_set)} of {val_set.split}" if val_set else "")
    )
    if recipe.engine.cache:
        train_set = CachedDataset(train_set)
        val_set = CachedDataset(val_set) if val_set else None
    if val_set is not None and snapshot is None:
        _refuse_leaks(train_set, val_set, allow_leaks)
    state = Run(recipe, engine, train_set, val_set, run, names, transform, checkpoint_seconds, reporter)
    if snapshot is not None:
        state.restore(snapshot)
    else:
        state.begin()
    return state.go()


class Run:
    """One training run in memory: network, optimiser, averaged weights, and where it stands."""

    def __init__(
        self,
        recipe: Recipe,
        engine: Engine,
        train_set: Dataset,
        val_set: Dataset | None,
        folder: Path,
        names: str,
        transform: Transform | None,
        checkpoint_seconds: float,
        reporter: Reporter,
    ) -> None:
        self.recipe, self.engine, self.folder, self.names = recipe, engine, folder, names
        self.train_set, self.val_set, self.transform = train_set, val_set, transform
        self.checkpoint_seconds, self.reporter = checkpoint_seconds, reporter
        self.plan = Plan(len(train_set), recipe.batch, recipe.seed)
        labels = train_set.labels
        torch.manual_seed(recipe.seed)
        self.net = engine.prepare(create_model(recipe.model, labels.num_classes, **recipe.network_options()))
        weights = class_weights(recipe.loss.class_weights, _class_counts(train_set))
        self.objective = Objective(
            recipe.loss, labels.num_classes, None if weights is None else weights.to(engine.device)
        )
        self.optimizer = make_optimizer(self.net, recipe.optim)
        self.average = WeightAverage(self.net, recipe.optim.ema) if recipe.optim.ema else None
        self.position = Position()
        self.report: Report | None = None
        self.card = ModelCard(
            network=recipe.model,
            options=recipe.network_options(),
            labels=labels,
            protocol=train_set.protocol,
            size=recipe.augment.crop,
            recipe=recipe.to_dict(),
            licence=CAMVID_LICENCE if labels.name.startswith("camvid") else "that of the data it was trained on",
            provenance={**provenance(), "training_frames": names},
        )

    def begin(self) -> None:
        """Write the effective recipe and put the weights to begin with in place."""
        if self.recipe.warm_start is not None:
            state, _ = read_checkpoint(self.recipe.warm_start)
            self.reporter.say(str(warm_start(self.net, state)))
            if self.average is not None:
                self.average = WeightAverage(self.net, self.recipe.optim.ema)
        write_text(self.folder / "recipe.yaml", yaml.safe_dump(self.recipe.to_dict(), sort_keys=False))

    def restore(self, snapshot: Snapshot) -> None:
        """Take up a run where its state was put down."""
        self.net.load_state_dict(dict(snapshot.network))
        self.optimizer.load_state_dict(dict(snapshot.optimizer))
        if self.average is not None:
            self.average.load_state_dict(dict(snapshot.average))
        self.position = snapshot.position
        write_history(self.folder, self.position.history)

    def go(self) -> Outcome:
        """Train to the end, or to the end of the step in which SIGINT or SIGTERM came."""
        began = time.monotonic() - self.position.seconds
        recipe, position = self.recipe, self.position
        self.reporter.begin(recipe, self.plan.steps, position, self.engine)
        saved = time.monotonic()
        with _interrupts() as interrupted:
            while position.epoch < recipe.epochs:
                for images, labels, frames in self._batches():
                    loss = self.step(images, labels)
                    position.batch += 1
                    position.step += 1
                    if not math.isfinite(loss):
                        raise AaffError(self._diverged(f"the loss became {loss}", frames))
                    position.loss_sum += loss
                    position.seconds = time.monotonic() - began
                    self.reporter.step(position, loss, self._learning_rate())
                    if interrupted() or time.monotonic() - saved > self.checkpoint_seconds:
                        self.save_state()
                        saved = time.monotonic()
                    if interrupted():
                        return Outcome(self.folder, False, position, self.report)
                self._end_epoch(began)
                saved = time.monotonic()
        self.reporter.end(position)
        return Outcome(self.folder, True, position, self.report)

    def _batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, list[int]]]:
        recipe, augment, epoch = self.recipe, self.recipe.augment, self.position.epoch
        view = Augment(
            augment.crop_at(epoch, recipe.epochs), (augment.scale_min, augment.scale_max), augment.flip, augment.jitter
        )
        return batches(
            self.train_set,
            self.plan,
            view,
            epoch=epoch,
            start=self.position.batch,
            workers=recipe.engine.workers,
            pin_memory=self.engine.device == "cuda",
            transform=self.transform,
        )

    def step(self, images: torch.Tensor, labels: torch.Tensor) -> float:
        """One optimiser step on a batch; returns its loss.

        Args:
            images: uint8 [N, H, W, 3], RGB.
            labels: uint8 [N, H, W].
        """
        self.net.train()
        set_learning_rate(self.optimizer, self._learning_rate())
        labels = labels.to(self.engine.device, non_blocking=True)
        normalizer = self.objective.normalizer(labels)
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.engine.device)
        for part, truth in zip(
            images.chunk(self.recipe.engine.accumulate), labels.chunk(self.recipe.engine.accumulate), strict=True
        ):
            with self.engine.autocast():
                logits, auxiliary = self.net.logits_with_auxiliary(self.engine.normalize(part, self.card.normalization))
            loss = weighted_mean(self.objective(logits, auxiliary, truth).sum, normalizer)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        if self.recipe.optim.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.recipe.optim.clip_norm)
        self.optimizer.step()
        if self.average is not None:
            self.average.update(self.net, self.position.step)
        return float(total)

    def _learning_rate(self) -> float:
        options, steps = self.recipe.optim, self.plan.steps
        return options.lr * learning_rate_factor(self.position.step, self.recipe.epochs * steps, steps, options)

    def _end_epoch(self, began: float) -> None:
        recipe, position = self.recipe, self.position
        row: dict[str, Any] = {
            "epoch": position.epoch + 1,
            "step": position.step,
            "lr": self._learning_rate(),
            "loss": position.loss_sum / max(position.batch, 1),
        }
        position.epoch, position.batch, position.loss_sum = position.epoch + 1, 0, 0.0
        if not finite(self.net.state_dict()):
            raise AaffError(self._diverged("a weight is no longer a finite number", []))
        better = False
        if self.val_set is not None and (position.epoch % recipe.eval_every == 0 or position.epoch == recipe.epochs):
            self.report = self.evaluate()
            row |= self.report.metrics.means()
            better = position.best is None or self.report.metrics.miou > position.best
            if better:
                position.best = self.report.metrics.miou
        position.seconds = time.monotonic() - began
        row["seconds"] = round(position.seconds, 1)
        position.history.append(row)
        card = replace(self.card, epoch=position.epoch, score=self._score())
        weights = self.kept_weights()
        save_checkpoint(self.folder / LAST, weights, card)
        if better or self.val_set is None:
            save_checkpoint(self.folder / BEST, weights, card)
        self.save_state()
        write_history(self.folder, position.history)
        self.reporter.epoch(position, row)

    def _score(self) -> dict[str, Any] | None:
        if self.report is None:
            return None
        return {
            "protocol": self.report.protocol,
            "split": self.report.split,
            "selected_on": self.report.split,
            "images": self.report.images,
            "resize": self.report.subject.resize,
            **self.report.metrics.means(),
        }

    def kept_weights(self) -> dict[str, torch.Tensor]:
        """The weights that are scored and shipped: the averaged ones where there are."""
        return self.average.state_dict() if self.average is not None else self.net.state_dict()

    def evaluate(self) -> Report:
        """Score the kept weights on the validation split by the research convention."""
        assert self.val_set is not None
        options = {k: v for k, v in self.card.options.items() if k != "auxiliary"}
        net = create_model(self.card.network, self.card.labels.num_classes, **options)
        kept = {k: v for k, v in self.kept_weights().items() if not k.startswith("auxiliary.")}
        net.load_state_dict(kept)
        engine = TorchEngine(self.engine.prepare(net), self.card, precision=self.engine.precision, confidence=False)
        subject = Subject(
            self.card.network,
            "torch",
            self.engine.precision,
            str(self.card.size),
            "logits",
            selected_on=self.val_set.split,
        )
        matrix = count(engine.segment, self.val_set, progress=self.reporter.evaluated)
        return report(matrix, self.val_set, subject)

    def save_state(self) -> None:
        """Put down everything that resuming needs."""
        save_snapshot(
            self.folder / STATE,
            Snapshot(
                self.net.state_dict(),
                self.average.state_dict() if self.average is not None else {},
                self.optimizer.state_dict(),
                self.position,
                self.recipe.to_dict(),
                self.engine.to_dict(),
                self.names,
            ),
        )

    def _diverged(self, what: str, frames: list[int]) -> str:
        shown = f" on the frames {', '.join(self.train_set.pairs[i].name for i in frames)}" if frames else ""
        kept = self.folder / LAST
        rest = f"the last good checkpoint is {kept}" if kept.exists() else "no checkpoint was written yet"
        return (
            f"training diverged in step {self.position.step}: {what}{shown}; {rest}; "
            "try a lower --optim.lr, a longer --optim.warmup or --optim.clip-norm 1"
        )


def _class_counts(dataset: Dataset) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.stack([count_classes(dataset.label(i), dataset.labels.num_classes)[0] for i in range(len(dataset))])


def _refuse_leaks(train_set: Dataset, val_set: Dataset, allowed: bool) -> None:
    leaks = cross_split_leaks([train_set, val_set])
    if leaks and not allowed:
        raise DataError(
            f"{len(leaks)} frames of {train_set.split} and {val_set.split} are identical or nearly so, first "
            f"{leaks[0]}; a score on such a split means nothing: mend the split (aaff data check), or add --allow-leaks"
        )


def _resumed_engine(run: Path, recipe: Recipe, snapshot: Snapshot, reporter: Reporter) -> Engine:
    """The arithmetic of a resumed run: as it was, unless the user names another way."""
    new, old = _flat(recipe.to_dict()), _flat(snapshot.recipe)
    changed = [key for key in sorted(new.keys() | old.keys()) if new.get(key) != old.get(key)]
    if changed and all(key.startswith("engine.") for key in changed):
        reporter.say(f"{', '.join(changed)} changed: the weights will differ by rounding from an uninterrupted run")
        return resolve(recipe.engine)
    if changed:
        told = ", ".join(f"{key} ({old.get(key)} → {new.get(key)})" for key in changed)
        raise OptionError(f"{run} was begun with another recipe: {told}; resume without these, or start a new run")
    engine = Engine(**snapshot.engine)
    if engine.device == "cuda" and not torch.cuda.is_available():
        raise OptionError(
            f"{run} was begun on a GPU and there is none here; add --engine.device cpu to go on all the same"
        )
    return engine


def _flat(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in data.items():
        result |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return result


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Turn SIGINT and SIGTERM into a question that the loop asks after each step; a second SIGINT is immediate."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # signals reach the main thread only
        return
    came: list[int] = []

    def note(number: int, frame: object) -> None:
        if came and number == signal.SIGINT:
            raise KeyboardInterrupt
        came.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
