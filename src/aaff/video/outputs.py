"""What a video is turned into: videos, index frames, lines of JSON.  Files that are complete or absent."""

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
"""Three forms of a video (``aaff.video.pictures.Form``), a folder of palette PNGs of the class ids, and
one line of JSON per frame."""

T = TypeVar("T")


class Output(ABC, Generic[T]):
    """One result.  ``draw`` and ``write`` run in different threads, each for one frame after the other."""

    path: Path

    @abstractmethod
    def draw(self, frame: Frame, prediction: Prediction) -> T:
        """What is to be written of a frame."""

    @abstractmethod
    def write(self, frame: Frame, drawn: T) -> None:
        """Write it.

        Raises:
            AaffError: it cannot be written; this result is given up and what was at ``path`` is unchanged.
        """

    @abstractmethod
    def finish(self) -> Path | None:
        """Put what was written in its place.

        Returns:
            ``path``; None when there is nothing, or when it was given up.

        Raises:
            AaffError: it cannot be written.
        """


class VideoOutput(Output[UInt8Array]):
    """The frames drawn in one form, each shown at its own time.

    Args:
        path: an ``.mp4``.
        form: what the pictures show.
        info: of the source, for its rate, the unit of its times and the shape of its pixels.
        style: how overlays are painted.

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
        path: ends in ``.jsonl`` by custom.
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
        """Close the file; it takes its place unless there is an error, which is raised as a sentence."""
        file, self._file = self._file, None
        try:
            if file is not None:
                file.close()
        except OSError as late:  # what was still buffered
            error = error or late
        if self._place is not None:
            self._place.__exit__(type(error) if error else None, error, None)


class IndexOutput(Output[UInt8Array]):
    """A folder of palette PNGs ``000000.png`` …, numbered as the source's frames: the class ids, lossless.

    Written into a temporary folder.  In the end its frames replace all frames that an earlier run left in ``path``;
    other files there stay.

    Args:
        path: the folder.
        labels: classes and colours.
        mark: what every frame carries, see ``aaff.images.read_mark``.
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
            # The lowest level of compression: these maps are large even areas, and time is short.
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
        """Remove the temporary folder; an error is raised as a sentence."""
        place, self._place, self._temporary = self._place, None, None
        if place is not None:
            place.__exit__(type(error) if error else None, error, None)
        if error is not None:
            raise AaffError(f"cannot write {self.path}: {error.strerror or error}") from error


def output_path(kind: Kind, stem: Path) -> Path:
    """Where ``make_output`` puts a result: ``STEM_overlay.mp4``, ``STEM_side.mp4``, ``STEM_map.mp4``, the folder
    ``STEM_index`` or ``STEM.jsonl``.
    """
    ending = {"json": ".jsonl", "index": "_index"}.get(kind, f"_{kind}.mp4")
    return stem.with_name(stem.name + ending)


def make_output(kind: Kind, stem: Path, info: SourceInfo, labels: LabelMap, *, style: Style = Style()) -> Output[Any]:
    """The output for one kind, at ``output_path``.

    Raises:
        UnknownNameError: no such kind.
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
