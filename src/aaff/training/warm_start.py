"""Begin from the weights of another network: take what fits, and say what was taken and what not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from aaff.errors import ModelError


@dataclass(frozen=True)
class WarmStartReport:
    """What a warm start did.

    Attributes:
        loaded: names that the network took from the checkpoint.
        fresh: names of the network that keep their own start, with the reason.
        unused: names of the checkpoint that the network does not have.
    """

    loaded: tuple[str, ...]
    fresh: dict[str, str]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        """One line to read."""
        total = len(self.loaded) + len(self.fresh)
        line = f"warm start: {len(self.loaded)} of {total} tensors loaded"
        if self.fresh:
            line += f"; new: {_some([f'{name} ({reason})' for name, reason in self.fresh.items()])}"
        if self.unused:
            line += f"; not used: {_some(self.unused)}"
        return line


def _some(names: Sequence[str], most: int = 4) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


@torch.no_grad()
def warm_start(net: nn.Module, state: Mapping[str, Tensor], exclude: Sequence[str] = ()) -> WarmStartReport:
    """Copy into ``net`` every tensor of ``state`` that has the name and shape of one of its own.

    A checkpoint with other classes so gives everything but the last convolution of its logits.

    Args:
        net: the network, changed in place; device, type and memory format stay.
        state: ``state_dict`` of the other network.
        exclude: beginnings of names that keep their fresh start, such as ``"tail.classify"`` when the
            classes are as many but others.

    Raises:
        ModelError: not one trained parameter fits; the network is unchanged then.

    >>> report = warm_start(nn.Linear(4, 2), {"weight": torch.zeros(2, 4), "bias": torch.zeros(3)})
    >>> print(report)
    warm start: 1 of 2 tensors loaded; new: bias (checkpoint [3], network [2])
    """
    own = net.state_dict()
    loaded, fresh = [], {}
    for name, value in own.items():
        if any(name.startswith(start) for start in exclude):
            fresh[name] = "excluded"
        elif name not in state:
            fresh[name] = "not in the checkpoint"
        elif state[name].shape != value.shape:
            fresh[name] = f"checkpoint {list(state[name].shape)}, network {list(value.shape)}"
        else:
            loaded.append(name)
    if not {name for name, _ in net.named_parameters()} & set(loaded):
        reason = f", first {next(iter(fresh))}: {next(iter(fresh.values()))}" if fresh else ""
        raise ModelError(f"no parameter of the checkpoint fits the network{reason}; is it another architecture's?")
    for name in loaded:
        own[name].copy_(state[name])
    return WarmStartReport(tuple(loaded), fresh, tuple(name for name in state if name not in own))
