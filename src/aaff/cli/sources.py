"""Turn the sources on a command line into files, videos and cameras that can be opened."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.request import url2pathname

from aaff.errors import OptionError


@dataclass(frozen=True)
class Named:
    """One source.

    Attributes:
        place: a path, pattern, camera or URL that can be opened.
        shown: what the user wrote.
    """

    place: str
    shown: str


@contextlib.contextmanager
def localised(words: Sequence[str]) -> Iterator[list[Named]]:
    """Yield the sources; standard input (``-``) and images at HTTP URLs are saved to temporary files.

    Raises:
        OptionError: there is no source, or nothing is piped into standard input.
        DataError: a URL cannot be read.
    """
    from aaff.folders import is_image_file
    from aaff.runtime.address import fetched, is_address, split_address

    if not words:
        raise OptionError("aaff predict needs a SOURCE: an image, a folder, a video, camera:0, a URL or -")
    with contextlib.ExitStack() as stack:
        found = []
        for word in words:
            if word.startswith("file://"):
                word = url2pathname(split_address(word).path)
            place = word
            if word == "-":
                place = str(stack.enter_context(_standard_input()))
            elif is_address(word) and is_image_file(Path(word.partition("?")[0])):
                place = str(stack.enter_context(fetched(word)))
            found.append(Named(place, "stdin" if word == "-" else word))
        yield found


@contextlib.contextmanager
def _standard_input() -> Iterator[Path]:
    if sys.stdin is None or sys.stdin.isatty():
        raise OptionError("- reads standard input, but nothing is piped into it; try: cat street.png | aaff predict -")
    with tempfile.TemporaryDirectory(prefix="aaff-") as folder:
        path = Path(folder) / "stdin"
        with open(path, "wb") as file:
            while block := sys.stdin.buffer.read(1 << 20):
                file.write(block)
        if not path.stat().st_size:
            raise OptionError("standard input is empty; pipe an image or a video into it")
        yield path


def default_folder(sources: Sequence[Named]) -> Path:
    """The first free one of ``runs/predict/NAME``, ``NAME-2``, …, where NAME is derived from the first source."""
    from aaff.video import short_name

    first = sources[0]
    name = "stdin" if first.shown == "stdin" else short_name(first.place)
    parent, number = Path("runs") / "predict", 1
    folder = parent / name
    while folder.exists():
        number += 1
        folder = parent / f"{name}-{number}"
    return folder
