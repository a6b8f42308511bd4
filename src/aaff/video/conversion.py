"""From a source to files: decoding, network, drawing and writing at the same time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice, repeat
from pathlib import Path
from statistics import median
from typing import Any

from aaff.errors import AaffError
from aaff.runtime.prediction import Prediction
from aaff.runtime.segmenter import Segmenter
from aaff.video.flow import Channel, Flow
from aaff.video.outputs import Output
from aaff.video.sources import Frame, Source, SourceInfo

_REMEMBERED = 10_000
"""Latencies that the median is made of, so that an endless stream needs no endless memory."""
_WINDOW = 60
"""Frames over which the rate on display is the mean."""


@dataclass(frozen=True)
class Progress:
    """How far a conversion is.

    Attributes:
        frames: how many are written.
        total: how many there will be; None when not known, or when the header has proved wrong.
        rate: frames per second, lately; None before the second frame.
        left: seconds until the end; None when not known.
        dropped: frames of a live source that were too old to be looked at.
    """

    frames: int
    total: int | None
    rate: float | None
    left: float | None
    dropped: int


class Conversion:
    """One source on its way into files.

    Decoding, network, drawing and writing run in a thread each, a few frames ahead of one another, so that
    memory does not grow with the length.  Of a file every frame is done; of a live source always the newest.

    However it ends (the source is cut off, the network fails, Ctrl-C), what was written until then is
    finished and playable; only a result that itself cannot be written is given up.

    Args:
        segmenter: the model.
        source: used up by ``run``.
        outputs: what to write.
        limit: end after so many frames; None for all.

    Attributes:
        frames: how many were written.
        dropped: how many of a live source were not looked at.
        seconds: how long ``run`` took.
        problems: sentences about what could not be read or, after another error, finished.
        written: paths of the finished results.
    """

    def __init__(
        self, segmenter: Segmenter, source: Source, outputs: Sequence[Output[Any]], *, limit: int | None = None
    ) -> None:
        self.segmenter = segmenter
        self.source = source
        self.outputs = outputs
        self.limit = limit
        self.frames = 0
        self.dropped = 0
        self.seconds = 0.0
        self.problems: list[str] = []
        self.written: list[Path] = []
        self._latencies: deque[float] = deque(maxlen=_REMEMBERED)

    @property
    def latency(self) -> float | None:
        """Median end-to-end latency of the last frames in milliseconds; None before the first."""
        return median(self._latencies) if self._latencies else None

    def run(self, report: Callable[[Progress], None] = lambda _: None) -> None:
        """Do it all.

        Args:
            report: called after every frame, in the thread of the caller.

        Raises:
            AaffError: a result cannot be written; the others are finished.
        """
        began = time.perf_counter()
        try:
            self._run(report)
        except BaseException:
            self.problems += map(str, self._finish())
            raise
        else:
            for error in self._finish():
                raise error
        finally:
            self.problems = [*self.source.problems, *self.problems]
            self.seconds = time.perf_counter() - began

    def _run(self, report: Callable[[Progress], None]) -> None:
        live = self.source.info.live
        clock = _Meter(self.source.info)
        with Flow() as flow:
            frames = flow.ahead(self.source, 1 if live else 4, newest=live)
            predicted = flow.ahead(predictions(self.segmenter, islice(frames, self.limit)))
            drawn = flow.ahead(_drawn(self.outputs, predicted))
            # The thread that writes is never interrupted half-way through a frame: Ctrl-C comes to this one.
            for frame, count in flow.ahead(self._written(drawn)):
                self.dropped = frames.dropped
                report(clock.progress(count, frame, self.dropped))

    def _written(self, items: Channel[_Drawn]) -> Generator[tuple[Frame, int], None, None]:
        """Several results of one frame are written at the same time."""
        with ThreadPoolExecutor(max(1, len(self.outputs))) as pool:
            for frame, latency, pieces in items:
                list(pool.map(_write, self.outputs, repeat(frame), pieces))  # the list raises what a write raised
                self.frames += 1
                self._latencies.append(latency)
                yield frame, self.frames

    def _finish(self) -> list[AaffError]:
        # Signals come to the main thread, so one that comes now waits until every file is complete.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(self._finish_all).result()

    def _finish_all(self) -> list[AaffError]:
        errors = []
        for output in self.outputs:
            try:
                if path := output.finish():
                    self.written.append(path)
            except AaffError as error:
                errors.append(error)
        return errors


def predictions(segmenter: Segmenter, frames: Iterable[Frame]) -> Generator[tuple[Frame, Prediction], None, None]:
    """Every frame with what the model says about it."""
    for frame in frames:
        prediction = segmenter(frame.image)
        yield frame, replace(prediction, source=frame.name, frame=frame.index, time=float(frame.time))


_Drawn = tuple[Frame, float, list[Any]]


def _drawn(outputs: Sequence[Output[Any]], items: Iterable[tuple[Frame, Prediction]]) -> Generator[_Drawn, None, None]:
    for frame, prediction in items:
        yield frame, prediction.latency, [output.draw(frame, prediction) for output in outputs]


def _write(output: Output[Any], frame: Frame, piece: Any) -> None:
    output.write(frame, piece)


class _Meter:
    """Rate and time left: n stamps make n − 1 intervals."""

    def __init__(self, info: SourceInfo) -> None:
        self._info = info
        self._stamps: deque[tuple[float, Fraction]] = deque(maxlen=_WINDOW)

    def progress(self, frames: int, frame: Frame, dropped: int) -> Progress:
        self._stamps.append((time.perf_counter(), frame.time))
        (began, first), (now, last) = self._stamps[0], self._stamps[-1]
        seconds = now - began
        rate = left = None
        if len(self._stamps) > 1 and seconds > 0:
            rate = (len(self._stamps) - 1) / seconds
            if self._info.seconds is not None and last > first:
                left = float(self._info.seconds - last) * seconds / float(last - first)
        total = self._info.frames
        if total is None and self._info.seconds and self._info.rate:
            total = round(self._info.seconds * self._info.rate)
        if total is not None and frames > total:
            total = None
        return Progress(frames, total, rate, left if left is not None and left >= 0 else None, dropped)
