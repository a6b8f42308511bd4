"""Convert the user's images to frames, and find image and video files in folders."""

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
"""A frame as users have it: an RGB uint8 array [H, W, 3], a Pillow image, a path, or the URL of an image."""


def to_frame(picture: Picture) -> UInt8Array:
    """Convert an image to RGB uint8 [H, W, 3]; an array of this form is returned unchanged.

    Grey arrays [H, W] and [H, W, 1] are repeated over the channels.  RGB and BGR cannot be told apart, so convert
    OpenCV frames with ``aaff.bgr`` first.

    Raises:
        DataError: no such file, not an image, or an array of the wrong type or shape; the message says what is valid.
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
            f"a frame is an array, a Pillow image or a path, not {type(picture).__name__}"
            + ("; convert a tensor [3, H, W] with .permute(1, 2, 0).cpu().numpy()" if _is_tensor(picture) else "")
        )
    return _checked(picture)


def _checked(array: np.ndarray[Any, Any]) -> UInt8Array:
    if array.dtype != np.uint8:
        hint = {
            "f": "; multiply values of 0–1 by 255, round, and convert with .astype(np.uint8)",
            "u": "; divide 16-bit values by 257",
        }.get(array.dtype.kind, "")
        raise DataError(f"a frame must have the type uint8 (0–255), not {array.dtype}{hint}")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3) or array.size == 0:
        raise DataError(f"a frame has shape [height, width, 3], not {list(array.shape)}{_shape_hint(array.shape)}")
    if array.shape[2] == 1:
        return np.repeat(array, 3, axis=2)
    return np.ascontiguousarray(array)


def _shape_hint(shape: Sequence[int]) -> str:
    if len(shape) == 4:
        return "; for several frames call seg.batch(list)"
    if len(shape) == 3 and shape[2] == 4:
        return "; leave out the alpha channel with frame[..., :3]"
    if len(shape) == 3 and shape[0] in (1, 3):
        return "; put the channels last with frame.transpose(1, 2, 0)"
    return ""


def _is_tensor(value: object) -> bool:
    return type(value).__module__.partition(".")[0] == "torch"


def find_images(source: str | Path) -> list[Path]:
    """Find the image files of a source, in natural order of their names (``frame2`` before ``frame10``).

    Args:
        source: a file (with any suffix), a folder (searched recursively, including linked folders, for files with a
            suffix in ``aaff.folders.IMAGE_SUFFIXES``), or a pattern such as ``"drive/*.png"`` (``**`` matches
            sub-folders, including linked ones).  Hidden files are ignored.

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
    """The files found in a folder or by a pattern, each sorted by name.

    Attributes:
        images: image files.
        videos: video files.
        unread: images in formats that aaff cannot read.
    """

    images: list[Path]
    videos: list[Path]
    unread: list[Path]


def find_media(source: str | Path) -> Media:
    """Find the images and videos of a folder or pattern, in the same way as ``find_images``.

    An animated ``.gif`` is a video.

    Raises:
        DataError: there is no such folder, or it has no image and no video.
    """
    found = _find(source)
    if not found.images and not found.videos:
        if found.unread:
            first = found.unread[0]
            raise DataError(f"{_called(source)} only has images such as {first}, which aaff cannot read")
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
    # glob follows loops of linked folders; files_below enters each folder only once.
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
    """Whether a path matches a pattern, part by part; ``**`` matches any number of folders."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(parts[skipped:], pattern[1:]) for skipped in range(len(parts)))
    return bool(parts) and fnmatch.fnmatch(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _fixed(pattern: Path) -> Path:
    """The folder before the first part with a wildcard; only files below it can count as hidden."""
    parts = list(itertools.takewhile(lambda part: not glob.has_magic(part), pattern.parts))
    return Path(*parts)


def _hidden(path: Path, root: Path) -> bool:
    inside = path.relative_to(root).parts if path.is_relative_to(root) else path.parts[-1:]
    return any(part.startswith(".") for part in inside)


def output_names(images: Sequence[Path], root: Path | None = None) -> list[Path]:
    """A unique relative path without suffix for the results of each image.

    Sub-folders are kept.  If images differ only in their suffix, it becomes part of the name: ``a.jpg`` and ``a.png``
    become ``a_jpg`` and ``a_png``.  The names stay unique on file systems that ignore case.

    Args:
        images: paths of files, without repetitions.
        root: the folder that the names are relative to; default: the deepest common folder.

    >>> [str(name) for name in output_names([Path("in/a.jpg"), Path("in/a.png"), Path("in/b/a.png")])]
    ['a_jpg', 'a_png', 'b/a']
    """
    if root is None:
        root = Path(os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in images]))
    short = [Path(os.path.abspath(path)).relative_to(os.path.abspath(root)).with_suffix("") for path in images]
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
