"""Find image and video files: which suffixes count, and the files in a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

IMAGE_SUFFIXES = (
    ".png .jpg .jpeg .jpe .jfif .bmp .tif .tiff .webp .avif .gif .ppm .pgm .pnm".split()  # ffmpeg and Pillow agree
)
"""Suffixes of images, lower case, used when a folder is searched.  Where only images are wanted, the first frame of a
``.gif`` is read; ``aaff predict`` treats an animated one as a video."""

VIDEO_SUFFIXES = (
    ".mp4 .m4v .mov .mkv .webm .avi .ts .mts .m2ts .mpg .mpeg .wmv .flv .ogv .3gp .gif .h264 .h265 .hevc".split()
)
"""Suffixes of videos, lower case.  For a file with another suffix, the content decides."""


UNREAD_SUFFIXES = ".heic .heif .jxl .cr2 .cr3 .nef .arw .dng .orf .rw2 .psd .svg .exr".split()
"""Suffixes of image formats that aaff cannot read; they are reported if a folder has such files."""


def is_image_file(path: Path) -> bool:
    """Whether the file name is that of an image; the content is not checked, and hidden files do not count."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def is_video_file(path: Path) -> bool:
    """Whether the file name is that of a video and not of an image; hidden files do not count."""
    suffix = path.suffix.lower()
    return suffix in VIDEO_SUFFIXES and suffix not in IMAGE_SUFFIXES and not path.name.startswith(".")


def files_below(folder: str | Path) -> Iterator[Path]:
    """The files of a folder and its sub-folders, without hidden ones, in no particular order.

    Links to folders are followed.  A folder that is reached more than once, for instance through a loop of links, is
    searched once.
    """
    seen = set[tuple[int, int]]()
    for place, folders, names in os.walk(folder, followlinks=True):
        try:
            status = os.stat(place)
        except OSError:  # removed meanwhile
            folders.clear()
            continue
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        # Real folders before links to them, so that a file keeps its own name rather than the link's.
        folders[:] = sorted(
            (name for name in folders if not name.startswith(".")),
            key=lambda name: (os.path.islink(os.path.join(place, name)), name),
        )
        for name in names:
            path = Path(place, name)
            if not name.startswith(".") and os.path.isfile(path):
                yield path


def natural(path: Path) -> list[tuple[int, int, str]]:
    """A sort key that orders numbers in names by value (natural order).

    >>> [str(path) for path in sorted([Path("frame10.png"), Path("frame2.png")], key=natural)]
    ['frame2.png', 'frame10.png']
    """
    pieces = re.split(r"([0-9]+)", str(path))
    return [
        (1, int(piece), piece) if piece.isdigit() and len(piece) < 19 else (0, 0, piece) for piece in pieces if piece
    ]
