"""The registry of augmentations, which a decorator adds to.

An augmentation is a function ``name(image, mask, rng) -> (image, mask)`` of a whole frame RGB uint8 [H, W, 3] and its
label uint8 [H, W] with 255 for ignored pixels; the returned image and label must have the same size.  All randomness
must come from ``rng``, so that batches are the same with any number of workers.  The arrays are read-only.  A recipe
enables it with ``augment: {transforms: [name]}``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from aaff.errors import DataError
from aaff.labels import UInt8Array
from aaff.plugins import Registry
from aaff.preprocess import Size

Augmentation = Callable[[UInt8Array, UInt8Array, np.random.Generator], tuple[UInt8Array, UInt8Array]]
_AugmentationT = TypeVar("_AugmentationT", bound=Augmentation)

_AUGMENTATIONS: Registry[Augmentation] = Registry("augmentation", "aaff.augmentations")


def register_augmentation(function: _AugmentationT) -> _AugmentationT:
    """Register the decorated function under its own name.

    >>> @register_augmentation
    ... def upside_down(image, mask, rng):
    ...     return image[::-1], mask[::-1]
    >>> "upside_down" in list_augmentations()
    True
    """
    _AUGMENTATIONS.add(function.__name__, function)
    return function


def list_augmentations() -> list[str]:
    """Names of the registered augmentations, including those of plug-ins."""
    return sorted(_AUGMENTATIONS.names())


def find_augmentation(name: str) -> Augmentation:
    """Find an augmentation by name, wrapped so that its results are checked.

    Raises:
        UnknownNameError: there is no such augmentation; the message suggests the nearest name.
    """
    function = _AUGMENTATIONS.find(name)

    def checked(image: UInt8Array, mask: UInt8Array, rng: np.random.Generator) -> tuple[UInt8Array, UInt8Array]:
        image, mask = function(image, mask, rng)
        return check_view(image, mask, f"augmentation {name!r}")

    return checked


def check_view(image: UInt8Array, mask: UInt8Array, what: str) -> tuple[UInt8Array, UInt8Array]:
    """Check that the frame and label returned by an augmentation satisfy the data contract.

    Raises:
        DataError: their types or sizes are wrong; the message names ``what``.
    """
    if image.dtype != np.uint8 or mask.dtype != np.uint8 or Size.of(image) != Size.of(mask):
        raise DataError(
            f"the {what} returned image {image.dtype} {image.shape} and mask {mask.dtype} {mask.shape}; "
            "both must stay uint8 and of one size"
        )
    return np.ascontiguousarray(image), np.ascontiguousarray(mask)
