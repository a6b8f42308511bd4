"""What the training benchmark compares: a plain PyTorch loop, and this package's engine with each measure in or out.

Both learn by the same recipe from the same batches; a stopwatch tells where the time of a step goes.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

from aaff.data.cache import CachedDataset
from aaff.data.layouts import open_dataset
from aaff.data.loader import Batch, BatchPlan, batches
from aaff.data.sample import Dataset
from aaff.errors import OptionError
from aaff.labels import IGNORE
from aaff.networks import SegmentationNetwork, create_model
from aaff.preprocess import Normalization, Size
from aaff.training.allocator import keep_freed_memory
from aaff.training.distributed import Group
from aaff.training.engine import loading_processes, resolve
from aaff.training.kernels.strided import StridedDepthwiseConv2d
from aaff.training.learner import Learner
from aaff.training.objective import LossParts, Objective, class_weights
from aaff.training.optimization import parameter_groups
from aaff.training.preparation import class_counts
from aaff.training.recipe import Recipe

PHASES = ("data", "forward", "loss", "backward", "optimizer")

Measure = Literal[
    "bf16",
    "fp32",
    "channels-last",
    "native-logits loss",
    "kept memory",
    "fused optimizer",
    "cache",
    "winograd",
    "strided",
]
"""What makes the engine fast, by the name under which it can be switched off; without one precision it takes the
other."""


@dataclass(frozen=True)
class Spec:
    """One thing to measure; small, so that it can be sent to a process of its own.

    Attributes:
        data: folder of the data set.
        recipe: network, size of the views, batch, engine.
        steps: of one spell.
        plain: the plain PyTorch loop in place of the engine.
        workers: processes that decode for the plain loop; all loops see as many frames as it needs then.
        resident: one batch again and again, without work on data.
        without: a measure of the engine that is switched off.
    """

    data: Path
    recipe: Recipe
    steps: int
    plain: bool = False
    workers: int = 0
    resident: bool = False
    without: Measure | None = None

    def dataset(self) -> Dataset:
        """As many training frames as a spell needs, and some for those that load ahead of its end.

        Raises:
            AaffError: the data set cannot be opened, or the batch is larger than it.
        """
        dataset = open_dataset(self.data, self.recipe.train_split, protocol=self.recipe.protocol)
        needed = (self.steps + 1 + 2 * self.workers) * self.recipe.batch
        self.plan(len(dataset))
        return replace(dataset, pairs=dataset.pairs[:needed])

    def plan(self, frames: int) -> BatchPlan:
        """Which frames make up which batch."""
        return BatchPlan(frames, self.recipe.batch, self.recipe.seed, parts=self.recipe.engine.accumulate)


class Stopwatch:
    """Seconds by phase; on a GPU it waits at every change of phase for what is under way."""

    def __init__(self, device: str) -> None:
        self.wait = torch.cuda.synchronize if device == "cuda" else None
        self.seconds = dict.fromkeys(PHASES, 0.0)

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        if self.wait is not None:
            self.wait()
        self.seconds[phase] += time.perf_counter() - began

    def restart(self) -> None:
        """Forget what was measured."""
        self.seconds = dict.fromkeys(PHASES, 0.0)


class PlainLoop:
    """What one writes who follows PyTorch's tutorials: float32, contiguous, no cache, the loss at full size.

    It is fair: the same augmentation by OpenCV, processes that decode ahead, the same weights to begin with,
    the same objective and optimiser.
    """

    def __init__(self, spec: Spec) -> None:
        recipe = spec.recipe
        engine = resolve(recipe.engine)
        self.device, self.precision, self.threads = engine.device, "fp32", engine.threads
        self.watch = Stopwatch(self.device)
        self.normalization = (Normalization().mean, Normalization().std)
        torch.set_num_threads(engine.threads)
        self.dataset, self.spec, self.workers = spec.dataset(), spec, spec.workers
        classes = self.dataset.labels.num_classes
        torch.manual_seed(recipe.seed)
        self.net = create_model(recipe.model, classes, **recipe.network_options()).to(self.device)
        weights = class_weights(recipe.loss.class_weights, class_counts(self.dataset))
        self.weights = None if weights is None else weights.to(self.device)
        optim = recipe.optim
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=optim.lr, betas=optim.betas, weight_decay=optim.weight_decay
        )

    def step(self, images: Tensor, labels: Tensor) -> float:
        """One step on images uint8 [n, H, W, 3] and labels uint8 [n, H, W]."""
        with self.watch("data"):
            x = images.to(self.device).permute(0, 3, 1, 2).float().contiguous()
            mean, std = (torch.tensor(values, device=self.device).view(1, 3, 1, 1) for values in self.normalization)
            x, labels = (x - mean) / std, labels.to(self.device).long()
        self.net.train()
        self.optimizer.zero_grad()
        with self.watch("forward"):
            logits, auxiliary = self.net.logits_with_auxiliary(x)
        with self.watch("loss"):
            heads = [logits, *auxiliary.values()]
            loss = torch.stack([full_size_loss(head, labels, self.weights) for head in heads]).sum()
        with self.watch("backward"):
            loss.backward()  # type: ignore[no-untyped-call]
        with self.watch("optimizer"):
            self.optimizer.step()
        return loss.item()


def full_size_loss(logits: Tensor, labels: Tensor, weights: Tensor | None, reduction: str = "mean") -> Tensor:
    """Cross-entropy of logits [N, C, h, w] enlarged by PyTorch's own operations to labels int64 [N, H, W]."""
    large = F.interpolate(logits, labels.shape[1:], mode="bilinear", align_corners=False)
    return F.cross_entropy(large, labels, weights, ignore_index=IGNORE, reduction=reduction)


class EngineLoop:
    """The step of ``aaff train``, with one of its measures switched off where asked.

    The times of its phases are those that the step names for a profiler (``torch.profiler.record_function``).
    """

    def __init__(self, spec: Spec) -> None:
        recipe = spec.recipe
        if spec.without == "bf16":
            recipe = replace(recipe, engine=replace(recipe.engine, precision="fp32"))
        if spec.without == "fp32":
            recipe = replace(recipe, engine=replace(recipe.engine, precision="bf16"))
        engine = resolve(recipe.engine)
        if spec.without == "winograd":
            engine = replace(engine, precision="fp32", winograd=False)
        if engine.device == "cpu" and spec.without != "kept memory":
            keep_freed_memory()
        self.watch, self.spec = Stopwatch(engine.device), spec
        self.device, self.precision, self.threads = engine.device, engine.precision, engine.threads
        dataset = spec.dataset()
        self.dataset = CachedDataset(dataset) if recipe.engine.cache and spec.without != "cache" else dataset
        self.workers = loading_processes(recipe.engine, engine, Group())
        counts = class_counts(self.dataset)
        self.learner = learner = Learner(recipe, dataset.labels.num_classes, counts, engine, Group())
        if spec.without == "strided":
            for module in learner.net.modules():
                if type(module) is StridedDepthwiseConv2d:
                    module.__class__ = torch.nn.Conv2d  # type: ignore[assignment]
        if spec.without == "channels-last":
            contiguous(learner.net)
        if spec.without == "fused optimizer":
            learner.optimizer = torch.optim.AdamW(parameter_groups(learner.net, recipe.optim), betas=recipe.optim.betas)
        if spec.without == "native-logits loss":
            learner.objective = FullSizeObjective(recipe.loss, learner.num_classes, learner.objective.weights)
        self._lr, self._number = recipe.optim.lr, 0

    def step(self, images: Tensor, labels: Tensor) -> float:
        """One step on images uint8 [n, H, W, 3] and labels uint8 [n, H, W]."""
        self._number += 1
        with patch("aaff.training.learner.record_function", self.watch):
            return self.learner.step(images, labels, self._lr, self._number)


def contiguous(net: SegmentationNetwork) -> None:
    """Let a network compute in PyTorch's default memory format."""
    net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    logits = net.logits_with_auxiliary
    net.logits_with_auxiliary = lambda x: logits(x.contiguous())  # type: ignore[method-assign]


class FullSizeObjective(Objective):
    """The cross-entropy of logits that PyTorch's own operations enlarge."""

    def __call__(
        self, logits: Tensor, auxiliary: Mapping[str, Tensor], target: Tensor, teacher: Tensor | None = None
    ) -> LossParts:
        heads = [logits, *auxiliary.values()]
        total = torch.stack([full_size_loss(h.float(), target.long(), self.weights, "sum") for h in heads]).sum()
        return LossParts(total, self.normalizer(target), {})


class Spells:
    """A loop that is timed in spells; spell number n sees the same batches in every loop.

    Args:
        spec: what to measure.

    Raises:
        AaffError: data or recipe cannot be used.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.loop = PlainLoop(spec) if spec.plain else EngineLoop(spec)
        self.kept = next(self._batches(0)) if spec.resident else None

    def _batches(self, number: int) -> Generator[Batch]:
        augment, loop = self.spec.recipe.augment, self.loop
        view = augment.view(augment.crop)
        for epoch in itertools.count(1000 * number):
            yield from batches(
                loop.dataset,
                self.spec.plan(len(loop.dataset)),
                view,
                epoch=epoch,
                workers=loop.workers,
                pin_memory=loop.device == "cuda",
            )

    def spell(self, number: int) -> dict[str, float]:
        """One step to warm up, then those that count: seconds a step, in all and by phase, and the last loss."""
        loop, steps = self.loop, self.spec.steps
        source: Iterator[Batch] = self._batches(number) if self.kept is None else itertools.repeat(self.kept)
        loop.step(*next(source))
        loop.watch.restart()
        began = time.perf_counter()
        for _ in range(steps):
            with loop.watch("data"):
                batch = next(source)
            loss = loop.step(*batch)
        seconds = time.perf_counter() - began
        if isinstance(source, Generator):
            source.close()  # ends the processes that load ahead
        return {"step": seconds / steps, "loss": loss} | {k: v / steps for k, v in loop.watch.seconds.items()}


def refuse(recipe: Recipe, steps: int, rounds: int, workers: int | None) -> None:
    """Refuse what cannot be measured.

    Raises:
        OptionError: with what to change.
    """
    if steps < 1 or rounds < 1:
        raise OptionError(f"--steps is {steps} and --rounds {rounds}; both must be at least 1")
    if workers is not None and workers < 0:
        raise OptionError(f"--workers is {workers}; it must be 0 or more")
    if recipe.batch < 2:
        raise OptionError(f"--batch is {recipe.batch}; batch norm after global pooling needs 2 frames or more")


def recipe_for(model: str, options: tuple[str, ...], size: Size, batch: int, threads: int) -> Recipe:
    """The default recipe with views of one size."""
    plain = Recipe(model=model, options=options, batch=batch)
    return replace(plain, augment=replace(plain.augment, crop=size), engine=replace(plain.engine, threads=threads))
