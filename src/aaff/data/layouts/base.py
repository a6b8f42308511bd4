"""The layout interface: where the files of a split are, and what the values in its labels mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from aaff.data.pairing import Listing
from aaff.data.sample import LabelReader, Sample
from aaff.errors import DataError
from aaff.images import read_ids, read_mask
from aaff.labels import IGNORE, RGB, ColorTable, LabelMap, UInt8Array


class UnknownValuesError(DataError):
    """A label file has ids or colours that are not in its label map.

    Attributes:
        path: the label file.
        values: number of pixels of each unknown id or colour.
    """

    def __init__(self, path: Path, values: Mapping[int, int] | Mapping[RGB, int], known: str) -> None:
        self.path = path
        self.values: dict[int | RGB, int] = dict(values.items())
        ordered = sorted(self.values.items(), key=lambda item: -item[1])
        kind = "colour" if isinstance(ordered[0][0], tuple) else "id"
        shown = ", ".join(f"{value} ({count} pixel{'' if count == 1 else 's'})" for value, count in ordered[:5])
        more = f" and {len(ordered) - 5} more" if len(ordered) > 5 else ""
        plural = "s" if len(ordered) > 1 else ""
        super().__init__(f"{path} has the unknown {kind}{plural} {shown}{more}; known are {known}")


@dataclass(frozen=True)
class IdReader:
    """Reads index images; called with a path, it returns class ids uint8 [H, W].

    Attributes:
        ids: value in a file → class id (or 255).

    Raises (when called):
        DataError: the file is not an index image.
        UnknownValuesError: a value is not in ``ids``.
    """

    ids: dict[int, int]

    def __call__(self, path: Path) -> UInt8Array:
        raw = read_ids(path)
        counts = np.bincount(raw.ravel(), minlength=256)
        unknown = {int(v): int(counts[v]) for v in np.flatnonzero(counts) if int(v) not in self.ids}
        if unknown:
            raise UnknownValuesError(path, unknown, _ranges(self.ids))
        table = np.full(256, IGNORE, np.uint8)
        table[list(self.ids.keys())] = list(self.ids.values())
        return table[raw]


@dataclass(frozen=True)
class ColorReader:
    """Reads colour masks; called with a path, it returns class ids uint8 [H, W].

    Raises (when called):
        DataError: the file is not an image.
        UnknownValuesError: a colour is not in the table.
    """

    table: ColorTable

    def __call__(self, path: Path) -> UInt8Array:
        ids, unknown = self.table.decode(read_mask(path))
        if unknown:
            raise UnknownValuesError(path, unknown, f"the {len(self.table.entries)} colours of its table")
        return ids


def _ranges(values: Iterable[int]) -> str:
    """``0–3, 7`` for 0, 1, 2, 3, 7."""
    runs: list[list[int]] = []
    for value in sorted(values):
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return ", ".join(f"{first}–{last}" if last > first else str(first) for first, last in runs)


@dataclass(frozen=True)
class Meaning:
    """The label map and label reader of a data set under one protocol."""

    protocol: str
    labels: LabelMap
    read_label: LabelReader


class Layout(ABC):
    """A folder structure: where images and labels are, and how labels are read.  Instances are stateless."""

    name: ClassVar[str]
    """Name of the layout, as for ``--layout``."""

    looks_for: ClassVar[str]
    """What ``detect`` looks for, as the end of an error message."""

    @abstractmethod
    def detect(self, root: Path) -> bool:
        """Whether ``root`` has this layout, judged by the names of files and folders only."""

    @abstractmethod
    def splits(self, root: Path) -> list[str]:
        """The usable splits: those with a place for both images and labels."""

    @abstractmethod
    def listing(self, root: Path, split: str) -> Listing:
        """The files of a split, which is one of ``splits``.

        Raises:
            DataError: two files claim the same frame, or a list of frames cannot be read.
        """

    @abstractmethod
    def meaning(self, root: Path, protocol: str | None) -> Meaning:
        """Label map and label reader under ``protocol``; None: the default of the layout.

        Raises:
            AaffError: the labels do not support that protocol, or their class table cannot be read.
        """

    @abstractmethod
    def write(self, root: Path, split: str, samples: Iterable[Sample], labels: LabelMap) -> None:
        """Write a split so that reading it returns the same samples.

        Raises:
            DataError: the layout does not support these labels.
        """

    def licence(self, root: Path) -> str | None:
        """The licence stated in the data set's description; None if this layout has no such field."""
        return None

    def missing_half(self, root: Path, split: str) -> str | None:
        """For an unusable split: a sentence about whether its images or its labels are missing, or None."""
        return None

    @staticmethod
    def _half(images: Path, labels: Path) -> str | None:
        if images.is_dir() and not labels.is_dir():
            return f"{images} exists, but its labels {labels} are missing"
        if labels.is_dir() and not images.is_dir():
            return f"{labels} exists, but its images {images} are missing"
        return None


SPLIT_ORDER = ("train", "val", "test")


def ordered_splits(names: Iterable[str]) -> list[str]:
    """Train, val, test, then the others by name."""
    return sorted(set(names), key=lambda n: (SPLIT_ORDER.index(n) if n in SPLIT_ORDER else len(SPLIT_ORDER), n))


def checked(samples: Iterable[Sample], labels: LabelMap) -> Iterable[Sample]:
    """Yield the same samples, checking that each satisfies the data contract.

    Raises:
        DataError: shapes differ, an id is not a class, or a name is repeated or is not a valid file name.
    """
    seen: set[str] = set()
    for sample in samples:
        if sample.image.dtype != np.uint8 or sample.image.ndim != 3 or sample.image.shape[2] != 3:
            raise DataError(f"frame {sample.name!r}: the image must be RGB uint8 [H, W, 3]")
        if sample.label.dtype != np.uint8 or sample.label.shape != sample.image.shape[:2]:
            raise DataError(f"frame {sample.name!r}: the label must be uint8 of the image's size")
        wrong = np.unique(sample.label[(sample.label >= labels.num_classes) & (sample.label != IGNORE)])
        if wrong.size:
            raise DataError(
                f"frame {sample.name!r} has the id {wrong[0]}; {labels.name} ends at {labels.num_classes - 1}"
            )
        if not _is_file_name(sample.name):
            raise DataError(f"frame name {sample.name!r} is not a valid file name")
        if sample.name in seen:
            raise DataError(f"frame name {sample.name!r} occurs twice in one split")
        seen.add(sample.name)
        yield sample


def _is_file_name(name: str) -> bool:
    # Printable, in one line and without outer spaces, since lists of frames have one name per line.
    return name.isprintable() and name == name.strip() and name[:1] not in ("", ".") and not set(name) & set("/\\")
