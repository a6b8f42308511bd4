"""Outputs of a conversion: videos, index frames and JSON lines, all written atomically."""

from __future__ import annotations

import contextlib
import os
import re
from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO, Any, Generic, Literal, TypeVar, get_args

from PIL import Image

from aaff.errors import AaffError, UnknownNameError
from aaff.files import replacing, temporary_folder
from aaff.images import png_mark
from aaff.labels import LabelMap, UInt8Array
from aaff.provenance import origin
from aaff.runtime.prediction import Prediction
from aaff.textfile import to_json
from aaff.video.pictures import Form, Painter, Style
from aaff.video.sources import DEFAULT_RATE, Frame, SourceInfo
from aaff.video.writer import VideoWriter

Kind = Literal["overlay", "side", "map", "index", "json"]
"""Three forms of a video (``aaff.video.pictures.Form``), a folder of palette PNGs of the class ids, and JSON lines."""

T = TypeVar("T")


class Output(ABC, Generic[T]):
    """One output.  ``draw`` and ``write`` run in different threads, each for one frame at a time."""

    path: Path

    @abstractmethod
    def draw(self, frame: Frame, prediction: Prediction) -> T:
        """Render the data to write for a frame."""

    @abstractmethod
    def write(self, frame: Frame, drawn: T) -> None:
        """Write the data of a frame.

        Raises:
            AaffError: it cannot be written; this output is discarded and an existing file at ``path`` is unchanged.
        """

    @abstractmethod
    def finish(self) -> Path | None:
        """Finish the output and move it into place.

        Returns:
            ``path``; None if nothing was written, or the output was discarded.

        Raises:
            AaffError: the output cannot be written.
        """


class VideoOutput(Output[UInt8Array]):
    """A video of the frames in one form, each at its own time.

    Args:
        path: path of the ``.mp4`` file.
        form: the form, see ``aaff.video.pictures.Form``.
        info: information about the source: frame rate, time base and pixel aspect ratio.
        style: style of overlays.

    Raises:
        AaffError: H.264 cannot be written here.
    """

    def __init__(self, path: Path, form: Form, info: SourceInfo, style: Style = Style()) -> None:
        self.path = path
        self._paint = Painter(form, style)
        self._writer = VideoWriter(
            path,
            rate=info.rate or DEFAULT_RATE,
            tick=info.tick,
            pixel_aspect=info.pixel_aspect,
            comment=origin(info.name),
        )

    def draw(self, frame: Frame, prediction: Prediction) -> UInt8Array:
        return self._paint(prediction)

    def write(self, frame: Frame, drawn: UInt8Array) -> None:
        self._writer.write(drawn, frame.time, frame.duration)

    def finish(self) -> Path | None:
        return self._writer.close()


class LinesOutput(Output[str]):
    """One line of JSON per frame: ``frame``, ``time`` in seconds, ``latency_ms`` (end to end), ``shares`` (0–1) of all
    classes, ``source``.

    Args:
        path: path of the file, usually ending in ``.jsonl``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._place: contextlib.AbstractContextManager[Path] | None = None
        self._file: IO[str] | None = None

    def draw(self, frame: Frame, prediction: Prediction) -> str:
        row = {
            "frame": frame.index,
            "time": round(float(frame.time), 6),
            "latency_ms": round(prediction.latency, 3),
            "shares": {name: round(share, 6) for name, share in prediction.shares().items()},
            "source": frame.name,
        }
        return to_json(row)

    def write(self, frame: Frame, drawn: str) -> None:
        try:
            if self._file is None:
                self._place = replacing(self.path)
                self._file = open(self._place.__enter__(), "w", encoding="utf-8")  # noqa: SIM115 - until finish()
            self._file.write(drawn + "\n")
        except OSError as error:
            self._end(error)

    def finish(self) -> Path | None:
        if self._file is None:
            return None
        self._end(None)
        return self.path

    def _end(self, error: OSError | None) -> None:
        """Close the file and move it into place; an error is raised as an AaffError instead."""
        file, self._file = self._file, None
        try:
            if file is not None:
                file.close()
        except OSError as late:  # while flushing the buffer
            error = error or late
        if self._place is not None:
            self._place.__exit__(type(error) if error else None, error, None)


class IndexOutput(Output[UInt8Array]):
    """A folder of palette PNGs ``000000.png``, … with the class ids, numbered like the source's frames.

    The frames are written to a temporary folder first.  In the end they replace all frames of an earlier run in
    ``path``; other files there are kept.

    Args:
        path: the folder.
        labels: names and colours of the classes.
        mark: mark of every frame, see ``aaff.images.read_mark``.
    """

    def __init__(self, path: Path, labels: LabelMap, mark: str) -> None:
        self.path = path
        self._palette, self._info = labels.palette.tobytes(), png_mark(mark)
        self._place: contextlib.AbstractContextManager[Path] | None = None
        self._temporary: Path | None = None

    def draw(self, frame: Frame, prediction: Prediction) -> UInt8Array:
        return prediction.class_map

    def write(self, frame: Frame, drawn: UInt8Array) -> None:
        picture = Image.fromarray(drawn)
        picture.putpalette(self._palette)
        if self._temporary is None:
            self._place = temporary_folder(self.path.parent)
            self._temporary = self._place.__enter__()
        try:
            # The lowest compression level is enough, since the maps consist of large uniform areas, and it is fast.
            picture.save(self._temporary / f"{frame.index:06}.png", compress_level=1, pnginfo=self._info)
        except OSError as error:
            self._end(error)

    def finish(self) -> Path | None:
        if self._temporary is None:
            return None
        try:
            if self.path.is_dir():
                for old in self.path.iterdir():
                    if re.fullmatch(r"\d{6,}\.png", old.name):
                        old.unlink()
                for new in sorted(self._temporary.iterdir()):
                    os.replace(new, self.path / new.name)
            else:
                os.replace(self._temporary, self.path)
        except OSError as error:
            self._end(error)
        self._end(None)
        return self.path

    def _end(self, error: OSError | None) -> None:
        """Remove the temporary folder; an error is raised as an AaffError."""
        place, self._place, self._temporary = self._place, None, None
        if place is not None:
            place.__exit__(type(error) if error else None, error, None)
        if error is not None:
            raise AaffError(f"cannot write {self.path}: {error.strerror or error}") from error


def output_path(kind: Kind, stem: Path) -> Path:
    """Path of an output made by ``make_output``: ``STEM_overlay.mp4``, ``STEM_side.mp4``, ``STEM_map.mp4``, the folder
    ``STEM_index`` or ``STEM.jsonl``.
    """
    ending = {"json": ".jsonl", "index": "_index"}.get(kind, f"_{kind}.mp4")
    return stem.with_name(stem.name + ending)


def make_output(kind: Kind, stem: Path, info: SourceInfo, labels: LabelMap, *, style: Style = Style()) -> Output[Any]:
    """Make the output of one kind, written to ``output_path``.

    Raises:
        UnknownNameError: there is no such kind.
        AaffError: H.264 cannot be written here.
    """
    if kind not in get_args(Kind):
        raise UnknownNameError("kind of result", kind, get_args(Kind))
    path = output_path(kind, stem)
    if kind == "json":
        return LinesOutput(path)
    if kind == "index":
        return IndexOutput(path, labels, origin(info.name))
    return VideoOutput(path, kind, info, style)
