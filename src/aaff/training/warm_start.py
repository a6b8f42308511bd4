"""Warm start: initialise a network from another checkpoint as far as it fits, and report what was loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from aaff.errors import ModelError, nearest
from aaff.networks.weights import read_checkpoint
from aaff.provenance import file_hash
from aaff.published import find_published, list_published


def find_checkpoint(name: str) -> Path:
    """Find a checkpoint by path or name: a file, a run folder (best, else last checkpoint) or a published name.

    Raises:
        ModelError: there is no such checkpoint; the message suggests the nearest published name.

    >>> find_checkpoint("no/such/file")
    Traceback (most recent call last):
    aaff.errors.ModelError: there is no checkpoint no/such/file; name a .safetensors file, the folder of a run or ...
    """
    path = Path(name)
    if path.is_dir():
        for file in ("best.safetensors", "last.safetensors"):
            if (path / file).is_file():
                return path / file
        raise ModelError(f"the folder {path} has no checkpoint: neither best.safetensors nor last.safetensors")
    if path.suffix == ".onnx":
        raise ModelError(f"{path} is an exported file, which cannot be trained; name the checkpoint it came from")
    found = path if path.is_file() else find_published(name)
    if found is None:
        close = nearest(name, list_published())
        known = f"; did you mean {close!r}?" if close else ""
        raise ModelError(
            f"there is no checkpoint {name}; name a .safetensors file, the folder of a run or published weights{known}"
        )
    return found


@dataclass(frozen=True)
class StartingPoint:
    """A checkpoint to initialise from.

    Attributes:
        weights: its ``state_dict``.
        origin: its entry in the new model card, JSON-ready: ``checkpoint`` (SHA-256), ``network``, ``licence``,
            ``training_frames`` (fingerprint) and, if it was itself initialised from a checkpoint, ``warm_start``.
    """

    weights: Mapping[str, Tensor]
    origin: dict[str, Any]

    @classmethod
    def read(cls, name: str) -> StartingPoint:
        """Read a checkpoint by path or name, see ``find_checkpoint``.

        Raises:
            ModelError: there is no such checkpoint, or it cannot be read.
        """
        path = find_checkpoint(name)
        weights, card = read_checkpoint(path)
        origin = {"checkpoint": file_hash(path), "network": card.network, "licence": card.licence}
        inherited = ("training_frames", "warm_start")
        return cls(weights, origin | {key: card.provenance[key] for key in inherited if key in card.provenance})


@dataclass(frozen=True)
class WarmStartReport:
    """The result of a warm start.

    Attributes:
        loaded: names of the tensors copied from the checkpoint.
        fresh: names of the tensors that keep their initial values, with the reason.
        unused: names of tensors in the checkpoint that the network does not have.
    """

    loaded: tuple[str, ...]
    fresh: dict[str, str]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        """A summary in one line."""
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
    """Copy into ``net`` every tensor of ``state`` whose name and shape match.

    A checkpoint with other classes thus provides everything except the last convolution of the logits.

    Args:
        net: the network, changed in place; device, data type and memory format are kept.
        state: ``state_dict`` of the other network.
        exclude: prefixes of names that keep their initial values, such as ``"tail.classify"`` if the classes differ
            but are equal in number.

    Raises:
        ModelError: no trainable parameter matches; the network is unchanged.

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
        raise ModelError(f"no parameter of the checkpoint fits the network{reason}; is it from another architecture?")
    for name in loaded:
        own[name].copy_(state[name])
    return WarmStartReport(tuple(loaded), fresh, tuple(name for name in state if name not in own))
