"""The Kaggle release of CamVid: ``train/``, ``train_labels/`` and ``class_dict.csv``, colour masks.

The label of ``NAME.png`` is ``NAME_L.png``; copies without the ``_L`` are read too.  With other classes in
``class_dict.csv``, it is a data set with its own protocol.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from aaff.data.layouts.base import Layout, Meaning, checked, ordered_splits
from aaff.data.layouts.tables import read_class_dict, table_meaning, write_class_dict
from aaff.data.pairing import Listing, by_name, image_files, labels_by_name
from aaff.data.sample import Sample
from aaff.images import write_image
from aaff.labels import LabelMap

TABLE = "class_dict.csv"
LABEL_ENDING = "_L"

_FOLDER_ENDING = "_labels"


class Kaggle(Layout):
    """``SPLIT/NAME.png`` and ``SPLIT_labels/NAME_L.png``."""

    name: ClassVar[str] = "kaggle"
    looks_for: ClassVar[str] = f"train/ with train_labels/ (or another split) and {TABLE}"

    def detect(self, root: Path) -> bool:
        return bool(self.splits(root))

    def splits(self, root: Path) -> list[str]:
        folders = {p.name for p in root.iterdir() if p.is_dir()}
        return ordered_splits(n for n in folders if n + _FOLDER_ENDING in folders)

    def listing(self, root: Path, split: str) -> Listing:
        images = by_name(image_files(root / split))
        labels = labels_by_name(image_files(root / (split + _FOLDER_ENDING)), images, LABEL_ENDING)
        return Listing(f"split {split!r} of {root}", images, labels)

    def meaning(self, root: Path, protocol: str | None) -> Meaning:
        return table_meaning(root, root / TABLE, read_class_dict(root / TABLE), protocol)

    def write(self, root: Path, split: str, samples: Iterable[Sample], labels: LabelMap) -> None:
        write_class_dict(root / TABLE, labels)
        for sample in checked(samples, labels):
            write_image(root / split / f"{sample.name}.png", sample.image)
            mask = labels.colorize(sample.label)
            write_image(root / (split + _FOLDER_ENDING) / f"{sample.name}{LABEL_ENDING}.png", mask)

    def missing_half(self, root: Path, split: str) -> str | None:
        return self._half(root / split, root / (split + _FOLDER_ENDING))
