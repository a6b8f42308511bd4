"""Predictions of a video as a loop over them: ``for prediction in seg.stream("drive.mp4")``."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from aaff.errors import DataError
from aaff.runtime.prediction import Prediction
from aaff.runtime.segmenter import Segmenter
from aaff.video.conversion import predictions
from aaff.video.flow import Channel, Flow
from aaff.video.sources import Frame, Source, SourceInfo, open_source


class Stream(Iterator[Prediction]):
    """Predictions in the order of the frames, each with its ``time`` and ``frame`` number.

    Of a file every frame comes; decoding and network work a few frames ahead in their own threads, which
    start with the first prediction that is asked for.  Of a live source comes the newest frame at the time
    of asking; ``dropped`` counts those in between.

    A loop may end early: the threads end when the stream is closed, by ``with``, by ``close`` or when
    nobody holds it any more.

    Raises:
        DataError: while iterating, after the last frame that could be read, when something could not: a file
            that is cut off, a camera that went away.
    """

    def __init__(self, segmenter: Segmenter, source: Source) -> None:
        self.info: SourceInfo = source.info
        # The generator must not know this object: it ends when this object is forgotten.
        self._frames: list[Channel[Frame]] = []
        self._predictions = _run(segmenter, source, self._frames)

    @property
    def dropped(self) -> int:
        """Frames of a live source that nobody asked for in time."""
        return sum(channel.dropped for channel in self._frames)

    def __next__(self) -> Prediction:
        return next(self._predictions)

    def close(self) -> None:
        """End the threads and let go of the file or camera."""
        self._predictions.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def stream(segmenter: Segmenter, source: str | Path | int) -> Stream:
    """Predictions for everything that ``aaff.video.open_source`` opens.

    Raises:
        DataError: it is not there, cannot be opened or has no frame.
    """
    return Stream(segmenter, open_source(source))


def _run(segmenter: Segmenter, source: Source, opened: list[Channel[Frame]]) -> Generator[Prediction, None, None]:
    live = source.info.live
    with Flow() as flow:
        frames = flow.ahead(source, 1 if live else 4, newest=live)
        opened.append(frames)
        items = predictions(segmenter, frames)
        for _, prediction in items if live else flow.ahead(items):
            yield prediction if source.info.rate else replace(prediction, time=None)
    if source.problems:
        raise DataError("; ".join(source.problems))
