"""Live sources through OpenCV: cameras and network streams, of which only the newest frame matters."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Generator
from fractions import Fraction

import cv2
import numpy as np

from aaff.errors import DataError
from aaff.labels import UInt8Array
from aaff.preprocess import Size
from aaff.video.sources import DEFAULT_RATE, Frame, Source, SourceInfo, source_name

_TICK = Fraction(1, 90_000)
_TIMEOUT = 10_000
"""Milliseconds without a response after which a network stream counts as lost."""


class Camera(Source):
    """A camera by number, or a stream by URL or device (``rtsp://…``, ``http://…``, ``/dev/video0``).

    The time of a frame is that of its arrival.  If the camera is disconnected, the iteration ends and ``problems`` says
    so, since a live source has no regular end.

    Raises:
        DataError: there is no such camera, or it delivers no frame.
    """

    def __init__(self, address: int | str) -> None:
        self.problems: list[str] = []
        self._name = source_name(address)
        self._rest = self._capture(address)
        first = next(self._rest, None)
        if first is None:
            raise DataError(f"{self._name} gives no frame; is another program using it?")
        self._first = first
        self.info = SourceInfo(
            name=self._name, live=True, size=Size.of(first.image), rate=self._rate, tick=_TICK, frames=None
        )

    def __iter__(self) -> Generator[Frame, None, None]:
        yield self._first
        yield from self._rest

    def _capture(self, address: int | str) -> Generator[Frame, None, None]:
        capture = _open(address)
        try:
            if not capture.isOpened():
                advice = "is it plugged in, and may you use it?" if isinstance(address, int) else "is the URL right?"
                raise DataError(f"{self._name} cannot be opened; {advice}")
            self._rate = _plausible(capture.get(cv2.CAP_PROP_FPS))
            began = 0.0
            last = -_TICK
            index = 0
            while (image := _read(capture)) is not None:
                now = time.monotonic()
                if not index:
                    began = now
                # Two frames can arrive within one tick, but times must increase.
                last = max(last + _TICK, round((now - began) / _TICK) * _TICK)
                yield Frame(image, index, last, self._name)
                index += 1
            seconds = float(max(last, Fraction(0)))
            self.problems.append(
                f"{self._name} gave no more frames after {index} ({seconds:.1f} s); was it disconnected?"
            )
        finally:
            capture.release()


def _open(address: int | str) -> cv2.VideoCapture:
    # Suppress the log lines of OpenCV and its FFmpeg, unless the user has set the log level.
    if "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if isinstance(address, str) and "://" in address:
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT]
        return cv2.VideoCapture(address, cv2.CAP_FFMPEG, limits)
    return cv2.VideoCapture(address)


def _read(capture: cv2.VideoCapture) -> UInt8Array | None:
    good, image = capture.read()
    if not good or image is None or image.size == 0:
        return None
    code = cv2.COLOR_GRAY2RGB if image.ndim == 2 or image.shape[2] == 1 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(image, code), np.uint8)


def _plausible(rate: float) -> Fraction:
    """A plausible frame rate: drivers that do not know it report 0, NaN or 180,000."""
    if math.isfinite(rate) and 1 <= rate <= 1000:
        return Fraction(rate).limit_denominator(1001)
    return DEFAULT_RATE
