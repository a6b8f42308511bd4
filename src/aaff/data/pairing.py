"""Pair images and labels by name, and report files without a partner."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aaff.data.sample import Pair
from aaff.errors import DataError, shown
from aaff.folders import IMAGE_SUFFIXES, is_image_file

SHOWN = 3
"""How many missing files an error message names before it only counts the rest."""


@dataclass(frozen=True)
class Listing:
    """The image and label files of one split, by frame name, before they are paired.

    Attributes:
        where: name of the split in messages, such as ``"split 'train' of data/camvid"``.
        images: image file of each frame.
        labels: label file of each frame.
        absent: names in a list of frames for which there is no file.
    """

    where: str
    images: Mapping[str, Path]
    labels: Mapping[str, Path]
    absent: tuple[str, ...] = ()

    @property
    def without_label(self) -> list[str]:
        """Names of the frames that have an image but no label, sorted."""
        return sorted(self.images.keys() - self.labels.keys())

    @property
    def without_image(self) -> list[str]:
        """Names of the frames that have a label but no image, sorted."""
        return sorted(self.labels.keys() - self.images.keys())

    def matched(self) -> tuple[Pair, ...]:
        """The frames with both an image and a label, in the order of their names."""
        return tuple(Pair(n, self.images[n], self.labels[n]) for n in sorted(self.images.keys() & self.labels.keys()))

    def pairs(self) -> tuple[Pair, ...]:
        """All frames, in the order of their names.

        Raises:
            DataError: the split is empty, or a file has no partner; the message names the first few.
        """
        if not self.images and not self.labels and not self.absent:
            raise DataError(f"{self.where} is empty: no file with a suffix of {', '.join(IMAGE_SUFFIXES)}")
        faults = []
        if self.without_label:
            shown = _first(str(self.images[name]) for name in self.without_label)
            faults.append(f"{len(self.without_label)} of {len(self.images)} images have no label: {shown}")
        if self.without_image:
            shown = _first(str(self.labels[name]) for name in self.without_image)
            faults.append(f"{len(self.without_image)} of {len(self.labels)} labels have no image: {shown}")
        if self.absent:
            faults.append(f"{len(self.absent)} listed frames have neither image nor label: {_first(self.absent)}")
        if faults:
            raise DataError(f"{self.where}: {'; '.join(faults)}. Add the missing files or remove their partners")
        return self.matched()


def _first(items: Iterable[str]) -> str:
    every = list(items)
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more


def image_files(folder: Path) -> list[Path]:
    """The image files directly in ``folder``, sorted, without hidden files.

    Raises:
        DataError: there is no such folder.
    """
    if not os.path.isdir(folder):
        raise DataError(f"there is no folder {folder}")
    return sorted(p for p in folder.iterdir() if is_image_file(p))


def by_name(files: Iterable[Path], *, ending: str = "") -> dict[str, Path]:
    """Files by frame name: the stem without ``ending``, or the whole stem if it does not end so.

    Raises:
        DataError: two files have the same frame name.

    >>> by_name([Path("a_L.png"), Path("b.png")], ending="_L")
    {'a': PosixPath('a_L.png'), 'b': PosixPath('b.png')}
    """
    found: dict[str, Path] = {}
    for path in files:
        name = path.stem.removesuffix(ending)
        if name in found:
            raise DataError(f"both {found[name]} and {path} belong to the frame {shown(name)}; remove one of them")
        found[name] = path
    return found


def labels_by_name(files: Sequence[Path], images: Mapping[str, Path], ending: str) -> dict[str, Path]:
    """Label files by frame name, with or without ``ending``, whichever matches the images better.

    Raises:
        DataError: two files have the same frame name.
    """
    plain = sum(path.stem in images for path in files)
    shortened = sum(path.stem.removesuffix(ending) in images for path in files if path.stem.endswith(ending))
    return by_name(files, ending=ending if shortened >= plain else "")
