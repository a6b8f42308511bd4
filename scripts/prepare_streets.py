"""Merge the labels of the street photos into one data set with the classes of camvid11.

    python -m scripts.prepare_streets STREETS OUT

STREETS contains ``train`` and ``val`` (photos) with ``*annot`` (human labels of six classes) and ``*pseudo``
(pseudo-labels of all classes from a network), and ``drives`` with ``drivespseudo``.  OUT becomes a data set for
``aaff train --data``.  The label of a pixel is the first of:

1. the pseudo-label, if it is pole, sign symbol, fence, pedestrian or bicyclist, which people did not label; a pole
   wider than ``WIDEST_POLE`` of the photo is a column of a building and is ignored;
2. the human label;
3. the pseudo-label.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import yaml

from aaff.images import read_ids, write_image
from aaff.labels import CAMVID11, IGNORE, UInt8Array

RARE = tuple(CAMVID11.names.index(name) for name in ("pole", "sign symbol", "fence", "pedestrian", "bicyclist"))
POLE = CAMVID11.names.index("pole")
WIDEST_POLE = 0.035


def read(path: Path) -> UInt8Array:
    """Ids of camvid11, 255 for void (11 in these files)."""
    ids = read_ids(path)
    return np.where(ids < CAMVID11.num_classes, ids, IGNORE).astype(np.uint8)


def without_columns(pseudo: UInt8Array) -> UInt8Array:
    """The label without poles that are too wide to be any."""
    _, parts = cv2.connectedComponents((pseudo == POLE).astype(np.uint8))
    result = pseudo.copy()
    for part in range(1, int(parts.max()) + 1):
        inside = parts == part
        rows = inside.any(1).sum()
        if inside.sum() / rows > WIDEST_POLE * pseudo.shape[1]:  # mean width
            result[inside] = IGNORE
    return result


def merged(people: UInt8Array, pseudo: UInt8Array) -> UInt8Array:
    """The label of a photo from both sources."""
    pseudo = without_columns(pseudo)
    result = np.where(people == IGNORE, pseudo, people)
    return np.where(np.isin(pseudo, RARE), pseudo, result).astype(np.uint8)


def main(streets: Path, out: Path) -> None:
    for split in ("train", "val"):
        for path in sorted((streets / f"{split}annot").glob("*.png")):
            label = read(path)
            if split == "train":
                label = merged(label, read(streets / f"{split}pseudo" / path.name))
            write_image(out / "labels" / split / path.name, label)
    for path in sorted((streets / "drivespseudo").glob("*.png")):
        write_image(out / "labels" / "drives" / path.name, without_columns(read(path)))
    here = streets.resolve()
    description = {
        "name": CAMVID11.name,
        "classes": {name: list(color) for name, color in zip(CAMVID11.names, CAMVID11.colors, strict=True)},
        "splits": {
            "train": {
                "images": [str(here / "train"), str(here / "drives")],
                "labels": ["labels/train", "labels/drives"],
            },
            "val": {"images": str(here / "val"), "labels": "labels/val"},
        },
    }
    (out / "dataset.yaml").write_text(yaml.safe_dump(description, sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("streets", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    main(given.streets, given.out)
