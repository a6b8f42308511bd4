"""Convert weights trained by another project to the state of a network here: read, rename and compare them.

No code in a file is executed: ``.pth`` files are read with torch's restricted unpickler (``weights_only``), which only
accepts tensors and plain containers.
"""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from aaff.errors import ModelError, brief, shown
from aaff.networks.layouts import Layout, find_layouts
from aaff.networks.registry import create_model, list_models
from aaff.networks.weights import TRAINING_OPTIONS

NESTED = ("state_dict", "model", "model_state", "model_state_dict")
"""Keys under which training scripts put the weights."""

PREFIXES = ("module.", "model.", "backbone.")
"""Prefixes that wrappers add to the names of weights."""

_DEEPEST = 3
"""Maximum number of prefixes or nested mappings around the weights."""

_COUNTER = ".num_batches_tracked"
"""The batch counter of batch norm in newer versions of torch, which is not used here."""

_AUXILIARY = "auxiliary."

_NAMED = 5
"""How many names a message lists."""


@dataclass(frozen=True)
class Report:
    """How well the weights in a file match a network.

    Attributes:
        layout: the best matching layout.
        prefix: prefix of the names in the file, such as ``"module."``.
        matched: names in the network that were found with the right shape.
        missing: names in the network that were not found.
        unexpected: names in the file that match nothing in the network.
        different: names with differing shapes: name in the network, shape in the file, shape in the network.
        ignored: names in the file that inference does not need.
    """

    layout: Layout
    prefix: str
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    different: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    ignored: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every weight that the network needs was found."""
        return not self.missing and not self.different

    @property
    def share(self) -> float:
        """Share of the network's weights that was found, in [0, 1]."""
        return len(self.matched) / (len(self.matched) + len(self.missing) + len(self.different))


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of another project's checkpoint by their names there, float32 on the CPU.

    Args:
        path: a ``.safetensors`` file, or one written by ``torch.save``, possibly nested under a key in ``NESTED``.

    Raises:
        ModelError: there is no such file, it contains anything but tensors and plain values, it has no weights, or
            weights are NaN or infinite.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise ModelError(f"there is no file {path}")
    content = _read_safetensors(path) if path.suffix.lower() == ".safetensors" else _read_pickle(path)
    for _ in range(_DEEPEST):
        inner = next((content[key] for key in NESTED if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    state = {name: tensor for name, tensor in content.items() if isinstance(name, str) and isinstance(tensor, Tensor)}
    if not state:
        keys = ", ".join(shown(key) for key in list(content)[:_NAMED]) or "nothing"
        raise ModelError(f"{path} holds no weights by name; it holds {keys}")
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelError(f"{path} cannot be used: the weight {shown(name)} has NaN or infinite values")
    return {name: t.float() if t.is_floating_point() else t for name, t in state.items()}


def _read_safetensors(path: Path) -> Mapping[Any, Any]:
    try:
        tensors: Mapping[Any, Any] = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path} is not a complete .safetensors file ({brief(error)})") from error
    return tensors


def _read_pickle(path: Path) -> Mapping[Any, Any]:
    if path.suffix.lower() == ".pdparams":
        raise ModelError(
            f"{path} is a pickle of Paddle, which cannot be read without executing code in it; where Paddle is "
            "installed, convert it to safetensors: safetensors.numpy.save_file({k: v.numpy() for k, v in "
            "paddle.load(FILE).items()}, 'weights.safetensors'), then run aaff convert on that file"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about the version of the pickle do not matter here
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} holds more than tensors, and reading the rest could run any code; save only the weights in the "
            f"original project: torch.save(net.state_dict(), FILE) ({brief(_first_line(error))})"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        raise ModelError(f"{path} is not a file of weights ({brief(_first_line(error))})") from error
    if not isinstance(content, Mapping):
        raise ModelError(f"{path} holds {shown(type(content).__name__)}, not weights by name")
    return content


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def fit(
    theirs: Mapping[str, Tensor], network: str, num_classes: int, options: Mapping[str, Any] | None = None
) -> tuple[dict[str, Tensor], Report]:
    """Rename another project's weights to the names here, with the best matching layout and prefix.

    Args:
        theirs: tensors by their names in the other project.
        network: name of the registered network.
        num_classes: number of classes of the weights.
        options: options of the network, in addition to those of the layout.

    Returns:
        The state with the weights that were found, and the report; use the state only if ``report.complete``.

    Raises:
        UnknownNameError: there is no such network or option.
    """
    found: list[tuple[dict[str, Tensor], Report]] = []
    for layout in find_layouts(network):
        own = _own_shapes(layout, num_classes, options or {})
        found += [_match(theirs, prefix, layout, own) for prefix in _prefixes(theirs)]
    return max(found, key=lambda pair: (len(pair[1].matched), -len(pair[1].unexpected)))


def fitting_networks(theirs: Mapping[str, Tensor], num_classes: int) -> list[tuple[str, float]]:
    """The best matching networks with the share of weights that would be found; best first, at most three."""
    shares = [(name, fit(theirs, name, num_classes)[1].share) for name in list_models()]
    return sorted(((name, share) for name, share in shares if share), key=lambda pair: -pair[1])[:3]


def network_options(layout: Layout, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options that a network needs for the weights of a layout; ``options`` override those of the layout."""
    return {k: v for k, v in {**layout.options, **options}.items() if k not in TRAINING_OPTIONS}


def explain(report: Report, where: str, num_classes: int, theirs: Mapping[str, Tensor]) -> str:
    """A sentence that says why a file does not match, and which networks it would match."""
    network = report.layout.network
    if report.different and not report.missing:
        name, there, here = report.different[0]
        return (
            f"{where} has {shown(name)} of shape {list(there)}, but {network} with {num_classes} classes needs "
            f"{list(here)}; choose the --labels or --options that it was trained with"
        )
    strange = ", ".join(shown(name) for name in report.unexpected[:_NAMED])
    lacking = ", ".join(shown(name) for name in report.missing[:_NAMED])
    better = [f"{name} ({100 * share:.0f} %)" for name, share in fitting_networks(theirs, num_classes)]
    return (
        f"{where} does not fit {network}: "
        + (f"{strange} fit nothing in it" if strange else f"{lacking} are missing")
        + (f"; it would fit best: {', '.join(better)}" if better else "; it fits no network here")
    )


def _own_shapes(layout: Layout, num_classes: int, options: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):  # only shapes
        net = create_model(layout.network, num_classes, **network_options(layout, options))
    return {name: tuple(t.shape) for name, t in net.state_dict().items() if not name.startswith(_AUXILIARY)}


def _prefixes(theirs: Mapping[str, Tensor]) -> set[str]:
    found = {""}
    for _ in range(_DEEPEST):
        longer = {known + prefix for known in found for prefix in PREFIXES}
        found |= {prefix for prefix in longer if any(name.startswith(prefix) for name in theirs)}
    return found


def _match(
    theirs: Mapping[str, Tensor], prefix: str, layout: Layout, own: Mapping[str, tuple[int, ...]]
) -> tuple[dict[str, Tensor], Report]:
    state: dict[str, Tensor] = {}
    biases: list[tuple[str, Tensor]] = []
    unexpected, ignored, different = [], [], []
    for full, tensor in theirs.items():
        name = full.removeprefix(prefix)
        here = layout.rename(name)
        norm = layout.norm_behind(name)
        if norm is not None:
            biases.append((f"{norm}.running_mean", tensor))
        elif layout.ignores(name) or (name.endswith(_COUNTER) and here not in own):
            ignored.append(full)
        elif here not in own or here in state:
            unexpected.append(full)
        elif tuple(tensor.shape) != own[here]:
            different.append((here, tuple(tensor.shape), own[here]))
        else:
            state[here] = layout.value(name, tensor)
    for name, bias in biases:  # norm(x + b) with mean m is norm(x) with mean m − b
        if name in state and state[name].shape == bias.shape:
            state[name] = state[name] - bias
    wrong = {name for name, _, _ in different}
    for name in own:
        if name.endswith(_COUNTER):
            state.setdefault(name, torch.tensor(0))
    missing = [name for name in own if name not in state and name not in wrong]
    matched = [name for name in own if name in state and not name.endswith(_COUNTER)]
    return state, Report(
        layout, prefix, tuple(matched), tuple(missing), tuple(unexpected), tuple(different), tuple(ignored)
    )
