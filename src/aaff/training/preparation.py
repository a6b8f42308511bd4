"""Checks before the first training step: network, frames, labels, and whether a resumed run matches its recipe."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from aaff.data.augmentations import find_augmentation
from aaff.data.cache import CachedDataset
from aaff.data.duplicates import cross_split_leaks
from aaff.data.layouts import open_dataset
from aaff.data.loader import BatchPlan
from aaff.data.mixture import mixed
from aaff.data.protocols import DRIVES
from aaff.data.sample import Dataset
from aaff.data.statistics import count_classes
from aaff.errors import DataError, OptionError, UnknownNameError
from aaff.labels import IGNORE
from aaff.networks import create_model
from aaff.training.distributed import Group
from aaff.training.engine import TrainingEngine, resolve
from aaff.training.losses import find_loss
from aaff.training.recipe import Recipe
from aaff.training.state import Snapshot

MAY_CHANGE = ("engine.", "render_every", "teacher")
"""Prefixes of the recipe keys that may change when a run is resumed."""


@dataclass(frozen=True)
class Splits:
    """The frames of a run.

    Attributes:
        train: frames to train on.
        val: frames to score, None without validation.
        fingerprint: hash of the names of the training frames, in order.
    """

    train: Dataset
    val: Dataset | None
    fingerprint: str

    def cached(self) -> Splits:
        """The same splits with all frames decoded once and kept in memory."""
        return replace(self, train=CachedDataset(self.train), val=CachedDataset(self.val) if self.val else None)


def check_names(recipe: Recipe) -> None:
    """Check the names of the network, its options, losses and augmentations before any frame is read.

    The network is built on the meta device, so no memory is allocated and no random number is drawn.

    Raises:
        AaffError: a name is unknown or a value is invalid.
    """
    with torch.device("meta"):
        create_model(recipe.model, **recipe.network_options())
    for name in recipe.loss.weights():
        find_loss(name)
    for name in recipe.augment.transforms:
        find_augmentation(name)


def open_splits(data: str | Path | Sequence[str | Path], recipe: Recipe, layout: str | None) -> Splits:
    """Open the training split of all data sets and the validation split of the first; no frame is read yet.

    With the protocol ``camvid11-drives``, the split names a drive of the first data set; of the other data sets, the
    split "train" is used.

    Raises:
        AaffError: a data set or split cannot be opened, or the data sets do not fit together.
    """
    first, *more = [data] if isinstance(data, (str, Path)) else data
    train = open_dataset(first, recipe.train_split, protocol=recipe.protocol, layout=layout)
    if more:
        drives = recipe.protocol == DRIVES
        split, protocol = ("train", None) if drives else (recipe.train_split, recipe.protocol)
        train = mixed([train, *(open_dataset(other, split, protocol=protocol) for other in more)], recipe.repeat)
    val = None
    if recipe.val_split != "none":
        try:
            val = open_dataset(first, recipe.val_split, protocol=recipe.protocol, layout=layout)
        except UnknownNameError as error:
            raise OptionError(f"{error}; to train without validation: --val-split none") from error
    BatchPlan(len(train), recipe.batch, recipe.seed, parts=recipe.engine.accumulate)  # rejects an invalid batch size
    return Splits(train, val, hashlib.sha256(os.fsencode("\n".join(pair.name for pair in train.pairs))).hexdigest())


def class_counts(dataset: Dataset) -> npt.NDArray[np.int64]:
    """Labelled pixels of each class in each frame, int64 [frames, C]; a repeated frame is read once.

    Raises:
        DataError: a label has an id that is not a class (the file is named), or no pixel of any frame is labelled.
    """
    classes = dataset.labels.num_classes
    known: dict[Path, npt.NDArray[np.int64]] = {}
    for index, pair in enumerate(dataset.pairs):
        if pair.label in known:
            continue
        label = dataset.label(index)
        counts, ignored = count_classes(label, classes)
        if counts.sum() + ignored != label.size:
            wrong = int(label[(label >= classes) & (label != IGNORE)].flat[0])
            raise DataError(f"{pair.label} has the id {wrong}, but the class ids go from 0 to {classes - 1}")
        known[pair.label] = counts
    table = np.stack([known[pair.label] for pair in dataset.pairs])
    if not table.any():
        raise DataError(
            f"no pixel of split {dataset.split!r} of {dataset.root} has a class: all labels are void; check them with "
            "aaff data check"
        )
    return table


def refuse_leaks(train_set: Dataset, val_set: Dataset) -> None:
    """Check that no validation frame is also in the training split.

    Raises:
        DataError: frames of the two splits are identical or nearly so.
    """
    if leaks := cross_split_leaks([train_set, val_set]):
        raise DataError(
            f"{len(leaks)} frames of {train_set.split} and {val_set.split} are identical or nearly so, first "
            f"{leaks[0]}; scores on such a split are meaningless: fix it (aaff data check), or add --allow-leaks"
        )


def resumed_engine(recipe: Recipe, snapshot: Snapshot, group: Group) -> tuple[TrainingEngine, str | None]:
    """The training engine of a resumed run: the saved one, unless engine options or the number of processes changed.

    Returns:
        The engine, and a note if the weights will not be bitwise identical to those of an uninterrupted run, else None.

    Raises:
        OptionError: recipe values differ from those the run was started with (they are named), or the run was started
            on a GPU and there is none here.
    """
    new = _flat(recipe.to_dict())
    old = _flat(Recipe().to_dict()) | _flat(snapshot.recipe)  # keys added since then had their defaults
    changed = [key for key in sorted(new) if new[key] != old[key]]
    if forbidden := [key for key in changed if not key.startswith(MAY_CHANGE)]:
        told = ", ".join(f"{key} ({old[key]} → {new[key]})" for key in forbidden)
        raise OptionError(
            f"the run was started with another recipe: {told}; resume without these changes, or start a new run"
        )
    engine = TrainingEngine(**snapshot.engine)
    arithmetic = [key for key in changed if key not in ("render_every", "engine.workers", "engine.cache", "teacher")]
    if arithmetic or engine.processes != group.world:
        why = [f"{key} changed" for key in arithmetic]
        why += [f"{group.world} processes instead of {engine.processes}"] * (engine.processes != group.world)
        by = "" if "engine.accumulate" in changed else " by rounding"
        told = f"{', '.join(why)}: the weights will differ{by} from those of an uninterrupted run"
        return resolve(recipe.engine, group), told
    if engine.device == "cuda" and not torch.cuda.is_available():
        raise OptionError("the run was started on a GPU, but there is none here; add --engine.device cpu to resume")
    return engine, None


def _flat(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in data.items():
        result |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return result
