"""Find pairs of images and masks in a folder of unknown structure, by the names of folders and files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aaff.errors import DataError
from aaff.folders import files_below, is_image_file, natural

_MASK_WORDS = (
    "mask masks label labels labelids labeltrainids annotation annotations annot annots gt gtfine groundtruth truth "
    "seg segs segmentation segmentations segmentationclass ids id index l"
).split()
_IMAGE_WORDS = (
    "image images img imgs rgb photo photos frame frames picture pictures jpegimages leftimg8bit color".split()
)
_SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}


@dataclass(frozen=True)
class Found:
    """One image with its mask.

    Attributes:
        name: name of the frame: that of both files without the words that mark a mask.
        image: path of the image, relative to the folder.
        mask: path of the mask, relative to the folder.
        split: ``"train"``, ``"val"`` or ``"test"`` according to the name of a folder, else ``""``.
    """

    name: str
    image: Path
    mask: Path
    split: str


@dataclass(frozen=True)
class Discovery:
    """The result of ``find_pairs``.

    Attributes:
        pairs: images with their masks, in the natural order of the images' paths.
        alone: image files that belong to no pair.
    """

    pairs: tuple[Found, ...]
    alone: tuple[Path, ...]


def find_pairs(root: Path) -> Discovery:
    """Find images and their masks in a folder and its sub-folders.

    A file is a mask if the name of one of its folders, or the end of its own name, contains a word for masks:
    ``masks/a.png``, ``a_mask.png``, ``trainannot/a.png``.  It belongs to the image whose path is the same without such
    words.

    Raises:
        DataError: there is no such folder, or no pair in it.
    """
    if not root.is_dir():
        raise DataError(f"there is no folder {root}")
    files = sorted((p.relative_to(root) for p in files_below(root) if is_image_file(p)), key=natural)
    keyed = [(*_key(path), path) for path in files]
    masks = {key: path for key, is_mask, path in reversed(keyed) if is_mask}
    images = {key: path for key, is_mask, path in reversed(keyed) if not is_mask}
    pairs = [Found(key[-1], path, masks[key], _split(path)) for key, path in images.items() if key in masks]
    if not pairs:
        raise DataError(
            f"{root} has {len(files)} image files, but no image with a mask; put them into two folders such as "
            f"images/NAME.jpg and masks/NAME.png, or name the masks NAME_mask.png"
        )
    used = {path for pair in pairs for path in (pair.image, pair.mask)}
    return Discovery(
        tuple(sorted(pairs, key=lambda pair: natural(pair.image))), tuple(path for path in files if path not in used)
    )


def _key(path: Path) -> tuple[tuple[str, ...], bool]:
    """A key shared by an image and its mask (folders and name without words for either), and whether it is a mask."""
    folders, is_mask = [], False
    for folder in path.parts[:-1]:
        kept, tells = _without(folder, _MASK_WORDS)
        if not tells and folder.lower().endswith("annot"):  # trainannot
            kept, tells = folder[: -len("annot")], True
        is_mask |= tells
        kept, _ = _without(kept, _IMAGE_WORDS)
        if kept:
            folders.append(kept.lower())
    stem, tells = _without(path.stem, _MASK_WORDS, at_end=True)
    stem, _ = _without(stem, _IMAGE_WORDS, at_end=True)
    return (*folders, stem), is_mask or tells


def _without(name: str, words: Sequence[str], *, at_end: bool = False) -> tuple[str, bool]:
    """A name without those words among its parts, and whether there was one; ``a_mask`` is ``a``.

    >>> _without("a_gtFine_labelIds", _MASK_WORDS, at_end=True), _without("masks", _MASK_WORDS)
    (('a', True), ('', True))
    """
    parts = re.split(r"([_\-. ]+)", name)
    found = False
    if at_end:  # the first part is the frame's own name
        while len(parts) > 2 and parts[-1].lower() in words:
            parts, found = parts[:-2], True
    else:
        kept = [part for part in parts[::2] if part.lower() not in words]
        found = len(kept) < len(parts[::2])
        parts = ["_".join(kept)] if found else parts
    return "".join(parts), found


def _split(path: Path) -> str:
    words: Iterable[str] = (word for folder in path.parts[:-1] for word in re.split(r"[_\-. ]+", folder.lower()))
    return next((_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS), "")
