"""The training loop: set-up, epochs, steps, validation, checkpoints and resuming.

``train`` sets everything up, ``Trainer.fit`` is the loop.  A single optimisation step is in
``aaff.training.learner``, the fast kernels are in ``aaff.training.kernels``, the files in
``aaff.training.run_folder``.  A run that is killed at any moment and resumed ends with the same weights as an
uninterrupted one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import Tensor

from aaff.card import ModelCard
from aaff.data.augmentations import Augmentation, find_augmentation
from aaff.data.licence import joined
from aaff.data.loader import Batch, BatchPlan, Transform, batches
from aaff.data.paste import PasteRareObjects
from aaff.errors import AaffError, OptionError
from aaff.evaluation.evaluate import Report
from aaff.locks import only_process
from aaff.networks import create_model
from aaff.preprocess import Size
from aaff.provenance import provenance
from aaff.signals import interrupts
from aaff.training.allocator import keep_freed_memory
from aaff.training.distributed import PATIENCE, Group, join, leave
from aaff.training.engine import TrainingEngine, loading_processes, resolve
from aaff.training.learner import DivergedError, Learner, finite
from aaff.training.optimization import learning_rate_factor
from aaff.training.preparation import Splits, check_names, class_counts, open_splits, refuse_leaks, resumed_engine
from aaff.training.progress import Reporter
from aaff.training.recipe import Recipe
from aaff.training.run_folder import LAST, STATE, RunFolder
from aaff.training.state import Position, Snapshot, load_snapshot
from aaff.training.teacher import TeacherFile
from aaff.training.validation import Validation
from aaff.training.warm_start import StartingPoint


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        run: the run folder.
        finished: False if the run was stopped before its last epoch and can be resumed.
        interrupted: True if a signal stopped the run, False if it finished or reached its time limit.
        position: progress of the run.
        report: the last validation scores, None without validation.
    """

    run: Path
    finished: bool
    position: Position
    report: Report | None
    interrupted: bool = False


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
    minutes: float | None = None,
    patience: float = PATIENCE,
    reporter: Reporter | None = None,
) -> Outcome:
    """Train a network by a recipe.

    Processes started by ``torchrun`` train together; only the first one writes files.

    Args:
        data: folder of a data set in any layout that ``aaff.data.open_dataset`` reads, or several folders with the
            same classes: the network trains on the train splits of all, and the val split of the first is scored.
        recipe: network, loss, optimiser, augmentation and engine.
        run: folder for ``recipe.yaml``, ``metrics.csv``, ``metrics.jsonl``, ``curves.svg``, ``frames``,
            ``last.safetensors`` and ``best.safetensors``; it must be new or empty unless resuming.
        resume: resume the run in the folder.
        layout: layout of the data set; default: detected.
        allow_leaks: train even if frames of the train and val splits are nearly identical.
        transform: ``f(image=, mask=)``, applied to whole frames before the recipe's own augmentation.
        checkpoint_seconds: seconds between saves of the state within an epoch.
        minutes: stop after this many minutes, to be resumed later; None: train to the end.
        patience: seconds after which another process that does not respond counts as lost.
        reporter: receives the progress of every step and epoch.

    Raises:
        OptionError: another process is working on the run.
        AaffError: (and subclasses) training cannot start or continue; the files on disk stay complete and resumable.
    """
    deadline = time.monotonic() + 60 * minutes if minutes is not None else None
    folder, group = Path(run), join(patience)
    reporter = reporter or Reporter(quiet=not group.main)
    with only_process(folder, "the run") if group.main else nullcontext():
        if not resume and group.share((folder / STATE).exists()):
            raise OptionError(f"{folder} already contains a run; add --resume to continue it, or choose another folder")
        snapshot = group.share(load_snapshot(folder / STATE) if group.main else None) if resume else None
        if snapshot is None:
            engine = resolve(recipe.engine, group)
        else:
            engine, notice = resumed_engine(recipe, snapshot, group)
            if notice:
                reporter.say(notice)
        if engine.device == "cpu":
            keep_freed_memory()
        check_names(recipe)
        teacher = TeacherFile.read(recipe.teacher) if recipe.teacher is not None else None
        start = StartingPoint.read(recipe.warm_start) if recipe.warm_start and snapshot is None else None
        origin = snapshot.origin if snapshot is not None else start.origin if start is not None else {}
        splits = open_splits(data, recipe, layout)
        if teacher is not None:
            teacher.check_classes(splits.train.labels)
        if snapshot is not None and snapshot.data != splits.fingerprint:
            raise OptionError(f"{folder} was trained on frames other than those of {data}; resume with the same data")
        reporter.say(
            f"reading {len(splits.train)} frames of {splits.train.split}"
            + (f", {len(splits.val)} of {splits.val.split}" if splits.val else "")
        )
        if recipe.engine.cache:
            splits = splits.cached()
        if splits.val is not None and snapshot is None and group.main and not allow_leaks:
            refuse_leaks(splits.train, splits.val)
        trainer = Trainer(recipe, engine, group, splits, folder, reporter, teacher, origin)
        if snapshot is None:
            trainer.start(start.weights if start is not None else None)
        else:
            trainer.restore(snapshot)
        outcome = trainer.fit(transform=transform, checkpoint_seconds=checkpoint_seconds, deadline=deadline)
    leave()
    return outcome


class Trainer:
    """A training run: the network with its optimiser, the data, and the progress so far.

    Args:
        recipe: network, loss, optimiser and augmentation.
        engine: device, precision and kernels.
        group: the processes that share each batch.
        splits: the frames to train on and to score.
        folder: the run folder.
        reporter: receives the progress of every step and epoch.
        teacher: a network to learn from in addition to the labels.
        origin: where the initial weights came from, see ``StartingPoint``; empty for randomly initialised weights.

    Raises:
        AaffError: recipe and data do not match.
    """

    def __init__(
        self,
        recipe: Recipe,
        engine: TrainingEngine,
        group: Group,
        splits: Splits,
        folder: Path,
        reporter: Reporter,
        teacher: TeacherFile | None = None,
        origin: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.recipe, self.engine, self.group, self.splits = recipe, engine, group, splits
        self.files, self.reporter, self.origin = RunFolder(folder, recipe), reporter, dict(origin)
        train_set = splits.train
        labels = train_set.labels
        self.plan = BatchPlan(
            len(train_set), recipe.batch, recipe.seed, group.rank, group.world, parts=recipe.engine.accumulate
        )
        counts = class_counts(train_set)
        if void := int((counts.sum(1) == 0).sum()):
            reporter.say(f"{void} of {len(counts)} training frames have no labelled pixel and do not affect training")
        self.learner = Learner(
            recipe, labels.num_classes, counts, engine, group, teacher.network(engine) if teacher else None
        )
        self.augmentations: list[Augmentation] = [find_augmentation(name) for name in recipe.augment.transforms]
        if recipe.augment.paste:
            classes, probability = recipe.augment.paste_classes, recipe.augment.paste
            self.augmentations.append(PasteRareObjects(train_set, counts, classes, probability))
        self.transform: Transform | None = None
        self.position = Position()
        self.report: Report | None = None
        self.model_card = ModelCard(
            network=recipe.model,
            options=recipe.network_options(),
            labels=labels,
            protocol=train_set.protocol,
            size=recipe.input_size(Size.of(train_set.image(0))),
            recipe=recipe.to_dict(),
            licence=joined(
                [train_set.licence, self.origin.get("licence", ""), teacher.card.licence if teacher is not None else ""]
            ),
            provenance={
                **provenance(),
                "training_frames": splits.fingerprint,
                **({"warm_start": self.origin} if self.origin else {}),
            },
        )
        self.validation = Validation(splits.val, self.model_card, engine, group) if splits.val is not None else None

    def start(self, weights: Mapping[str, Tensor] | None = None) -> None:
        """Set the initial weights and create the run folder.

        Args:
            weights: ``state_dict`` of another network to initialise from, as far as it fits; None: random weights.
        """
        if weights is not None:
            self.reporter.say(str(self.learner.warm_start(weights)))
        self.group.share_weights(self.learner.net)
        if self.group.main:
            self.files.create()
        self.save_state()

    def restore(self, snapshot: Snapshot) -> None:
        """Resume from a state written by ``save_state``."""
        self.learner.restore(snapshot.network, snapshot.optimizer, snapshot.average)
        self.position = snapshot.position
        if self.group.main:
            self.files.remove_stale()
            self.files.save_history(self.position.history)

    def fit(
        self, *, transform: Transform | None = None, checkpoint_seconds: float = 120.0, deadline: float | None = None
    ) -> Outcome:
        """Train to the last epoch, or until a stop is requested; the current step is always finished.

        SIGINT, SIGTERM or SIGHUP to any of the processes requests a stop, and so does the deadline.

        Args:
            transform: ``f(image=, mask=)``, applied to whole frames first.
            checkpoint_seconds: seconds between saves of the state within an epoch.
            deadline: stop at this value of ``time.monotonic()``.
        """
        self.transform = transform
        recipe, position, group = self.recipe, self.position, self.group
        started = time.monotonic() - position.seconds
        saved = time.monotonic()
        self.reporter.begin(recipe, self.plan.steps, position, self.engine)
        with interrupts() as interrupted:

            def stop() -> bool:
                return interrupted() or (deadline is not None and time.monotonic() >= deadline)

            while position.epoch < recipe.epochs:
                for images, labels in self._batches(position.epoch, start=position.batch):
                    lr = self._learning_rate(position.step)
                    loss = self._step(images, labels, lr)
                    position.batch += 1
                    position.step += 1
                    position.loss_sum += loss
                    position.seconds = time.monotonic() - started
                    self.reporter.step(position, loss, lr)
                    stopping = group.any(stop())
                    if stopping or time.monotonic() - saved > checkpoint_seconds:
                        self.save_state()
                        saved = time.monotonic()
                    if stopping:
                        return self._stopped(interrupted())
                if not self._end_epoch(started, stop):
                    self.save_state()
                    return self._stopped(interrupted())
                saved = time.monotonic()
        self.reporter.end(position)
        return Outcome(self.files.path, True, position, self.report)

    def _stopped(self, interrupted: bool) -> Outcome:
        return Outcome(self.files.path, False, self.position, self.report, self.group.any(interrupted))

    def _batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        recipe, augment = self.recipe, self.recipe.augment
        view = augment.view(augment.crop_at(epoch, recipe.epochs), recipe.size)
        return batches(
            self.splits.train,
            self.plan,
            view,
            epoch=epoch,
            start=start,
            workers=loading_processes(recipe.engine, self.engine, self.group),
            pin_memory=self.engine.device == "cuda",
            transform=self.transform,
            augmentations=self.augmentations,
        )

    def _step(self, images: Tensor, labels: Tensor, lr: float) -> float:
        position = self.position
        try:
            return self.learner.step(images, labels, lr, position.step)
        except DivergedError as error:
            order = self.plan.order(position.epoch)[position.batch]
            frames = ", ".join(self.splits.train.pairs[i].name for i in order)
            raise AaffError(self._diverged(f"in step {position.step + 1}: {error}, on the frames {frames}")) from error

    def _learning_rate(self, step: int) -> float:
        options, steps = self.recipe.optim, self.plan.steps
        return options.lr * learning_rate_factor(step, self.recipe.epochs * steps, steps, options)

    def _end_epoch(self, started: float, stop: Callable[[], bool]) -> bool:
        """Score the epoch and write its files; False if a stop was requested first.

        The position advances only after scoring, so a resumed run scores the epoch again.
        """
        recipe, position, validation = self.recipe, self.position, self.validation
        weights, epoch = self.learner.kept_weights(), position.epoch + 1
        if not finite(self.learner.net.state_dict()):
            raise AaffError(self._diverged(f"in epoch {epoch}: a weight is no longer finite"))
        if recipe.bn_batches and epoch == recipe.epochs:
            weights = self._reestimated()
        row: dict[str, Any] = {
            "epoch": epoch,
            "step": position.step,
            "lr": self._learning_rate(position.step - 1),
            "loss": position.loss_sum / position.batch,
        }
        if validation is not None and (epoch % recipe.eval_every == 0 or epoch == recipe.epochs):
            report = validation.score(weights, progress=self.reporter.evaluated, stop=stop)
            if report is None:
                return False
            self.report = report
            row |= report.metrics.means()
            row["iou"] = dict(zip(report.labels.names, report.metrics.iou, strict=True))
        better = "miou" in row and (position.best is None or row["miou"] > position.best)
        position.epoch, position.batch, position.loss_sum = epoch, 0, 0.0
        position.best = row["miou"] if better else position.best
        position.seconds = time.monotonic() - started
        position.history.append(row | {"seconds": round(position.seconds, 1)})
        if self.group.main:
            self._write_epoch(weights, best=better or validation is None, scored="miou" in row)
        self.reporter.epoch(position, row)
        return True

    def _reestimated(self) -> dict[str, Tensor]:
        """The final weights with batch norm statistics recomputed on frames augmented as in training."""
        recipe = self.recipe
        options = {name: value for name, value in recipe.network_options().items() if name != "pretrained"}
        network = create_model(recipe.model, self.model_card.labels.num_classes, **options)
        source = self._batches(recipe.epochs)
        images = (batch[0] for batch in islice(source, recipe.bn_batches))
        return self.learner.reestimated(images, self.engine.prepare(network, self.group))

    def _write_epoch(self, weights: Mapping[str, Tensor], *, best: bool, scored: bool) -> None:
        """Write the files of a finished epoch; the state comes after the checkpoints, see ``RunFolder``."""
        recipe, epoch = self.recipe, self.position.epoch
        model_card = replace(self.model_card, epoch=epoch, score=self._score() if scored else None)
        self.files.save_checkpoint(weights, model_card, best=best)
        self.save_state()
        self.files.save_history(self.position.history)
        due = recipe.render_every and (epoch % recipe.render_every == 0 or epoch == recipe.epochs)
        if self.validation is not None and due:
            with self.files.picture(epoch) as path:
                self.validation.draw(path, weights)

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
        """Write the state for resuming; only the main process writes."""
        if not self.group.main:
            return
        learner = self.learner
        self.files.save_state(
            Snapshot(
                learner.net.state_dict(),
                learner.average.state_dict() if learner.average is not None else {},
                learner.optimizer.state_dict(),
                self.position,
                self.recipe.to_dict(),
                self.engine.to_dict(),
                self.splits.fingerprint,
                self.origin,
            )
        )

    def _diverged(self, what: str) -> str:
        kept = self.files.path / LAST
        rest = f"the last good checkpoint is {kept}" if kept.exists() else "no checkpoint has been written yet"
        return (
            f"training diverged {what}; {rest}; try a lower --optim.lr, a longer --optim.warmup or --optim.clip-norm 1"
        )
