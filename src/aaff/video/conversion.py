"""Convert a source to files: decoding, inference, rendering and writing run concurrently."""

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
"""Number of latencies kept for the median, which bounds the memory of an endless stream."""
_WINDOW = 60
"""Number of frames over which the displayed rate is averaged."""


@dataclass(frozen=True)
class Progress:
    """Progress of a conversion.

    Attributes:
        frames: number of frames written.
        total: total number of frames; None if unknown, or if the header turned out to be wrong.
        rate: recent frames per second; None before the second frame.
        left: estimated seconds until the end; None if unknown.
        dropped: number of frames of a live source that were skipped.
    """

    frames: int
    total: int | None
    rate: float | None
    left: float | None
    dropped: int


class Conversion:
    """Converts one source to files.

    Decoding, inference, rendering and writing each run in their own thread, a few frames ahead of one another, so
    memory does not grow with the length.  Of a file, every frame is processed; of a live source, always the newest.

    However the conversion ends (truncated source, failure of the network, Ctrl-C), the frames written so far are
    finished as complete, playable files; only an output that cannot be written is discarded.

    Args:
        segmenter: the model.
        source: the source, which ``run`` consumes.
        outputs: the outputs to write.
        limit: stop after this many frames; None: all.

    Attributes:
        frames: number of frames written.
        dropped: number of frames of a live source that were skipped.
        seconds: duration of ``run``.
        problems: messages about frames that could not be read or, after another error, outputs not finished.
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
        """Median end-to-end latency of the last frames in milliseconds; None before the first frame."""
        return median(self._latencies) if self._latencies else None

    def run(self, report: Callable[[Progress], None] = lambda _: None) -> None:
        """Run the conversion.

        Args:
            report: called after every frame, in the caller's thread.

        Raises:
            AaffError: an output cannot be written; the others are finished.
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
            # The writing thread is never interrupted in the middle of a frame, since Ctrl-C reaches this thread.
            for frame, count in flow.ahead(self._written(drawn)):
                self.dropped = frames.dropped
                report(clock.progress(count, frame, self.dropped))

    def _written(self, items: Channel[_Drawn]) -> Generator[tuple[Frame, int], None, None]:
        """Write the outputs of a frame in parallel."""
        with ThreadPoolExecutor(max(1, len(self.outputs))) as pool:
            for frame, latency, pieces in items:
                list(pool.map(_write, self.outputs, repeat(frame), pieces))  # list() re-raises the error of a write
                self.frames += 1
                self._latencies.append(latency)
                yield frame, self.frames

    def _finish(self) -> list[AaffError]:
        # Signals reach the main thread, so one that arrives now waits until every file is complete.
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
    """Every frame with its prediction."""
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
    """Computes frame rate and time left from n timestamps, which make n − 1 intervals."""

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
