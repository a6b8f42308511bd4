"""One optimisation step, and the state that it changes: network, optimiser, averaged weights.

In a profile (``torch.profiler``), the phases of a step are named forward, loss, backward and optimizer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.profiler import record_function

from aaff.networks import SegmentationNetwork, create_model
from aaff.preprocess import Normalization
from aaff.training.distributed import Group
from aaff.training.engine import TrainingEngine
from aaff.training.objective import Objective, class_weights, weighted_mean
from aaff.training.optimization import WeightAverage, make_optimizer, set_learning_rate
from aaff.training.recipe import Recipe
from aaff.training.warm_start import WarmStartReport, warm_start

_STATISTICS = ("running_mean", "running_var")


class DivergedError(Exception):
    """Loss or gradient is not finite; the weights are not changed by the step."""


class Learner:
    """A network with its loss and optimiser, trained step by step.

    Args:
        recipe: network, loss and optimiser.
        num_classes: number of classes C.
        counts: labelled pixels of each class in each training image, integers [images, C].
        engine: device, precision and kernels.
        group: the processes that share each batch.
        teacher: function from uint8 frames [n, H, W, 3] to native logits, for distillation; None: no distillation.

    Raises:
        AaffError: the network or the loss cannot be built with these options.
    """

    def __init__(
        self,
        recipe: Recipe,
        num_classes: int,
        counts: npt.NDArray[np.int64],
        engine: TrainingEngine,
        group: Group,
        teacher: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.teacher = teacher
        self.engine, self.group, self.num_classes = engine, group, num_classes
        self.parts, self.clip_norm, self.decay = recipe.engine.accumulate, recipe.optim.clip_norm, recipe.optim.ema
        self.normalization, self.seed = Normalization(), recipe.seed
        torch.manual_seed(recipe.seed)
        self.net = engine.prepare(create_model(recipe.model, num_classes, **recipe.network_options()), group)
        weights = class_weights(
            recipe.loss.class_weights, counts, recipe.loss.enet_constant, recipe.loss.class_weights_power
        )
        self.objective = Objective(
            recipe.loss,
            num_classes,
            None if weights is None else weights.to(engine.device),
            self.net.auxiliary_losses,
        )
        self.objective.auxiliary_weights(list(self.net.auxiliary))  # refused here, before anything is written
        self.optimizer = make_optimizer(self.net, recipe.optim)
        self.average = WeightAverage(self.net, self.decay) if self.decay else None

    def step(self, images: Tensor, labels: Tensor, lr: float, number: int) -> float:
        """One optimiser step on this process's share of a batch.

        Args:
            images: uint8 [n, H, W, 3], RGB.
            labels: uint8 [n, H, W].
            lr: learning rate.
            number: number of steps before this one.

        Returns:
            The loss of the whole batch, over all processes.

        Raises:
            DivergedError: loss or gradient is not finite.
            DataError: a label id is not a class.
        """
        net = self.net.train()
        self._seed(number)
        labels = labels.to(self.engine.device, non_blocking=True)
        normalizer = self.group.sum(self.objective.normalizer(labels))
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.engine.device)
        for frames, ground_truth in zip(images.chunk(self.parts), labels.chunk(self.parts), strict=True):
            with record_function("forward"), self.engine.autocast():
                logits, auxiliary = net.logits_with_auxiliary(self.engine.normalize(frames, self.normalization))
            with record_function("loss"):
                teacher = self.teacher(frames) if self.teacher is not None else None
                loss = weighted_mean(self.objective(logits, auxiliary, ground_truth, teacher).sum, normalizer)
            with record_function("backward"):
                loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        self.group.sum_gradients(net)
        with record_function("optimizer"):
            norm = self._clip()
            value, length = torch.stack([self.group.sum(total), norm]).tolist()
            if not math.isfinite(value) or not math.isfinite(length):
                raise DivergedError(f"the loss is {value:.4g} and the norm of its gradient {length:.4g}")
            set_learning_rate(self.optimizer, lr)
            self.optimizer.step()
            if self.average is not None:
                self.average.update(net, number)
        return float(value)

    def _seed(self, number: int) -> None:
        """Let dropout in a step depend on nothing but the step and the process, so that a run can be resumed."""
        key = np.random.SeedSequence((self.seed, number, self.group.rank))
        torch.manual_seed(int(key.generate_state(1, np.uint64)[0]))

    def _clip(self) -> Tensor:
        """Clip the gradient if the recipe says so; returns its norm before clipping."""
        if self.clip_norm:
            return torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.clip_norm)
        return torch.nn.utils.get_total_norm([p.grad for p in self.net.parameters() if p.grad is not None])

    def warm_start(self, state: Mapping[str, Tensor]) -> WarmStartReport:
        """Initialise from the weights of another network, as far as they fit."""
        report = warm_start(self.net, state)
        if self.average is not None:
            self.average = WeightAverage(self.net, self.decay)
        return report

    def kept_weights(self) -> dict[str, Tensor]:
        """The weights to score and save: the averaged ones if the recipe uses averaging."""
        return self.average.state_dict() if self.average is not None else self.net.state_dict()

    def reestimated(self, images: Iterable[Tensor], network: SegmentationNetwork) -> dict[str, Tensor]:
        """``kept_weights`` with batch norm statistics recomputed as the mean over batches.

        Averaged statistics, which were measured with other weights, do not quite match averaged weights; passing a few
        batches through the averaged network yields the right ones.

        Args:
            images: batches of this process, uint8 [n, H, W, 3].
            network: another instance of the same network as ``net``; its weights are overwritten.
        """
        kept = self.kept_weights()
        network.load_state_dict(kept)
        network.train()
        self._seed(0)
        norms: list[nn.BatchNorm2d] = []
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d) and module.track_running_stats:
                module.reset_running_stats()
                norms.append(module)
        with torch.no_grad():
            for number, part in enumerate(part for frames in images for part in frames.chunk(self.parts)):
                for module in norms:
                    module.momentum = 1 / (number + 1)  # a plain mean over the batches
                with self.engine.autocast():
                    network.logits(self.engine.normalize(part, self.normalization))
        state = network.state_dict()
        return {
            name: state[name].detach().to(value.dtype) if name.rpartition(".")[2] in _STATISTICS else value
            for name, value in kept.items()
        }

    def restore(
        self, network: Mapping[str, Tensor], optimizer: Mapping[str, Any], average: Mapping[str, Tensor]
    ) -> None:
        """Resume from a saved state."""
        self.net.load_state_dict(dict(network))
        self.optimizer.load_state_dict(dict(optimizer))
        if self.average is not None:
            self.average.load_state_dict(dict(average))


def finite(state: Mapping[str, Tensor]) -> bool:
    """Whether no weight is NaN or infinite."""
    return all(bool(torch.isfinite(t).all()) for t in state.values() if t.is_floating_point())
