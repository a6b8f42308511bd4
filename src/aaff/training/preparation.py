"""What a run checks before its first step: frames, labels, and whether a resumed one is the same run."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from aaff.data.duplicates import cross_split_leaks
from aaff.data.sample import Dataset
from aaff.data.statistics import count_classes
from aaff.errors import DataError, OptionError
from aaff.labels import IGNORE
from aaff.training.distributed import Group
from aaff.training.engine import Engine, resolve
from aaff.training.recipe import Recipe
from aaff.training.state import Snapshot

MAY_CHANGE = ("engine.", "render_every")
"""Beginnings of the recipe keys that may differ when a run is resumed."""


def class_counts(dataset: Dataset) -> npt.NDArray[np.int64]:
    """Labelled pixels of each class in each frame, int64 [frames, C].

    Raises:
        DataError: a label holds an id that is no class; the file is named.
    """
    classes = dataset.labels.num_classes
    rows = []
    for index, pair in enumerate(dataset.pairs):
        label = dataset.label(index)
        counts, ignored = count_classes(label, classes)
        if counts.sum() + ignored != label.size:
            wrong = int(label[(label >= classes) & (label != IGNORE)].flat[0])
            raise DataError(f"{pair.label} holds the id {wrong}, but the classes go from 0 to {classes - 1}")
        rows.append(counts)
    return np.stack(rows)


def refuse_leaks(train_set: Dataset, val_set: Dataset) -> None:
    """Refuse a validation split that shows what is trained on.

    Raises:
        DataError: frames of the two splits are identical or nearly so.
    """
    if leaks := cross_split_leaks([train_set, val_set]):
        raise DataError(
            f"{len(leaks)} frames of {train_set.split} and {val_set.split} are identical or nearly so, first "
            f"{leaks[0]}; a score on such a split means nothing: mend the split (aaff data check), or add --allow-leaks"
        )


def resumed_engine(recipe: Recipe, snapshot: Snapshot, group: Group) -> tuple[Engine, str | None]:
    """The arithmetic of a resumed run: as it was, unless the user or the number of processes asks for another.

    Returns:
        The engine, and a sentence when the weights will not be those of an uninterrupted run to the bit.

    Raises:
        OptionError: the recipe has other values than the run was begun with, which are named; or there
            is no GPU for a run that was begun on one.
    """
    new = _flat(recipe.to_dict())
    old = _flat(Recipe().to_dict()) | _flat(snapshot.recipe)  # a key that came later had its default
    changed = [key for key in sorted(new) if new[key] != old[key]]
    if forbidden := [key for key in changed if not key.startswith(MAY_CHANGE)]:
        told = ", ".join(f"{key} ({old[key]} → {new[key]})" for key in forbidden)
        raise OptionError(f"the run was begun with another recipe: {told}; resume without these, or start a new run")
    engine = Engine(**snapshot.engine)
    arithmetic = [key for key in changed if key not in ("render_every", "engine.workers", "engine.cache")]
    if arithmetic or engine.processes != group.world:
        why = [f"{key} changed" for key in arithmetic]
        why += [f"{group.world} processes in place of {engine.processes}"] * (engine.processes != group.world)
        told = f"{', '.join(why)}: the weights will differ by rounding from those of an uninterrupted run"
        return resolve(recipe.engine, group), told
    if engine.device == "cuda" and not torch.cuda.is_available():
        raise OptionError("the run was begun on a GPU and there is none here; add --engine.device cpu to go on")
    return engine, None


def _flat(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in data.items():
        result |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return result
