"""The whole of training, from frames to checkpoints, top to bottom.

:func:`train` prepares, :class:`Run` holds what changes, and the loop in :meth:`Run.go` is the field's
usual one: batch, step (forward, loss, backward, update: :mod:`aaff.training.learner`); score and keep
after each epoch; state on disk every few minutes.  A run that is killed at any moment resumes to the same
weights as one that was not.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from aaff.card import ModelCard
from aaff.data.augment import Augment
from aaff.data.cache import CachedDataset
from aaff.data.layouts import open_dataset
from aaff.data.loader import Batch, Plan, Transform, batches
from aaff.data.mixture import mixed
from aaff.data.sample import Dataset
from aaff.errors import AaffError, OptionError
from aaff.evaluation.evaluate import Report
from aaff.files import write_text
from aaff.networks import create_model
from aaff.networks.weights import read_checkpoint, save_checkpoint
from aaff.preprocess import Size
from aaff.provenance import provenance
from aaff.training.allocator import keep_freed_memory
from aaff.training.distributed import PATIENCE, Group, join, leave
from aaff.training.engine import Engine, loading_processes, resolve
from aaff.training.interruption import Interrupted, interrupts
from aaff.training.learner import DivergedError, Learner, finite
from aaff.training.optimization import learning_rate_factor
from aaff.training.preparation import class_counts, refuse_leaks, resumed_engine
from aaff.training.progress import Reporter, write_history
from aaff.training.recipe import Recipe
from aaff.training.state import Position, Snapshot, load_snapshot, save_snapshot
from aaff.training.validation import Validation

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
    data: str | Path | Sequence[str | Path],
    recipe: Recipe,
    run: str | Path,
    *,
    resume: bool = False,
    layout: str | None = None,
    allow_leaks: bool = False,
    transform: Transform | None = None,
    checkpoint_seconds: float = 120.0,
    patience: float = PATIENCE,
    reporter: Reporter | None = None,
) -> Outcome:
    """Train a network by a recipe.

    Processes that ``torchrun`` started find each other and train together; the first one writes.

    Args:
        data: folder of a data set, any layout that :func:`aaff.data.open_dataset` reads; or several whose classes
            are the same: the train splits of all are trained on, the first one's val split is scored.
        recipe: what to do.
        run: folder for ``recipe.yaml``, ``metrics.csv``, ``metrics.jsonl``, ``curves.svg``, ``frames``,
            ``last.safetensors`` and ``best.safetensors``; new or empty unless resuming.
        resume: go on from the folder's state.
        layout: name of the data set's layout, where the guess is wrong.
        allow_leaks: train although frames of the train and the val split are nearly identical.
        transform: ``f(image=, mask=)`` applied to whole frames before the recipe's own augmentation.
        checkpoint_seconds: how often the state is put on disk within an epoch.
        patience: seconds after which another process that does not answer counts as lost.
        reporter: told of every step and epoch.

    Raises:
        AaffError: and its kinds, with one sentence; what is on disk stays whole and resumable.
    """
    run = Path(run)
    group = join(patience)
    reporter = reporter or Reporter(quiet=not group.main)
    if not resume and group.share((run / STATE).exists()):
        raise OptionError(f"{run} holds a run already; add --resume to go on with it, or choose another folder")
    snapshot = group.share(load_snapshot(run / STATE) if group.main else None) if resume else None
    engine, told = (
        (resolve(recipe.engine, group), None) if snapshot is None else resumed_engine(recipe, snapshot, group)
    )
    if told:
        reporter.say(told)
    if engine.device == "cpu":
        keep_freed_memory()
    with torch.device("meta"):  # without memory or random numbers: a mistyped option is told before a frame is read
        create_model(recipe.model, **recipe.network_options())
    first, *more = [data] if isinstance(data, (str, Path)) else data
    train_set = open_dataset(first, recipe.train_split, protocol=recipe.protocol, layout=layout)
    if more:
        others = [open_dataset(other, recipe.train_split, protocol=recipe.protocol) for other in more]
        train_set = mixed([train_set, *others], recipe.repeat)
    val_set = None
    if recipe.val_split != "none":
        val_set = open_dataset(first, recipe.val_split, protocol=recipe.protocol, layout=layout)
    names = hashlib.sha256("\n".join(p.name for p in train_set.pairs).encode()).hexdigest()
    if snapshot is not None and snapshot.data != names:
        raise OptionError(f"{run} was trained on other frames than {data} has; resume with the same data")
    plan = Plan(len(train_set), recipe.batch, recipe.seed, group.rank, group.world, recipe.engine.accumulate)
    reporter.say(
        f"reading {len(train_set)} frames of {train_set.split}"
        + (f", {len(val_set)} of {val_set.split}" if val_set else "")
    )
    if recipe.engine.cache:
        train_set = CachedDataset(train_set)
        val_set = CachedDataset(val_set) if val_set else None
    if val_set is not None and snapshot is None and group.main and not allow_leaks:
        refuse_leaks(train_set, val_set)
    state = Run(recipe, engine, group, plan, train_set, val_set, run, names, transform, checkpoint_seconds, reporter)
    if snapshot is not None:
        state.restore(snapshot)
    else:
        state.begin()
    outcome = state.go()
    leave()
    return outcome


class Run:
    """One training run in memory: what learns, and where it stands."""

    def __init__(
        self,
        recipe: Recipe,
        engine: Engine,
        group: Group,
        plan: Plan,
        train_set: Dataset,
        val_set: Dataset | None,
        folder: Path,
        names: str,
        transform: Transform | None,
        checkpoint_seconds: float,
        reporter: Reporter,
    ) -> None:
        self.recipe, self.engine, self.group, self.plan = recipe, engine, group, plan
        self.folder, self.names = folder, names
        self.train_set, self.transform = train_set, transform
        self.checkpoint_seconds, self.reporter = checkpoint_seconds, reporter
        labels = train_set.labels
        self.learner = Learner(recipe, labels.num_classes, class_counts(train_set), engine, group)
        self.position = Position()
        self.report: Report | None = None
        self.card = ModelCard(
            network=recipe.model,
            options=recipe.network_options(),
            labels=labels,
            protocol=train_set.protocol,
            size=recipe.size or Size.of(train_set.image(0)),
            recipe=recipe.to_dict(),
            licence=CAMVID_LICENCE if labels.name.startswith("camvid") else "that of the data it was trained on",
            provenance={**provenance(), "training_frames": names},
        )
        self.validation = Validation(val_set, self.card, engine, group) if val_set is not None else None

    def begin(self) -> None:
        """Put the weights to begin with in place, and the run's folder with them."""
        if self.recipe.warm_start is not None:
            state, _ = read_checkpoint(self.recipe.warm_start)
            self.reporter.say(str(self.learner.begin_from(state)))
        self.group.share_weights(self.learner.net)
        if self.group.main:
            with _on_disk():
                write_text(self.folder / "recipe.yaml", yaml.safe_dump(self.recipe.to_dict(), sort_keys=False))
        self.save_state()

    def restore(self, snapshot: Snapshot) -> None:
        """Take up a run where its state was put down."""
        self.learner.restore(snapshot.network, snapshot.optimizer, snapshot.average)
        self.position = snapshot.position
        if not self.group.main:
            return
        for path in self.folder.glob(".*-????????.*"):  # what a killed process was writing
            path.unlink(missing_ok=True)
        with _on_disk():
            write_history(self.folder, self.position.history, self.recipe.val_split)

    def go(self) -> Outcome:
        """Train to the end, or to the end of the step in which SIGINT or SIGTERM came to any of the processes."""
        position = self.position
        began = time.monotonic() - position.seconds
        self.reporter.begin(self.recipe, self.plan.steps, position, self.engine)
        saved = time.monotonic()
        with interrupts() as interrupted:
            while position.epoch < self.recipe.epochs:
                for batch in self._batches():
                    self._step(batch)
                    position.seconds = time.monotonic() - began
                    stop = self.group.any(interrupted())
                    if stop or time.monotonic() - saved > self.checkpoint_seconds:
                        self.save_state()
                        saved = time.monotonic()
                    if stop:
                        return Outcome(self.folder, False, position, self.report)
                try:
                    self._end_epoch(began, lambda: self.group.world == 1 and interrupted())
                except Interrupted:  # the epoch's end comes again when the run is resumed
                    self.save_state()
                    return Outcome(self.folder, False, position, self.report)
                saved = time.monotonic()
        self.reporter.end(position)
        return Outcome(self.folder, True, position, self.report)

    def _batches(self) -> Iterator[Batch]:
        recipe, augment, epoch = self.recipe, self.recipe.augment, self.position.epoch
        view = Augment(
            augment.crop_at(epoch, recipe.epochs),
            (augment.scale_min, augment.scale_max),
            augment.flip,
            augment.jitter,
            recipe.size,
            augment.width,
            augment.aspect,
            augment.photometric(),
        )
        return batches(
            self.train_set,
            self.plan,
            view,
            epoch=epoch,
            start=self.position.batch,
            workers=loading_processes(recipe.engine, self.engine, self.group),
            pin_memory=self.engine.device == "cuda",
            transform=self.transform,
        )

    def _step(self, batch: Batch) -> None:
        position, lr = self.position, self._learning_rate(self.position.step)
        try:
            loss = self.learner.step(*batch, lr, position.step)
        except DivergedError as error:
            frames = [self.train_set.pairs[i].name for i in self.plan.order(position.epoch)[position.batch]]
            raise AaffError(
                self._diverged(f"in step {position.step + 1}: {error}, on the frames {', '.join(frames)}")
            ) from error
        position.batch += 1
        position.step += 1
        position.loss_sum += loss
        self.reporter.step(position, loss, lr)

    def _learning_rate(self, step: int) -> float:
        options, steps = self.recipe.optim, self.plan.steps
        return options.lr * learning_rate_factor(step, self.recipe.epochs * steps, steps, options)

    def _end_epoch(self, began: float, interrupted: Callable[[], bool]) -> None:
        """Score and keep the epoch; the position moves on only when all of that is done."""
        recipe, position, validation = self.recipe, self.position, self.validation
        weights, epoch = self.learner.kept_weights(), position.epoch + 1
        if not finite(self.learner.net.state_dict()):
            raise AaffError(self._diverged(f"in epoch {epoch}: a weight is no longer a finite number"))
        row: dict[str, Any] = {
            "epoch": epoch,
            "step": position.step,
            "lr": self._learning_rate(position.step - 1),
            "loss": position.loss_sum / position.batch,
        }
        if validation is not None and (epoch % recipe.eval_every == 0 or epoch == recipe.epochs):
            self.report = validation.score(weights, self._progress(interrupted))
            names = self.report.labels.names
            row |= self.report.metrics.means() | {"iou": dict(zip(names, self.report.metrics.iou, strict=True))}
        better = "miou" in row and (position.best is None or row["miou"] > position.best)
        position.epoch, position.batch, position.loss_sum = epoch, 0, 0.0
        position.best = row["miou"] if better else position.best
        position.seconds = time.monotonic() - began
        position.history.append(row | {"seconds": round(position.seconds, 1)})
        if self.group.main:
            self._keep(weights, better or validation is None, "miou" in row)
        self.reporter.epoch(position, row)

    def _keep(self, weights: Mapping[str, Tensor], best: bool, scored: bool) -> None:
        """Write what a finished epoch leaves.  The state comes after the checkpoints: a run that is killed in
        between ends the epoch once more and writes them again."""
        recipe, position, epoch = self.recipe, self.position, self.position.epoch
        with _on_disk():
            card = replace(self.card, epoch=epoch, score=self._score() if scored else None)
            save_checkpoint(self.folder / LAST, weights, card)
            if best:
                save_checkpoint(self.folder / BEST, weights, card)
        self.save_state()
        with _on_disk():
            write_history(self.folder, position.history, recipe.val_split)
            due = recipe.render_every and (epoch % recipe.render_every == 0 or epoch == recipe.epochs)
            if self.validation is not None and due:
                self.validation.draw(self.folder / "frames" / f"epoch-{epoch:04}.jpg", weights)

    def _progress(self, interrupted: Callable[[], bool]) -> Callable[[int, int], None]:
        def tell(done: int, total: int) -> None:
            self.reporter.evaluated(done, total)
            if interrupted():
                raise Interrupted

        return tell

    def _score(self) -> dict[str, Any]:
        assert self.report is not None
        return {
            "protocol": self.report.protocol,
            "split": self.report.split,
            "selected_on": self.report.split,
            "images": self.report.images,
            "resize": self.report.subject.resize,
            **self.report.metrics.means(),
        }

    def save_state(self) -> None:
        """Put down everything that resuming needs; only the first process writes."""
        if not self.group.main:
            return
        learner = self.learner
        snapshot = Snapshot(
            learner.net.state_dict(),
            learner.average.state_dict() if learner.average is not None else {},
            learner.optimizer.state_dict(),
            self.position,
            self.recipe.to_dict(),
            self.engine.to_dict(),
            self.names,
        )
        with _on_disk():
            save_snapshot(self.folder / STATE, snapshot)

    def _diverged(self, what: str) -> str:
        kept = self.folder / LAST
        rest = f"the last good checkpoint is {kept}" if kept.exists() else "no checkpoint was written yet"
        return (
            f"training diverged {what}; {rest}; try a lower --optim.lr, a longer --optim.warmup or --optim.clip-norm 1"
        )


@contextmanager
def _on_disk() -> Iterator[None]:
    """Say how to go on when something cannot be written."""
    try:
        yield
    except AaffError as error:
        raise AaffError(f"{error}; make room or mend the folder, then go on with --resume") from error
