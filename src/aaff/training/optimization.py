"""Optimiser, learning-rate schedule and exponential moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from aaff.errors import ModelError, OptionError
from aaff.training.options import OptimOptions

BACKBONE = "backbone."
"""Prefix of the names of a network's backbone parameters."""


def parameter_groups(net: nn.Module, options: OptimOptions) -> list[dict[str, Any]]:
    """The trainable parameters, grouped by weight decay and learning-rate factor.

    Normalisation layers and biases (parameters with at most one dimension) have no weight decay unless
    ``decay_norm_bias`` is set; parameters under ``backbone.`` have the factor ``backbone_lr_factor``.

    Returns:
        Groups for a torch optimiser with ``params``, ``weight_decay`` and ``lr_factor``; none is empty.

    Raises:
        OptionError: a factor for the backbone is given, but no parameter has this prefix.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    found = False
    for name, parameter in net.named_parameters():
        if not parameter.requires_grad:
            continue
        decays = options.decay_norm_bias or parameter.ndim > 1
        inside = name.startswith(BACKBONE)
        found |= inside
        key = (options.weight_decay if decays else 0.0, options.backbone_lr_factor if inside else 1.0)
        groups.setdefault(key, []).append(parameter)
    if options.backbone_lr_factor != 1 and not found:
        raise OptionError(
            f"optim.backbone_lr_factor is {options.backbone_lr_factor:g}, but the network has no trainable"
            ' parameters under "backbone."; leave it at 1'
        )
    return [{"params": p, "weight_decay": decay, "lr_factor": factor} for (decay, factor), p in groups.items()]


def make_optimizer(net: nn.Module, options: OptimOptions) -> torch.optim.Optimizer:
    """The optimiser of a network that is already on its device and in its memory format.

    torch's fused kernels are used on CPU and GPU; on a CPU, fused AdamW takes a third of the time of the next
    best implementation.  They traverse parameter, gradient and state in memory order and ignore strides, so a
    channels-last weight with a contiguous gradient or (resumed) state is silently updated with wrong values (torch
    2.13).  So both are converted to the parameter's memory layout here, before every step and after every load.

    Raises:
        OptionError: a factor for the backbone is given, but the network has none.
    """
    groups = parameter_groups(net, options)
    fused = all(p.device.type in ("cpu", "cuda") for group in groups for p in group["params"])
    optimizer: torch.optim.Optimizer
    if options.optimizer == "adamw":
        optimizer = torch.optim.AdamW(groups, lr=options.lr, betas=options.betas, fused=fused or None)
    else:
        optimizer = torch.optim.SGD(groups, lr=options.lr, momentum=options.momentum, fused=fused or None)
    optimizer.register_step_pre_hook(lambda o, *_: _align_gradients(o))
    optimizer.register_load_state_dict_post_hook(_align_state)
    set_learning_rate(optimizer, options.lr)
    return optimizer


def _parameters(optimizer: torch.optim.Optimizer) -> Iterator[nn.Parameter]:
    for group in optimizer.param_groups:
        yield from group["params"]


def _laid_out_like(tensor: Tensor, parameter: Tensor) -> Tensor:
    return torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)


@torch.no_grad()
def _align_gradients(optimizer: torch.optim.Optimizer) -> None:
    for parameter in _parameters(optimizer):
        if parameter.grad is not None and parameter.grad.stride() != parameter.stride():
            parameter.grad = _laid_out_like(parameter.grad, parameter)


@torch.no_grad()
def _align_state(optimizer: torch.optim.Optimizer) -> None:
    for parameter in _parameters(optimizer):
        state = optimizer.state.get(parameter, {})
        for key, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                state[key] = _laid_out_like(value, parameter)


def learning_rate_factor(step: int, total: int, per_epoch: int, options: OptimOptions) -> float:
    """The learning rate of a step, relative to ``options.lr``.

    With W = ``warmup`` · ``per_epoch`` steps of warm-up, at most half of ``total``, the factor is
    (step + 1) / (W + 1) up to step W, where it is 1.  Afterwards, where x is the progress from W to ``total`` in [0, 1]
    and m = ``min_lr / lr``, it is:

    - ``"poly"``: m + (1 − m) (1 − x)^power (Chen et al., arXiv:1606.00915, section 4.1.1, with m = 0);
    - ``"cosine"``: m + (1 − m) (1 + cos πx) / 2 (Loshchilov and Hutter, arXiv:1608.03983, equation 5);
    - ``"constant"``: 1.

    Args:
        step: number of optimiser steps done so far; from ``total`` on, the factor is that of the end of the schedule.
        total: number of optimiser steps of the whole training.
        per_epoch: number of optimiser steps per epoch.
        options: warm-up and schedule.

    >>> options = OptimOptions(warmup=1, schedule="cosine")
    >>> [round(learning_rate_factor(step, 30, 10, options), 3) for step in (0, 4, 10, 20, 30)]
    [0.091, 0.455, 1.0, 0.5, 0.0]
    """
    warm = min(options.warmup * per_epoch, total / 2)
    if step < warm:
        return (step + 1) / (warm + 1)
    if options.schedule == "constant":
        return 1.0
    along = min((step - warm) / max(total - warm, 1), 1.0)
    fall = (1 - along) ** options.power if options.schedule == "poly" else (1 + math.cos(math.pi * along)) / 2
    least = options.min_lr / options.lr
    return least + (1 - least) * fall


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of every group to ``lr`` times its factor."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_factor"]


class WeightAverage:
    """Exponential moving average of a network's weights, in float32.

    Parameters and floating-point buffers (batch norm statistics) are averaged; counters are copied.  The decay warms up
    as min(decay, (1 + step) / (10 + step)), so that the initial weights are soon forgotten (as in TensorFlow's
    ``ExponentialMovingAverage``).

    Args:
        net: the network; its current weights initialise the average.
        decay: in [0, 1), such as 0.999.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay = decay
        self._average = {name: _copy(value) for name, value in net.state_dict().items()}

    @torch.no_grad()
    def update(self, net: nn.Module, step: int) -> None:
        """Update the average with the weights after optimiser step number ``step``, counted from 0."""
        decay = min(self.decay, (1 + step) / (10 + step))
        state = net.state_dict()
        averaged, current = [], []
        for name, value in self._average.items():
            if value.is_floating_point():
                averaged.append(value)
                current.append(state[name].to(value.dtype))
            else:
                value.copy_(state[name])
        torch._foreach_lerp_(averaged, current, 1 - decay)

    def state_dict(self) -> dict[str, Tensor]:
        """The average under the names of ``net.state_dict()``; the tensors are not copied."""
        return dict(self._average)

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore an average from its ``state_dict``.

        Raises:
            ModelError: names or shapes differ from those of the network; nothing is changed in that case.
        """
        wrong = sorted(self._average.keys() ^ state.keys()) or [
            name for name, value in self._average.items() if value.shape != state[name].shape
        ]
        if wrong:
            raise ModelError(
                f"the averaged weights do not fit the network, first at {wrong[0]}; are they from another network?"
            )
        for name, value in self._average.items():
            value.copy_(state[name])


def _copy(value: Tensor) -> Tensor:
    if value.is_floating_point():
        return value.detach().to(torch.float32, copy=True)
    return value.detach().clone()
