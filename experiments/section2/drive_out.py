"""A layout that keeps one drive out of the train split, so that one training is scored on val and on that drive.

Protocol ``camvid11-drives`` trains on train + val and could not be scored on val.  ``plugin.py`` registers it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from aaff.data.layouts import Layout, find_layout, list_layouts
from aaff.data.layouts.base import Meaning
from aaff.data.pairing import Listing
from aaff.data.protocols import drive
from aaff.data.sample import Sample
from aaff.errors import DataError
from aaff.labels import LabelMap

DRIVE = "0006R0"
"""The drive that is kept out: 101 frames of the train split by daylight, as many as val has.  Val (all of drive 0016E5)
lies between training frames; 0001TP has 62 frames at dusk and would ask about light more than about streets."""

TRAIN, HELD_OUT = f"train-without-{DRIVE}", f"drive-{DRIVE}"


class DriveOut(Layout):
    """The data set's own layout, its train split divided into ``TRAIN`` and ``HELD_OUT``; val stays."""

    name: ClassVar[str] = "drive-out"
    looks_for: ClassVar[str] = "another layout with train and val"

    def detect(self, root: Path) -> bool:
        try:
            return {"train", "val"} <= set(_inner(root).splits(root))
        except DataError:
            return False

    def splits(self, root: Path) -> list[str]:
        return [*_inner(root).splits(root), TRAIN, HELD_OUT]

    def listing(self, root: Path, split: str) -> Listing:
        if split not in (TRAIN, HELD_OUT):
            return _inner(root).listing(root, split)
        whole, inside = _inner(root).listing(root, "train"), split == HELD_OUT

        def kept(files: Iterable[tuple[str, Path]]) -> dict[str, Path]:
            return {name: path for name, path in files if (drive(name) == DRIVE) is inside}

        return replace(
            whole,
            where=f"split {split!r} of {root}",
            images=kept(whole.images.items()),
            labels=kept(whole.labels.items()),
        )

    def meaning(self, root: Path, protocol: str | None) -> Meaning:
        return _inner(root).meaning(root, protocol)

    def licence(self, root: Path) -> str | None:
        return _inner(root).licence(root)

    def write(self, root: Path, split: str, samples: Iterable[Sample], labels: LabelMap) -> None:
        raise DataError(f"the layout {self.name} divides what is there; write the data set in its own layout")


def _inner(root: Path) -> Layout:
    """The layout that the data set has without this one."""
    for name in list_layouts():
        if name != DriveOut.name:
            try:
                return find_layout(root, name)
            except DataError:
                continue
    raise DataError(f"{root} has no known layout")
