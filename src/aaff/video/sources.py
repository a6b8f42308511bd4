"""Sources of frames, and how a source is opened from what a user names."""

from __future__ import annotations

import glob
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from aaff.errors import DataError, OptionError
from aaff.folders import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from aaff.images import is_animated, is_image
from aaff.labels import UInt8Array
from aaff.preprocess import Size
from aaff.runtime.address import shown_name, split_address

DEFAULT_RATE = Fraction(30)
"""Frames per second if a source does not state its rate."""


@dataclass(frozen=True)
class Frame:
    """One frame of a source.

    Attributes:
        image: RGB uint8 [H, W, 3], upright.
        index: index in the source, from 0; if frames of a live source are dropped, indices are missing.
        time: exact seconds since the start of the source, larger than that of the previous frame.
        duration: display time in seconds, None if unknown.
        name: the file, the URL without its password, or the image file in a folder.
    """

    image: UInt8Array
    index: int
    time: Fraction
    name: str
    duration: Fraction | None = None


@dataclass(frozen=True)
class SourceInfo:
    """Information about a source before it is read.

    Attributes:
        name: file, URL without its password, or ``camera 0``.
        live: whether it is a live source, which does not wait for its reader, so only the newest frame is useful.
        size: size of the first frame, upright; others may differ.
        rate: frames per second, roughly the mean if it varies.  None for images without times.
        tick: the time base in seconds; the time of each frame is a multiple of it.
        frames: number of frames according to the header, which may be wrong; None if unknown.
        seconds: duration according to the header; None if unknown.
        pixel_aspect: pixel aspect ratio, width / height.
    """

    name: str
    live: bool
    size: Size
    rate: Fraction | None
    tick: Fraction
    frames: int | None = None
    seconds: Fraction | None = None
    pixel_aspect: Fraction = Fraction(1)


class Source(ABC):
    """A source of frames, which can be iterated once.  Opening it reads the first frame, to detect invalid files early.

    Attributes:
        info: information known in advance.
        problems: messages about frames that could not be read; complete when the iteration has ended.  A damaged
            source yields the frames that can be read instead of raising an error.
    """

    info: SourceInfo
    problems: list[str]

    @abstractmethod
    def __iter__(self) -> Generator[Frame, None, None]:
        """The frames; closing the generator closes the source."""


def source_kind(source: str | Path | int) -> Literal["images", "video", "camera"]:
    """The kind of a source named by a user, judged by its name and, if in doubt, by the content of the file.

    Raises:
        OptionError: ``camera:`` without a number.
        DataError: there is no such video file.
    """
    text = str(source)
    path = Path(text)
    if isinstance(source, int) or (re.fullmatch(r"(camera:)?[0-9]{1,9}", text) and not os.path.exists(path)):
        return "camera"
    if text.startswith("camera:"):
        raise OptionError(f"{text} is not a camera; cameras are numbered: camera:0, camera:1, …")
    if "://" in text:
        return "video" if _on_the_web(text) else "camera"
    if os.path.exists(path) and path.is_char_device():
        return "camera"
    suffix = path.suffix.lower()
    if suffix == ".gif" and os.path.isfile(path):
        return "video" if is_animated(path) else "images"
    if os.path.isdir(path) or suffix in IMAGE_SUFFIXES or (glob.has_magic(text) and not os.path.exists(path)):
        return "images"
    if suffix in VIDEO_SUFFIXES:
        if not os.path.exists(path):
            raise DataError(f"there is no video file {path}")
        return "video"
    return "video" if os.path.exists(path) and (not is_image(path) or is_animated(path)) else "images"


def open_source(source: str | Path | int, *, rate: Fraction | None = None, name: str | None = None) -> Source:
    """Open a source named by a user.

    Args:
        source: a video file; ``camera:0`` or a number; a URL (``rtsp://…``, ``http://…``; live, unless it has the
            suffix of a video file); or images: a file, a folder, a pattern such as ``"drive/*.png"``.
        rate: frames per second of a folder of images; if None, they have no times.
        name: name of a video file in frames and messages; default: its path or URL.

    Raises:
        DataError: it does not exist, cannot be opened or has no frame; the message says why.
        OptionError: ``camera:`` without a number.
    """
    kind = source_kind(source)
    if kind == "images":
        from aaff.video.folder import ImageFolder

        return ImageFolder(source if isinstance(source, Path) else str(source), rate=rate)
    if kind == "camera":
        from aaff.video.camera import Camera

        text = str(source).removeprefix("camera:")
        return Camera(int(text) if text.isdecimal() else text)
    from aaff.video.container import VideoFile

    return VideoFile(source if isinstance(source, Path) else str(source), name=name)


def source_name(source: str | Path | int) -> str:
    """Name of a source in results: ``camera 0``, else the path, or the URL without password."""
    number = str(source).removeprefix("camera:")
    return f"camera {number}" if number.isdecimal() and source_kind(source) == "camera" else shown_name(str(source))


def short_name(source: str | Path | int) -> str:
    """A name for files made from a source.

    >>> [short_name(name) for name in ("in/drive.mp4", "camera:1", "rtsp://10.0.0.2:554/front?x=1", "in/drive/*.png")]
    ['drive', 'camera1', 'front', 'drive']
    """
    text = shown_name(str(source))
    if "://" in text:
        parts = split_address(text)
        words = [word for word in parts.path.split("/") if word] or [parts.hostname or "stream"]
        name = words[-1] if not _on_the_web(text) else Path(words[-1]).stem
    elif text.startswith("camera:") or text.isdecimal():
        name = "camera" + text.removeprefix("camera:")
    elif glob.has_magic(text) and not os.path.exists(text):
        fixed = [part for part in Path(text).parent.parts if not glob.has_magic(part)]
        name = Path(os.path.abspath(Path(*fixed))).name
    else:
        path = Path(os.path.abspath(text))
        name = path.name if os.path.isdir(path) else path.stem
    return re.sub(r"[^\w.\-]+", "_", name) or "video"


def _on_the_web(address: str) -> bool:
    parts = split_address(address)
    return parts.scheme in ("http", "https") and Path(parts.path).suffix.lower() in VIDEO_SUFFIXES
