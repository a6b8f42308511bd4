"""Lists of frames: text files with one frame per line, which define the splits of many data sets."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from aaff.errors import DataError, shown
from aaff.files import write_text
from aaff.folders import is_image_file
from aaff.textfile import read_text


def read_frame_list(path: Path) -> list[str]:
    """Read the frame names of a list, in its order.

    A line is a frame name, a file, or an image file and its label file separated by a space, as in the lists of the
    SegNet release.  Folders and image suffixes are ignored.

    Raises:
        DataError: there is no such file, it is not a text file, or a frame occurs twice.
    """
    names: dict[str, None] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        words = line.split()
        whole = Path(words[0] if len(words) == 2 and all(is_image_file(Path(w)) for w in words) else line.strip())
        name = whole.stem if is_image_file(whole) else whole.name
        if name in names:
            raise DataError(f"{path}, line {number}: the frame {shown(name)} occurs twice")
        names[name] = None
    return list(names)


def write_frame_list(path: Path, names: Iterable[str]) -> None:
    """Write frame names as the files ``NAME.png``, one per line, atomically."""
    write_text(path, "".join(f"{name}.png\n" for name in names))
