"""What counts as a frame, and where frames are found: the edge where a user's pictures come in."""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aaff.errors import DataError
from aaff.images import IMAGE_SUFFIXES, read_image, to_rgb
from aaff.labels import UInt8Array

Picture = UInt8Array | Image.Image | str | Path
"""A frame as users have it: an RGB uint8 array [H, W, 3], a Pillow picture, or the path of a file."""


def to_frame(picture: Picture) -> UInt8Array:
    """Any picture as RGB uint8 [H, W, 3]; an array that already is one comes back as it is.

    Grey arrays [H, W] and [H, W, 1] are repeated over the channels.  Whether an array is RGB or BGR
    cannot be seen: turn frames of OpenCV round first, with ``frame[..., ::-1]``.

    Raises:
        DataError: no such file, no image, or an array of another type or shape; says what would fit.
    """
    if isinstance(picture, str | Path):
        return read_image(picture)
    if isinstance(picture, Image.Image):
        try:
            return to_rgb(picture)
        except (OSError, SyntaxError) as error:  # Pillow decodes late: a truncated file shows up only here
            raise DataError(f"cannot decode the picture: {error}; is its file complete?") from error
    if not isinstance(picture, np.ndarray):
        raise DataError(
            f"a frame is an array, a Pillow picture or a path, not {type(picture).__name__}"
            + ("; a tensor [3, H, W] becomes one with .permute(1, 2, 0).cpu().numpy()" if _is_tensor(picture) else "")
        )
    return _checked(picture)


def _checked(array: np.ndarray[Any, Any]) -> UInt8Array:
    if array.dtype != np.uint8:
        hint = {
            "f": "; multiply values of 0–1 by 255, round and convert with .astype(np.uint8)",
            "u": "; divide 16-bit values by 257",
        }.get(array.dtype.kind, "")
        raise DataError(f"a frame has values of type uint8 (0–255), not {array.dtype}{hint}")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3) or array.size == 0:
        raise DataError(f"a frame has shape [height, width, 3], not {list(array.shape)}{_shape_hint(array.shape)}")
    if array.shape[2] == 1:
        return np.repeat(array, 3, axis=2)
    return np.ascontiguousarray(array)


def _shape_hint(shape: Sequence[int]) -> str:
    if len(shape) == 4:
        return "; give several frames to seg.batch(list)"
    if len(shape) == 3 and shape[2] == 4:
        return "; leave out the alpha channel with frame[..., :3]"
    if len(shape) == 3 and shape[0] in (1, 3):
        return "; put the channels last with frame.transpose(1, 2, 0)"
    return ""


def _is_tensor(value: object) -> bool:
    return type(value).__module__.partition(".")[0] == "torch"


def find_images(source: str | Path) -> list[Path]:
    """The image files that a source stands for, in the order of their names (``frame2`` before ``frame10``).

    Args:
        source: a file (whatever its suffix), a folder (searched with its sub-folders for files with a
            suffix of :data:`aaff.images.IMAGE_SUFFIXES`), or a pattern such as ``"drive/*.png"``
            (``**`` for sub-folders).  Hidden files are left out.

    Raises:
        DataError: there is no such file or folder, or no image in it.
    """
    path = Path(source)
    if path.is_file():
        return [path]
    if path.is_dir():
        found = [Path(folder) / name for folder, _, names in os.walk(path) for name in names]
        where = f"folder {path}"
    elif glob.has_magic(str(source)):
        found = [Path(name) for name in glob.glob(str(source), recursive=True)]
        where = f"pattern {str(source)!r}"
    else:
        raise DataError(f"there is no file or folder {path}")
    images = [p for p in found if p.suffix.lower() in IMAGE_SUFFIXES and not _hidden(p, path) and p.is_file()]
    if not images:
        raise DataError(f"{where} gives no image (looked for {', '.join(IMAGE_SUFFIXES)})")
    return sorted(images, key=_natural)


def _hidden(path: Path, root: Path) -> bool:
    inside = path.relative_to(root).parts if path.is_relative_to(root) else path.parts[-1:]
    return any(part.startswith(".") for part in inside)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Numbers in names by their value."""
    pieces = re.split(r"(\d+)", str(path))
    return [(1, int(piece), piece) if piece.isdecimal() else (0, 0, piece) for piece in pieces if piece]


def output_names(images: Sequence[Path], root: Path | None = None) -> list[Path]:
    """For every image a relative path without suffix under which its results can lie; no two are alike.

    Sub-folders are kept.  Images that differ in their suffix alone get it into their name: ``a.jpg`` and
    ``a.png`` become ``a_jpg`` and ``a_png``.  Upper and lower case count as alike, as some file systems
    cannot tell them apart.

    Args:
        images: paths of files, each once.
        root: the folder that the names are relative to; the nearest common one if left out.

    >>> [str(name) for name in output_names([Path("in/a.jpg"), Path("in/a.png"), Path("in/b/a.png")])]
    ['a_jpg', 'a_png', 'b/a']
    """
    if root is None:
        root = Path(os.path.commonpath([path.absolute().parent for path in images]))
    short = [path.absolute().relative_to(root.absolute()).with_suffix("") for path in images]
    uses = Counter(_folded(name) for name in short)
    taken = {name for name, count in uses.items() if count == 1}
    names = []
    for path, name in zip(images, short, strict=True):
        if uses[_folded(name)] > 1:
            stem = f"{name.name}_{path.suffix[1:].lower()}"
            choices = itertools.chain([stem], (f"{stem}_{number}" for number in itertools.count(2)))
            name = next(n for n in map(name.with_name, choices) if _folded(n) not in taken)
            taken.add(_folded(name))
        names.append(name)
    return names


def _folded(path: Path) -> str:
    return str(path).casefold()
