"""The data contract between readers and all other code.

image = RGB uint8 [H, W, 3]; label = uint8 [H, W] with class ids and 255 = ignored.  Readers convert files to this form;
no other code converts again.
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
        name: name of the frame without folder and suffix, unique in its split.
        image: RGB uint8 [H, W, 3].
        label: uint8 [H, W], class ids of the data set's label map, 255 = ignored.
    """

    name: str
    image: UInt8Array
    label: UInt8Array


@dataclass(frozen=True)
class Pair:
    """The paths of one frame and its label; nothing is read yet."""

    name: str
    image: Path
    label: Path


LabelReader = Callable[[Path], UInt8Array]
"""Reads a label file as uint8 [H, W] with class ids of the data set's label map; raises DataError."""


@dataclass(frozen=True)
class Dataset(Sequence[Sample]):
    """The frames of one split in a fixed order, a sequence of ``Sample``; indexing reads from disk.

    Attributes:
        root: the folder of the data set.
        layout: name of its layout, such as ``"segnet"``.
        protocol: evaluation protocol of scores on it, such as ``"camvid11"``.
        split: ``"train"``, ``"val"``, ``"test"`` or another name defined by the layout.
        labels: names and colours of the classes.
        pairs: paths of the frames and their labels.
        read_label: function that reads a label file of this layout as class ids.
        licence: licence of the data, which weights trained on it inherit; ``"unspecified"`` if not stated.
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
        """Read only the image of a frame: RGB uint8 [H, W, 3]."""
        return read_image(self.pairs[index].image)

    def label(self, index: int) -> UInt8Array:
        """Read only the label of a frame: uint8 [H, W]."""
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
