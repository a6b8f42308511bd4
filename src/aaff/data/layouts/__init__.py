"""Data set layouts on disk: one module per layout, and common functions to open and write them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from aaff.data.layouts.base import Layout, UnknownValuesError
from aaff.data.layouts.cityscapes import Cityscapes
from aaff.data.layouts.described import Described
from aaff.data.layouts.kaggle import Kaggle
from aaff.data.layouts.original import Original
from aaff.data.layouts.segnet import SegNet
from aaff.data.licence import find_licence
from aaff.data.pairing import Listing
from aaff.data.protocols import DRIVES, drive_splits, select_drive_split
from aaff.data.sample import Dataset, Sample
from aaff.errors import DataError, OptionError, UnknownNameError
from aaff.files import is_unfinished
from aaff.labels import LabelMap
from aaff.plugins import Registry

__all__ = [
    "Layout",
    "UnknownValuesError",
    "find_layout",
    "list_layouts",
    "open_dataset",
    "register_layout",
    "splits",
    "write_dataset",
]

# In the order of detection: the first that matches is used, and dataset.yaml takes precedence.
_LAYOUTS: Registry[Layout] = Registry("layout", "aaff.layouts")
for _layout in (Described(), SegNet(), Kaggle(), Original(), Cityscapes()):
    _LAYOUTS.add(_layout.name, _layout)


def register_layout(layout: type[Layout]) -> type[Layout]:
    """Register the decorated class of a plug-in under its ``name``; it is tried before the built-in layouts.

    For example:

        @register_layout
        class Mine(Layout):
            name = "mine"
            looks_for = "a file mine.txt"
            ...
    """
    _LAYOUTS.add(layout.name, layout(), first=True)
    return layout


def list_layouts() -> list[str]:
    """Names of the layouts, in the order they are tried.

    >>> "segnet" in list_layouts()
    True
    """
    return _LAYOUTS.names()


def find_layout(root: str | Path, name: str | None = None) -> Layout:
    """The layout of a data set: the named one, or the first that matches.

    Raises:
        UnknownNameError: there is no layout of that name.
        DataError: there is no such folder, it is empty, or no layout matches; the message lists what was looked for.
    """
    root = Path(root)
    if not os.path.isdir(root):
        raise DataError(f"{root} is a file, not a folder" if os.path.exists(root) else f"there is no folder {root}")
    if is_unfinished(root):
        raise DataError(f"{root} is incomplete: writing it was interrupted; run the command that writes it again")
    if name is not None:
        chosen = _LAYOUTS.find(name)
        if not chosen.detect(root):
            raise DataError(f"{root} does not have the layout {name}: there is no {chosen.looks_for}")
        return chosen
    if not any(root.iterdir()):
        raise DataError(f"the folder {root} is empty")
    list_layouts()  # loads plug-ins
    for layout in _LAYOUTS.values():
        if layout.detect(root):
            return layout
    looked = "; ".join(f"{layout.name}: {layout.looks_for}" for layout in _LAYOUTS.values())
    inside = next((p for p in sorted(root.iterdir()) if p.is_dir() and _fits(p)), None)
    hint = f"; did you mean {inside}?" if inside else ""
    own = f"; for images and masks of your own: aaff data init {shlex.quote(str(root))}"
    raise DataError(f"{root} has no known layout; looked for {looked}{hint or own}")


def _fits(folder: Path) -> bool:
    return any(layout.detect(folder) for layout in _LAYOUTS.values())


def splits(root: str | Path, layout: str | None = None, *, protocol: str | None = None) -> list[str]:
    """The usable splits of a data set: train, val and test first, then the others by name.

    With the protocol ``"camvid11-drives"``, they are named after the drives of train + val.

    Raises:
        AaffError: as ``find_layout``.
    """
    found = find_layout(root, layout)
    if protocol == DRIVES:
        return drive_splits(name for listing in _train_and_val(found, Path(root)) for name in listing.images)
    return found.splits(Path(root))


def open_dataset(root: str | Path, split: str, *, protocol: str | None = None, layout: str | None = None) -> Dataset:
    """Open one split of a data set.  Files are paired immediately, and read when a sample is accessed.

    Args:
        root: folder of the data set.
        split: one of ``splits``, or several joined with ``+`` as in ``"train+val"``; other splits may be missing.
        protocol: evaluation protocol, see ``aaff.data.protocols``; None: that of the layout, which is ``"camvid11"``
            for the CamVid layouts.
        layout: one of ``list_layouts``; None detects it.

    Returns:
        A sequence of ``aaff.data.Sample``.

    Raises:
        DataError: there is no such folder or no known layout in it, the split is empty, or files have no partner.
        UnknownNameError: there is no such split, layout or protocol.
        OptionError: these labels do not support that protocol.
    """
    root = Path(root)
    found = find_layout(root, layout)
    meaning = found.meaning(root, protocol)
    if meaning.protocol == DRIVES:
        everything = [pair for listing in _train_and_val(found, root) for pair in listing.pairs()]
        pairs = select_drive_split(everything, split)
    else:
        parts = [split] if split in found.splits(root) else split.split("+")
        if len(set(parts)) < len(parts):
            raise OptionError(f"split {split!r} names a split twice; name each once, such as train+val")
        pairs = tuple(pair for part in parts for pair in _listing(found, root, part).pairs())
    licence = found.licence(root) or find_licence(root, (pair.name for pair in pairs))
    return Dataset(root, found.name, meaning.protocol, split, meaning.labels, pairs, meaning.read_label, licence)


def _listing(layout: Layout, root: Path, split: str) -> Listing:
    known = layout.splits(root)
    if split not in known:
        half = layout.missing_half(root, split)
        if half:
            raise DataError(f"split {split!r} cannot be used: {half}")
        raise UnknownNameError(f"split of {root}", split, known)
    return layout.listing(root, split)


def _train_and_val(layout: Layout, root: Path) -> list[Listing]:
    return [_listing(layout, root, split) for split in ("train", "val")]


def write_dataset(layout: str, root: str | Path, split: str, samples: Iterable[Sample], labels: LabelMap) -> None:
    """Write one split in a layout; ``open_dataset`` reads the same samples back.

    Args:
        layout: one of ``list_layouts``.
        root: folder of the data set, created if missing.  Files of the same name are replaced.
        split: name of the split.
        samples: frames with their labels; they are consumed one by one.
        labels: names and colours of the classes.

    Raises:
        UnknownNameError: there is no such layout.
        DataError: the layout does not support these labels, or a sample violates the data contract.
        AaffError: a file cannot be written.
    """
    _LAYOUTS.find(layout).write(Path(root), split, samples, labels)
