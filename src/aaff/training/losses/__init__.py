"""Losses beside the cross-entropy: a decorated function is the registration.

A loss is ``name(logits, target) -> scalar``: float32 logits [N, C, H, W] enlarged to the size of the label, and the
label uint8 [N, H, W] with 255 for ignored pixels, which must not count.  A recipe switches it on by its weight:
``loss: {terms: [name=0.5]}``.  ``dice`` and ``lovasz`` have keys of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TypeVar

from torch import Tensor

from aaff.errors import UnknownNameError
from aaff.plugins import load_plugins

Loss = Callable[[Tensor, Tensor], Tensor]
_LossT = TypeVar("_LossT", bound=Loss)

_LOSSES: dict[str, Loss] = {}


def register_loss(function: _LossT) -> _LossT:
    """Register the decorated function under its own name.

    >>> @register_loss
    ... def brightness(logits: Tensor, target: Tensor) -> Tensor:
    ...     return logits.mean()
    >>> "brightness" in list_losses()
    True
    """
    name = function.__name__
    if name in _LOSSES:
        raise ValueError(f"a loss named {name!r} is registered already")
    _LOSSES[name] = function
    return function


def list_losses() -> list[str]:
    """Names of the registered losses, those of plug-ins included."""
    load_plugins("aaff.losses")
    return sorted(_LOSSES)


def find_loss(name: str) -> Loss:
    """The loss of a name.

    Raises:
        UnknownNameError: there is none; the nearest name is given.
    """
    if name not in _LOSSES:
        load_plugins("aaff.losses")
    if name not in _LOSSES:
        raise UnknownNameError("loss", name, _LOSSES)
    return _LOSSES[name]


for _name in ("dice", "lovasz"):  # one file each; they import register_loss from here
    import_module(f"{__name__}.{_name}")
