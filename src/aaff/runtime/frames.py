"""What counts as a frame, and where frames are found: the edge where a user's pictures come in."""

from __future__ import annotations

import fnmatch
import glob
import itertools
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from aaff.errors import DataError
from aaff.folders import (
    IMAGE_SUFFIXES,
    UNREAD_SUFFIXES,
    VIDEO_SUFFIXES,
    files_below,
    is_image_file,
    is_video_file,
    natural,
)
from aaff.images import is_animated, read_image, to_rgb
from aaff.labels import UInt8Array
from aaff.runtime.address import fetched, is_address

Picture = UInt8Array | Image.Image | str | Path
"""A frame as users have it: an RGB uint8 array [H, W, 3], a Pillow image, a path, or the http address of an image."""


def to_frame(picture: Picture) -> UInt8Array:
    """Any picture as RGB uint8 [H, W, 3]; an array that already is one comes back as it is.

    Grey arrays [H, W] and [H, W, 1] are repeated over the channels.  Whether an array is RGB or BGR
    cannot be seen: give OpenCV's frames to ``aaff.bgr`` first.

    Raises:
        DataError: no such file, not an image, or an array of another type or shape; says what fits.
    """
    if is_address(picture):
        with fetched(str(picture)) as file:
            return read_image(file)
    if isinstance(picture, str | Path):
        return read_image(picture)
    if isinstance(picture, Image.Image):
        return to_rgb(picture)
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
        source: a file (whatever its suffix), a folder (searched with its sub-folders, linked ones too, for files
            with a suffix of ``aaff.folders.IMAGE_SUFFIXES``), or a pattern such as ``"drive/*.png"``
            (``**`` for sub-folders, linked ones too).  Hidden files are left out.

    Raises:
        DataError: there is no such file or folder, or no image in it.
    """
    if os.path.isfile(source):
        return [Path(source)]
    images, videos, _ = _find(source)
    if not images:
        inside = f"; it has a video, name it instead: {videos[0]}" if videos else ""
        raise DataError(f"{_called(source)} has no image (looked for {', '.join(IMAGE_SUFFIXES)}){inside}")
    return images


class Media(NamedTuple):
    """What a folder or pattern holds, each sorted by names.

    Attributes:
        images: image files.
        videos: video files.
        unread: pictures in formats that aaff does not read.
    """

    images: list[Path]
    videos: list[Path]
    unread: list[Path]


def find_media(source: str | Path) -> Media:
    """The images and the videos that a folder or pattern holds, found and sorted as by ``find_images``.

    A ``.gif`` that moves is a video.

    Raises:
        DataError: there is no such folder, or neither image nor video in it.
    """
    found = _find(source)
    if not found.images and not found.videos:
        if found.unread:
            first = found.unread[0]
            raise DataError(f"{_called(source)} has pictures such as {first} only, which aaff cannot read")
        looked = ", ".join(dict.fromkeys((*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)))
        raise DataError(f"{_called(source)} has no image and no video (looked for {looked})")
    moving = {path for path in found.images if path.suffix.lower() == ".gif" and is_animated(path)}
    return Media(
        [path for path in found.images if path not in moving],
        sorted([*found.videos, *moving], key=natural),
        found.unread,
    )


def _find(source: str | Path) -> Media:
    path = Path(source)
    if os.path.isdir(path):
        found = [p for p in files_below(path) if not _hidden(p, path)]
    elif glob.has_magic(str(source)):
        found = [p for p in _matches(str(source)) if not _hidden(p, _fixed(path))]
    else:
        raise DataError(f"there is no file or folder {path}")
    found.sort(key=natural)
    return Media(
        [path for path in found if is_image_file(path)],
        [path for path in found if is_video_file(path)],
        [path for path in found if path.suffix.lower() in UNREAD_SUFFIXES],
    )


def _called(source: str | Path) -> str:
    return f"folder {source}" if os.path.isdir(source) else f"pattern {str(source)!r}"


def _matches(pattern: str) -> list[Path]:
    parts = Path(pattern).parts
    if "**" not in parts:
        return [Path(name) for name in glob.glob(pattern) if os.path.isfile(name)]
    # glob follows links to folders in every circle that they make; files_below enters each folder once.
    first = parts.index("**")
    rest = parts[first:] if parts[-1] != "**" else (*parts[first:], "*")
    start = os.path.join(*parts[:first]) if first else "."
    folders = glob.glob(start) if glob.has_magic(start) else [start]
    return [
        file
        for folder in map(Path, folders)
        if folder.is_dir()
        for file in files_below(folder)
        if _fits(file.relative_to(folder).parts, rest)
    ]


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path fits a pattern, part by part; ``**`` stands for any number of folders."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(parts[skipped:], pattern[1:]) for skipped in range(len(parts)))
    return bool(parts) and fnmatch.fnmatch(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _fixed(pattern: Path) -> Path:
    """The folder before the first part with a star; what is hidden is judged below it."""
    parts = list(itertools.takewhile(lambda part: not glob.has_magic(part), pattern.parts))
    return Path(*parts)


def _hidden(path: Path, root: Path) -> bool:
    inside = path.relative_to(root).parts if path.is_relative_to(root) else path.parts[-1:]
    return any(part.startswith(".") for part in inside)


def output_names(images: Sequence[Path], root: Path | None = None) -> list[Path]:
    """For every image a relative path without suffix under which its results can lie; no two are alike.

    Sub-folders are kept.  Images that differ in their suffix alone get it into their name: ``a.jpg`` and
    ``a.png`` become ``a_jpg`` and ``a_png``.  Upper and lower case count as alike, as some file systems
    cannot tell them apart.

    Args:
        images: paths of files, each once.
        root: the folder that the names are relative to; default: the nearest common one.

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
