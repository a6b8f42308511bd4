"""Iterate over the predictions of a video: ``for prediction in seg.stream("drive.mp4")``."""

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
    """Iterator over predictions in the order of the frames, each with its ``time`` and ``frame`` index.

    Of a file, every frame is predicted; decoding and inference run a few frames ahead in their own threads, which start
    with the first request for a prediction.  Of a live source, the newest frame at the time of the request is
    predicted; ``dropped`` counts the skipped ones.

    You can leave the loop early: the threads end when the stream is closed by ``with`` or ``close``, or is no longer
    referenced.

    Raises:
        DataError: while iterating, after the last readable frame, if something could not be read: a truncated file, a
            camera that was disconnected.
    """

    def __init__(self, segmenter: Segmenter, source: Source) -> None:
        self.info: SourceInfo = source.info
        # The generator must not reference this object, since it ends when this object is garbage-collected.
        self._frames: list[Channel[Frame]] = []
        self._predictions = _run(segmenter, source, self._frames)

    @property
    def dropped(self) -> int:
        """Number of frames of a live source that were skipped."""
        return sum(channel.dropped for channel in self._frames)

    def __next__(self) -> Prediction:
        return next(self._predictions)

    def close(self) -> None:
        """Stop the threads and close the file or camera."""
        self._predictions.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def stream(segmenter: Segmenter, source: str | Path | int) -> Stream:
    """Iterate over the predictions of any source that ``aaff.video.open_source`` opens.

    Raises:
        DataError: the source does not exist, cannot be opened or has no frame.
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
