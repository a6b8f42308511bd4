"""Cityscapes: ``leftImg8bit/SPLIT/CITY/`` and ``gtFine/SPLIT/CITY/``, 19 training classes.

Labels are ``*_labelTrainIds.png`` if they exist, else the ``*_labelIds.png`` of the download.
Source of the ids: github.com/mcordts/cityscapesScripts, ``helpers/labels.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from aaff.data.layouts.base import IdReader, Layout, Meaning, checked, ordered_splits
from aaff.data.pairing import Listing, by_name
from aaff.data.sample import Sample
from aaff.errors import DataError, OptionError
from aaff.folders import files_below, is_image_file
from aaff.images import write_image
from aaff.labels import CITYSCAPES19, IGNORE, LabelMap, UInt8Array

IMAGES, LABELS = "leftImg8bit", "gtFine"

_IMAGE_ENDING = "_leftImg8bit"
_TRAIN_IDS = "_gtFine_labelTrainIds"
_IDS = "_gtFine_labelIds"

# The index of an id in this list is its trainId; all other ids from 0 to 33 are ignored.
_ID_OF_TRAIN_ID = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
_FROM_TRAIN_IDS = IdReader({**{i: i for i in range(CITYSCAPES19.num_classes)}, IGNORE: IGNORE})
_FROM_IDS = IdReader(
    {**dict.fromkeys((*range(34), IGNORE), IGNORE), **{label_id: i for i, label_id in enumerate(_ID_OF_TRAIN_ID)}}
)


@dataclass(frozen=True)
class CityscapesReader:
    """Reads either kind of label file, distinguished by its name."""

    def __call__(self, path: Path) -> UInt8Array:
        return (_FROM_TRAIN_IDS if path.stem.endswith(_TRAIN_IDS) else _FROM_IDS)(path)


class Cityscapes(Layout):
    """``leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png`` and ``gtFine/SPLIT/CITY/NAME_gtFine_labelTrainIds.png``."""

    name: ClassVar[str] = "cityscapes"
    looks_for: ClassVar[str] = f"{IMAGES}/train/ with {LABELS}/train/ (or another split)"

    def detect(self, root: Path) -> bool:
        return bool(self.splits(root))

    def splits(self, root: Path) -> list[str]:
        if not (root / IMAGES).is_dir():
            return []
        return ordered_splits(p.name for p in (root / IMAGES).iterdir() if (root / LABELS / p.name).is_dir())

    def listing(self, root: Path, split: str) -> Listing:
        images = [p for p in _files(root / IMAGES / split) if p.stem.endswith(_IMAGE_ENDING)]
        labels = _files(root / LABELS / split)
        by_train_id = by_name((p for p in labels if p.stem.endswith(_TRAIN_IDS)), ending=_TRAIN_IDS)
        by_id = by_name((p for p in labels if p.stem.endswith(_IDS)), ending=_IDS)
        return Listing(f"split {split!r} of {root}", by_name(images, ending=_IMAGE_ENDING), {**by_id, **by_train_id})

    def meaning(self, root: Path, protocol: str | None) -> Meaning:
        if protocol not in (None, CITYSCAPES19.name):
            raise OptionError(f"{root} has the classes of Cityscapes; its protocol is cityscapes19, not {protocol}")
        return Meaning(CITYSCAPES19.name, CITYSCAPES19, CityscapesReader())

    def write(self, root: Path, split: str, samples: Iterable[Sample], labels: LabelMap) -> None:
        if labels.names != CITYSCAPES19.names:
            raise DataError(f"the cityscapes layout holds the classes of cityscapes19, not of {labels.name}")
        for sample in checked(samples, labels):
            city = sample.name.partition("_")[0] or "city"
            write_image(root / IMAGES / split / city / f"{sample.name}{_IMAGE_ENDING}.png", sample.image)
            write_image(root / LABELS / split / city / f"{sample.name}{_TRAIN_IDS}.png", sample.label)

    def missing_half(self, root: Path, split: str) -> str | None:
        return self._half(root / IMAGES / split, root / LABELS / split)


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in files_below(folder) if is_image_file(p))
