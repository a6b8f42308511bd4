"""The data contract: what every reader gives and everything else takes.

image = RGB uint8 [H, W, 3]; label = uint8 [H, W] with class ids and 255 = ignored.  Readers convert
at the edge, nothing inside converts again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aaff.errors import DataError
from aaff.images import read_image
from aaff.labels import LabelMap, UInt8Array


@dataclass(frozen=True)
class Sample:
    """One frame with its ground truth.

    Attributes:
        name: the frame's name without folder and suffix, unique in its split.
        image: RGB uint8 [H, W, 3].
        label: uint8 [H, W], ids of the data set's label map, 255 = ignored.
    """

    name: str
    image: UInt8Array
    label: UInt8Array


@dataclass(frozen=True)
class Pair:
    """Where one frame and its label lie; nothing is read yet."""

    name: str
    image: Path
    label: Path


LabelReader = Callable[[Path], UInt8Array]
"""Reads one label file into uint8 [H, W] ids of the data set's label map; raises DataError."""


@dataclass(frozen=True)
class Dataset(Sequence[Sample]):
    """The frames of one split, in a fixed order; indexing reads from disk.

    Attributes:
        root: the folder it was opened from.
        layout: name of the layout it was read as, such as ``"segnet"``.
        protocol: what scores on it are called, such as ``"camvid11"``.
        split: ``"train"``, ``"val"``, ``"test"`` or a name of the layout's own.
        labels: classes and colours.
        pairs: the frames.
        read_label: how this layout's label files become ids.
        licence: of the data, which weights trained on it inherit; ``"unspecified"`` where nobody stated it.
    """

    root: Path
    layout: str
    protocol: str
    split: str
    labels: LabelMap
    pairs: tuple[Pair, ...]
    read_label: LabelReader = field(repr=False, compare=False)
    licence: str = "unspecified"

    def __len__(self) -> int:
        return len(self.pairs)

    def image(self, index: int) -> UInt8Array:
        """The image of one frame alone: RGB uint8 [H, W, 3]."""
        return read_image(self.pairs[index].image)

    def label(self, index: int) -> UInt8Array:
        """The label of one frame alone: uint8 [H, W]."""
        return self.read_label(self.pairs[index].label)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]  # slices are not offered
        pair, image, label = self.pairs[index], self.image(index), self.label(index)
        if image.shape[:2] != label.shape:
            raise DataError(
                f"label {pair.label} is {label.shape[1]}x{label.shape[0]} "
                f"but its image {pair.image} is {image.shape[1]}x{image.shape[0]}"
            )
        return Sample(pair.name, image, label)

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))
