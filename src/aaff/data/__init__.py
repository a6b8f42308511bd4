"""Images and labels, from any layout on disk to samples in memory.

The names are imported on first use, and none of them needs torch (only ``aaff.data.loader`` does):

    from aaff.data import open_dataset

    train = open_dataset("data/camvid", "train")     # a sequence of samples
    train[0].image, train[0].label                   # uint8 [H, W, 3] RGB, uint8 [H, W] with 255 = ignored
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aaff.data.cache import CachedDataset
    from aaff.data.check import CheckReport, check_dataset
    from aaff.data.duplicates import cross_split_leaks
    from aaff.data.layouts import list_layouts, open_dataset, splits, write_dataset
    from aaff.data.protocols import PROTOCOLS, drive, drives
    from aaff.data.sample import Dataset, Pair, Sample
    from aaff.data.statistics import class_frequencies, split_statistics, weight_classes

_HOME = {
    "PROTOCOLS": "protocols",
    "CachedDataset": "cache",
    "CheckReport": "check",
    "Dataset": "sample",
    "Pair": "sample",
    "Sample": "sample",
    "check_dataset": "check",
    "class_frequencies": "statistics",
    "cross_split_leaks": "duplicates",
    "drive": "protocols",
    "drives": "protocols",
    "list_layouts": "layouts",
    "open_dataset": "layouts",
    "split_statistics": "statistics",
    "splits": "layouts",
    "weight_classes": "statistics",
    "write_dataset": "layouts",
}
"""Public name → the module of this package that defines it."""

__all__ = [
    "PROTOCOLS",
    "CachedDataset",
    "CheckReport",
    "Dataset",
    "Pair",
    "Sample",
    "check_dataset",
    "class_frequencies",
    "cross_split_leaks",
    "drive",
    "drives",
    "list_layouts",
    "open_dataset",
    "split_statistics",
    "splits",
    "weight_classes",
    "write_dataset",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'aaff.data' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"aaff.data.{_HOME[name]}"), name)
    globals()[name] = value  # later look-ups find it there
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
