"""Survey a folder of images and masks, propose a ``dataset.yaml`` for it, and write it (``aaff data init``)."""

from __future__ import annotations

import colorsys
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aaff.data.discovery import Discovery, Found, find_pairs
from aaff.data.division import divide
from aaff.data.layouts.described import FILE
from aaff.data.layouts.lists import write_frame_list
from aaff.errors import DataError, OptionError
from aaff.files import write_text
from aaff.images import read_ids, read_mask
from aaff.labels import CAMVID_RAW, CITYSCAPES19, IGNORE, RGB
from aaff.textfile import to_yaml

Value = int | RGB
"""The value of a mask pixel: an id or a colour."""

_MOST_VALUES = 255
_VOID = ("void", "ignore", "unlabeled", "unlabelled")


@dataclass(frozen=True)
class Survey:
    """The contents of a folder.

    Attributes:
        root: the folder.
        found: its pairs of images and masks.
        encoding: ``"ids"`` or ``"colors"``, as in ``dataset.yaml``.
        pixels: number of pixels of each value in all masks, in the order of the values.
        frames: number of masks in which each value occurs.
    """

    root: Path
    found: Discovery
    encoding: str
    pixels: Mapping[Value, int]
    frames: Mapping[Value, int]


@dataclass
class Proposal:
    """A proposed ``dataset.yaml``.

    Attributes:
        name: name of the data set.
        names: class name of each value that is a class, in the order of the class ids.
        ignore: ignored values.
        splits: the pairs of each split.
        how: description of how the splits were chosen.
        licence: licence of the data; empty if not stated.
    """

    name: str
    names: dict[Value, str]
    ignore: list[Value]
    splits: dict[str, list[Found]]
    how: str
    licence: str = ""
    colors: dict[Value, RGB] = field(default_factory=dict)


def survey(root: Path, progress: Callable[[int, int], None] | None = None) -> Survey:
    """Find the pairs of a folder and read all masks.

    Raises:
        DataError: there is no pair, a mask cannot be read, or the masks have too many values to be classes.
    """
    found = find_pairs(root)
    encoding = "ids" if _is_index(root / found.pairs[0].mask) else "colors"
    pixels: Counter[Value] = Counter()
    frames: Counter[Value] = Counter()
    for done, pair in enumerate(found.pairs, 1):
        counts = _count(root / pair.mask, encoding)
        pixels.update(counts)
        frames.update(counts.keys())
        if len(pixels) > _MOST_VALUES + 1:
            raise DataError(
                f"the masks up to {root / pair.mask} have {len(pixels)} values, too many to be classes; "
                "save masks as PNG, without smooth edges"
            )
        if progress is not None:
            progress(done, len(found.pairs))
    order = sorted(pixels, key=lambda value: (isinstance(value, tuple), value))
    return Survey(root, found, encoding, {v: pixels[v] for v in order}, {v: frames[v] for v in order})


def propose(
    seen: Survey,
    *,
    name: str = "",
    names: Sequence[str] = (),
    ignore: Sequence[int] | None = None,
    val: float = 0.2,
    licence: str = "",
) -> Proposal:
    """Propose class names, ignored values and splits for a folder.

    Args:
        seen: result of ``survey``.
        name: name of the data set; default: that of the folder.
        names: one name per class, in the order of the values; default: those of known data sets, else class0, class1, …
        ignore: ignored ids; default: 255 if there are at least two other ids.
        val: share of the frames for validation, if no folder names a split.
        licence: licence of the data.

    Raises:
        OptionError: not one name per class, or ``val`` is not in (0, 1).
    """
    if not 0 < val < 1:
        raise OptionError(f"val is {val}; it must be in (0, 1), such as 0.2")
    values = list(seen.pixels)
    usual = (IGNORE,) if IGNORE in values and len(values) > 2 else ()
    ignored: list[Value] = [*(usual if ignore is None else ignore)]
    classes = [value for value in values if value not in ignored]
    if names and len(names) != len(classes):
        shown = ", ".join(map(str, classes))
        raise OptionError(f"{len(names)} names were given for {len(classes)} values; name these in order: {shown}")
    guessed = list(names) or _guess(classes, seen.encoding)
    splits, how = _splits(seen.found.pairs, val)
    proposal = Proposal(
        name=name or Path(os.path.abspath(seen.root)).name,
        names=dict(zip(classes, guessed, strict=True)),
        ignore=[value for value in ignored if seen.encoding == "ids"],
        splits=splits,
        how=how,
        licence=licence,
        colors={value: _color(value, place) for place, value in enumerate(classes)},
    )
    _ignore_void(proposal)
    return proposal


def write(seen: Survey, proposal: Proposal) -> list[Path]:
    """Write ``dataset.yaml`` and a list of frames per split into the folder.

    Returns:
        The files.

    Raises:
        DataError: two frames of one split have the same name.
        AaffError: a file cannot be written.
    """
    _ignore_void(proposal)
    written = []
    splits: dict[str, Any] = {}
    for split, pairs in proposal.splits.items():
        names = [pair.name for pair in pairs]
        twice = next((name for name, count in Counter(names).items() if count > 1), None)
        if twice is not None:
            raise DataError(f"two frames of {split} are called {twice}; image names must be unique within a split")
        file = seen.root / "lists" / f"{split}.txt"
        write_frame_list(file, names)
        written.append(file)
        splits[split] = {
            "images": _places(pairs, "image"),
            "labels": _places(pairs, "mask"),
            "names": f"lists/{split}.txt",
        }
    plain: dict[str, Any] = {"name": proposal.name}
    if proposal.licence:
        plain["licence"] = proposal.licence
    plain["encoding"] = seen.encoding
    plain["classes"] = {}
    for place, (value, name) in enumerate(proposal.names.items()):
        color = list(proposal.colors[value])
        plain["classes"][name] = color if value in (place, tuple(color)) else {"color": color, "values": [value]}
    plain["ignore"] = [list(value) if isinstance(value, tuple) else value for value in proposal.ignore]
    file = seen.root / FILE
    write_text(file, to_yaml({**plain, "splits": splits}))
    return [file, *written]


def _ignore_void(proposal: Proposal) -> None:
    """Move values with the class name "void" to the ignored ones."""
    for value in [value for value, name in proposal.names.items() if name.lower() in _VOID]:
        del proposal.names[value]
        proposal.ignore.append(value)


def _is_index(mask: Path) -> bool:
    try:
        read_ids(mask)
    except DataError:
        read_mask(mask)  # raises an error if the file is neither
        return False
    return True


def _count(mask: Path, encoding: str) -> Counter[Value]:
    if encoding == "ids":
        counts = np.bincount(read_ids(mask).ravel())
        return Counter({int(value): int(counts[value]) for value in np.flatnonzero(counts)})
    colors = read_mask(mask).reshape(-1, 3).astype(np.uint32)
    packed, numbers = np.unique(colors[:, 0] << 16 | colors[:, 1] << 8 | colors[:, 2], return_counts=True)
    return Counter(
        {(int(c) >> 16, int(c) >> 8 & 255, int(c) & 255): int(n) for c, n in zip(packed, numbers, strict=True)}
    )


def _guess(classes: Sequence[Value], encoding: str) -> list[str]:
    """Class names of a known data set if all colours are among its own, else numbered names."""
    if encoding == "colors":
        tables = [{color: name for name, color, _ in CAMVID_RAW}]
        tables.append(dict(zip(CITYSCAPES19.colors, CITYSCAPES19.names, strict=True)) | {(0, 0, 0): "void"})
        for table in tables:
            if all(value in table for value in classes):
                return [table[value] for value in classes if isinstance(value, tuple)]
    if set(classes) in ({0, 1}, {0, 255}):
        return ["background", "object"]
    return [f"class{place}" for place in range(len(classes))]


def _color(value: Value, place: int) -> RGB:
    """The class's own colour, or the next of a series of distinct colours."""
    if isinstance(value, tuple):
        return value
    red, green, blue = colorsys.hsv_to_rgb((0.58 + 0.618034 * place) % 1, 0.75, 0.9 - 0.25 * (place % 3))
    return round(255 * red), round(255 * green), round(255 * blue)


def _splits(pairs: Sequence[Found], val: float) -> tuple[dict[str, list[Found]], str]:
    named = {pair.split for pair in pairs}
    if named >= {"train", "val"}:
        splits = {split: [p for p in pairs if p.split == split] for split in ("train", "val", "test")}
        return {split: members for split, members in splits.items() if members}, "by the names of folders"
    test = [pair for pair in pairs if pair.split == "test"]
    rest = [pair for pair in pairs if pair.split != "test"]
    division = divide([pair.image for pair in rest], val)
    splits = {"train": [rest[i] for i in division.train], "val": [rest[i] for i in division.val], "test": test}
    return {split: members for split, members in splits.items() if members}, division.how


def _places(pairs: Sequence[Found], kind: str) -> str | list[str]:
    """Folders, or patterns if the file names contain more than the name of the frame."""
    places: dict[str, None] = {}
    for pair in pairs:
        path: Path = getattr(pair, kind)
        ending = path.stem.removeprefix(pair.name)
        folder = path.parent.as_posix()
        pattern = f"*{ending}{path.suffix}" if folder == "." else f"{folder}/*{ending}{path.suffix}"
        shared = pair.image.parent == pair.mask.parent
        places[pattern if ending or shared else folder] = None
    found = list(places)
    return found[0] if len(found) == 1 else found
