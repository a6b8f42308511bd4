"""CamVid as its authors published it: one folder of frames, one of colour masks, ``label_colors.txt``.

The authors' folders are ``701_StillsRaw_full`` and ``LabeledApproved_full``.  They have no splits.  Lists
(``train.txt``, ``val.txt``, ``test.txt``, one frame per line) define them if there are any.  Otherwise the splits are
those of the SegNet release, which follow from the frame names: it has all 701 frames, its training frames of 0001TP end
at 008520, and its validation frames are 07959 to 08159 of 0016E5.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from aaff.data.layouts.base import SPLIT_ORDER, Layout, Meaning, checked, ordered_splits
from aaff.data.layouts.kaggle import LABEL_ENDING
from aaff.data.layouts.lists import read_frame_list, write_frame_list
from aaff.data.layouts.tables import read_label_colors, table_meaning, write_label_colors
from aaff.data.pairing import Listing, by_name, image_files, labels_by_name
from aaff.data.sample import Sample
from aaff.errors import DataError, shown
from aaff.images import write_image
from aaff.labels import LabelMap

TABLE = "label_colors.txt"
IMAGE_FOLDERS = ("701_StillsRaw_full", "images")
LABEL_FOLDERS = ("LabeledApproved_full", "labels")


class Original(Layout):
    """``701_StillsRaw_full/NAME.png`` and ``LabeledApproved_full/NAME_L.png``."""

    name: ClassVar[str] = "original"
    looks_for: ClassVar[str] = f"{IMAGE_FOLDERS[0]}/ with {LABEL_FOLDERS[0]}/ (or images/ with labels/) and {TABLE}"

    def detect(self, root: Path) -> bool:
        return all(_folder(root, names) for names in (IMAGE_FOLDERS, LABEL_FOLDERS)) and (root / TABLE).is_file()

    def splits(self, root: Path) -> list[str]:
        lists = _lists(root)
        if lists:
            return lists
        return ordered_splits(_split_of(name, root) for name in self._everything(root).images)

    def listing(self, root: Path, split: str) -> Listing:
        everything = self._everything(root)
        if _lists(root):
            wanted = set(read_frame_list(root / f"{split}.txt"))
        else:
            wanted = {n for n in everything.images.keys() | everything.labels.keys() if _split_of(n, root) == split}
        images = {name: path for name, path in everything.images.items() if name in wanted}
        labels = {name: path for name, path in everything.labels.items() if name in wanted}
        absent = tuple(sorted(wanted - images.keys() - labels.keys()))
        return Listing(f"split {split!r} of {root}", images, labels, absent)

    def meaning(self, root: Path, protocol: str | None) -> Meaning:
        return table_meaning(root, root / TABLE, read_label_colors(root / TABLE), protocol)

    def write(self, root: Path, split: str, samples: Iterable[Sample], labels: LabelMap) -> None:
        if split not in SPLIT_ORDER:
            raise DataError(f"the original layout has the splits {', '.join(SPLIT_ORDER)}, not {split!r}")
        write_label_colors(root / TABLE, labels)
        names = []
        for sample in checked(samples, labels):
            write_image(root / IMAGE_FOLDERS[0] / f"{sample.name}.png", sample.image)
            mask = labels.colorize(sample.label)
            write_image(root / LABEL_FOLDERS[0] / f"{sample.name}{LABEL_ENDING}.png", mask)
            names.append(sample.name)
        write_frame_list(root / f"{split}.txt", names)

    @staticmethod
    def _everything(root: Path) -> Listing:
        folders = [_folder(root, names) for names in (IMAGE_FOLDERS, LABEL_FOLDERS)]
        image_folder, label_folder = (f if f else root for f in folders)
        images = by_name(image_files(image_folder))
        return Listing(str(root), images, labels_by_name(image_files(label_folder), images, LABEL_ENDING))


def _folder(root: Path, names: Iterable[str]) -> Path | None:
    return next((root / name for name in names if (root / name).is_dir()), None)


def _lists(root: Path) -> list[str]:
    return [split for split in SPLIT_ORDER if (root / f"{split}.txt").is_file()]


def camvid_split(frame_name: str) -> str | None:
    """The split of the SegNet release that contains a frame of CamVid; None if the name is not one of CamVid.

    >>> [camvid_split(n) for n in ("0001TP_008520", "0001TP_008550", "0016E5_07959", "0016E5_08400", "a")]
    ['train', 'test', 'val', 'train', None]
    """
    match = re.fullmatch(r"(0001TP|0006R0|0016E5|Seq05VD)_f?(\d+)", frame_name)
    if match is None:
        return None
    drive, number = match[1], int(match[2])
    if drive == "0001TP":
        return "train" if number <= 8520 else "test"
    if drive == "0016E5":
        return "val" if 7959 <= number <= 8159 else "train"
    return "train" if drive == "0006R0" else "test"


def _split_of(name: str, root: Path) -> str:
    split = camvid_split(name)
    if split is None:
        raise DataError(
            f"{root} has no train.txt, val.txt or test.txt, and the name of frame {shown(name)} does not tell its "
            "split as the names of CamVid do; write such lists, with one frame name per line"
        )
    return split
