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
    """Names of the registered losses, those of plug-ins included."""
    return sorted(_LOSSES.names())


def find_loss(name: str) -> Loss:
    """The loss of a name.

    Raises:
        UnknownNameError: there is none; the nearest name is given.
    """
    return _LOSSES.find(name)


for _name in ("dice", "lovasz"):  # one file each; they import register_loss from here
    import_module(f"{__name__}.{_name}")
