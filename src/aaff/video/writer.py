"""Write video files: H.264 in MP4, which browsers and phones can play."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import cast

import av
import av.container
import cv2
import numpy as np
from av.codec.context import Flags
from av.video.reformatter import ColorRange

from aaff.errors import AaffError, DataError, OptionError
from aaff.files import replacing
from aaff.labels import UInt8Array
from aaff.preprocess import Size

_ENCODER = "libx264"
_BT601 = 6
"""Number of the colour space (SMPTE 170M) in H.264.  Without it, players guess one from the image size."""


class VideoWriter:
    """Writes one H.264 video, yuv420p in MP4, with the index at the front.

    Frames are written to a temporary file next to ``path``, which ``close`` moves into place; without frames there is
    no file.  As a context manager, it closes the video if the block succeeds and discards it otherwise.

    H.264 requires even sizes: the last column or row of a frame with odd width or height is repeated.

    Args:
        path: path of the file, ending in ``.mp4``.
        rate: frames per second; only nominal if times are given.
        tick: the time base in seconds; default: one frame at ``rate``.
        pixel_aspect: pixel aspect ratio, width / height.
        quality: constant rate factor (CRF), from 0 (lossless, not playable in browsers) to 51; +6 halves the file size.
        comment: metadata of the file, for ``read_comment``.

    Raises:
        OptionError: the path does not end in ``.mp4``, or the rate or the quality is out of range.
        AaffError: this PyAV has no H.264 encoder; the message lists its encoders.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        rate: Fraction = Fraction(30),
        tick: Fraction | None = None,
        pixel_aspect: Fraction = Fraction(1),
        quality: int = 23,
        comment: str = "",
    ) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() != ".mp4":
            raise OptionError(f"a video is written as .mp4, not as {self.path.name}")
        if rate <= 0 or not 0 <= quality <= 51:
            raise OptionError(f"rate {float(rate):g} must be above 0, quality {quality} from 0 to 51")
        check_encoder()
        self.frames = 0
        self._rate, self._tick, self._aspect, self._quality = rate, tick or 1 / rate, pixel_aspect, quality
        self._comment = comment
        self._size: Size | None = None
        self._stamp = -1
        self._place: contextlib.AbstractContextManager[Path] | None = None
        self._file: _File | None = None
        self._done = False

    def write(self, picture: UInt8Array, time: Fraction | None = None, duration: Fraction | None = None) -> None:
        """Add a frame.

        Args:
            picture: RGB uint8 [H, W, 3]; all frames must have the same size.
            time: time in seconds, larger than that of the previous frame; default: the next frame at ``rate``.
            duration: display time in seconds; default: until the next frame, and one frame for the last one.

        Raises:
            DataError: the frame has another size.
            AaffError: it cannot be written (for example, the disk is full); the video is discarded.
        """
        if self._done:
            raise AaffError(f"{self.path} is closed; no more frames can be written")
        size = Size.of(picture)
        if self._size is not None and size != self._size:
            raise DataError(f"{self.path} has frames of {self._size}, but this one is {size}; resize it first")
        wanted = self._stamp + 1 if time is None and self.frames else round((time or 0) / self._tick)
        stamp = max(wanted, self._stamp + 1)
        try:
            if self._file is None:
                self._size, self._file = size, self._begin(size)
            # OpenCV's conversion takes a quarter of the time of FFmpeg's; it is that of BT.601, limited range.
            planes = np.asarray(cv2.cvtColor(_even(picture), cv2.COLOR_RGB2YUV_I420), np.uint8)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = stamp, self._tick
            frame.duration = max(1, round((duration or 1 / self._rate) / self._tick))
            self._file.container.mux(self._file.stream.encode(frame))
        except BaseException as error:
            self._fail(error)
            raise
        self._stamp = stamp
        self.frames += 1

    def close(self) -> Path | None:
        """Finish the file and move it into place.

        Returns:
            Its path; None if nothing was written.

        Raises:
            AaffError: the file cannot be finished; the video is discarded.
        """
        if self._done or self._file is None or self._place is None:
            self._done = True
            return None
        try:
            self._file.container.mux(self._file.stream.encode(None))
            self._file.container.close()
            self._check(self._file)
        except BaseException as error:
            self._fail(error)
            raise
        self._done = True
        self._place.__exit__(None, None, None)
        return self.path

    def discard(self) -> None:
        """Discard the video; an existing file at ``path`` is unchanged."""
        if not self._done:
            self._fail(_Discarded())

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.discard()

    def _begin(self, size: Size) -> _File:
        self._place = replacing(self.path)
        temporary = self._place.__enter__()
        # The movie's time base must be as fine as that of the frames, or the first time is rounded to milliseconds.
        options = {"movflags": "+faststart", "movie_timescale": str(self._tick.denominator)}
        container = av.open(str(temporary), "w", format="mp4", options=options)
        if self._comment:
            container.metadata["comment"] = self._comment
        # Without B-frames, decoding order is presentation order, so variable frame rates keep exact durations.
        coding = {"preset": "superfast", "crf": str(self._quality), "bf": "0"}
        stream = cast("av.VideoStream", container.add_stream(_ENCODER, rate=self._rate, options=coding))
        stream.width, stream.height = size.width + size.width % 2, size.height + size.height % 2
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = self._tick
        context.sample_aspect_ratio = self._aspect
        context.gop_size = max(1, round(2 * self._rate))  # key frames for seeking; every two seconds is usual
        context.flags |= Flags.frame_duration
        context.colorspace = context.color_primaries = context.color_trc = _BT601
        context.color_range = ColorRange.MPEG
        return _File(temporary, container, stream)

    def _check(self, file: _File) -> None:
        """Check that the written video can be opened and has all frames."""
        with av.open(str(file.path)) as written:
            count = written.streams.video[0].frames
        if count != self.frames:
            raise AaffError(f"{self.path} has {count} of {self.frames} pictures after writing; is the disk full?")

    def _fail(self, error: BaseException) -> None:
        """Discard the file and raise the error as an AaffError."""
        self._done = True
        if self._file is not None:
            with contextlib.suppress(av.FFmpegError):  # it cannot be finished properly any more
                self._file.container.close()
        if self._place is not None:
            self._place.__exit__(type(error), error, error.__traceback__)
        if isinstance(error, av.FFmpegError):
            raise AaffError(f"cannot write {self.path}: {error.strerror or error}") from error


@dataclass(frozen=True)
class _File:
    """A video that is being written."""

    path: Path
    container: av.container.OutputContainer
    stream: av.VideoStream


def read_comment(path: str | Path) -> str | None:
    """The comment of an MP4 file; None if it has none, or for any other file."""
    try:
        with av.open(f"file:{path}", format="mp4", metadata_errors="replace") as container:
            return container.metadata.get("comment")
    except (av.FFmpegError, OSError, ValueError):
        return None


class _Discarded(Exception):  # noqa: N818 - a signal to the temporary file
    """The video is discarded."""


def check_encoder() -> None:
    """Check that H.264 can be encoded.

    Raises:
        AaffError: it cannot; the message lists the available encoders.
    """
    try:
        av.codec.Codec(_ENCODER, "w")
    except av.codec.codec.UnknownCodecError as error:
        known = "h264_videotoolbox libopenh264 libx265 libsvtav1 libaom-av1 libvpx-vp9 mpeg4 mjpeg".split()
        there = ", ".join(name for name in known if name in av.codecs_available) or "none for video"
        raise AaffError(
            f"this PyAV cannot write H.264: the encoder {_ENCODER} is missing (available: {there}); install PyAV's "
            "own wheel, which has it, with: pip install --force-reinstall --only-binary=:all: av"
        ) from error


def _even(picture: UInt8Array) -> UInt8Array:
    height, width = picture.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return np.ascontiguousarray(picture)
    return np.asarray(cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE), np.uint8)
