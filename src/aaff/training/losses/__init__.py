"""The registry of losses other than the cross-entropy, which a decorator adds to.

A loss is a function ``name(logits, target) -> scalar`` of float32 logits [N, C, H, W], resized to the size of the
label, and the label uint8 [N, H, W] with 255 for ignored pixels, which must not count.  A recipe enables it with a
weight: ``loss: {terms: [name=0.5]}``.  ``dice`` and ``lovasz`` have their own keys.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TypeVar

from torch import Tensor

from aaff.plugins import Registry

Loss = Callable[[Tensor, Tensor], Tensor]
_LossT = TypeVar("_LossT", bound=Loss)

_LOSSES: Registry[Loss] = Registry("loss", "aaff.losses")


def register_loss(function: _LossT) -> _LossT:
    """Register the decorated function under its own name.

    >>> @register_loss
    ... def brightness(logits: Tensor, target: Tensor) -> Tensor:
    ...     return logits.mean()
    >>> "brightness" in list_losses()
    True
    """
    _LOSSES.add(function.__name__, function)
    return function


def list_losses() -> list[str]:
    """Names of the registered losses, including those of plug-ins."""
    return sorted(_LOSSES.names())


def find_loss(name: str) -> Loss:
    """Find a loss by name.

    Raises:
        UnknownNameError: there is no such loss; the message suggests the nearest name.
    """
    return _LOSSES.find(name)


for _name in ("dice", "lovasz"):  # one file each; they import register_loss from here
    import_module(f"{__name__}.{_name}")
