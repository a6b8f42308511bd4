"""Video files through PyAV: every frame, upright, with its exact timestamp."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
import numpy as np

from aaff.errors import DataError, brief
from aaff.images import check_pixels, pixel_limit
from aaff.labels import UInt8Array
from aaff.preprocess import Size
from aaff.runtime.address import shown_name
from aaff.video.sources import DEFAULT_RATE, Frame, Source, SourceInfo

_TIMEOUT = 15.0
"""Seconds without data after which a file on the web counts as lost."""
_FORMATS = (
    "mov matroska avi mpegts mpeg mpegvideo asf flv ogg nut mxf rm wtv dv swf gif apng ivf obu av1 h261 h263 h264 hevc "
    "vvc m4v vc1 mjpeg yuv4mpegpipe webp webp_pipe ismv 3gp live_flv"
)
"""FFmpeg's names of the containers that contain the video themselves.  Others refer to other files or URLs (playlists:
hls, concat, dash, …) or devices, or are text."""
_PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD", b"[playlist]", b"[Reference]", b"v=0")
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1")
_FINEST = 1_000_000
"""Finest time base, in ticks per second; finer ones are rounded to 1/90000 s."""
_MISSING = Fraction(1, 2)
"""Tolerance in seconds for the end of a file, since headers round the duration."""


class VideoFile(Source):
    """A video file, or the URL of one.

    Yields frames in presentation order, RGB, each in its own size, with the rotation and mirroring of the file's
    display matrix applied.  Times count from the start of the file and are exact multiples of ``info.tick``.  A frame
    without a timestamp follows the previous one at the nominal rate, and if timestamps jump back (in concatenated
    recordings), times continue from there.

    Packets that cannot be decoded are skipped.  ``problems`` reports how many, and if the file ends earlier than its
    header states.

    Args:
        path: path or URL of the file.
        name: its name in frames and messages; default: the path.
        max_pixels: largest number of pixels of a frame; default: ``aaff.images.pixel_limit``.

    Raises:
        DataError: there is no such file, it is not a video (a playlist, for instance), has no frame, is too large, or
            its codec is not supported here.
    """

    def __init__(self, path: str | Path, *, name: str | None = None, max_pixels: int | None = None) -> None:
        self.problems: list[str] = []
        self._max_pixels = max_pixels
        self._path = str(path)
        self._name = name or shown_name(path)
        self._damaged = 0
        self._hidden = 0
        self._rest = self._decode()
        first = next(self._rest, None)
        if first is None:
            raise DataError(f"{self._name} has no frame that can be decoded; is the file complete?")
        self._first = first

    def __iter__(self) -> Generator[Frame, None, None]:
        yield self._first
        yield from self._rest

    def _decode(self) -> Generator[Frame, None, None]:
        with _open(self._path, self._name) as container:
            stream = _video_stream(container, self._name)
            check_pixels(stream.width, stream.height, self._name, self._max_pixels)
            # The header of the file was checked above, but the stream may have another size.
            stream.codec_context.options = {"max_pixels": str(self._max_pixels or pixel_limit())}
            rate, tick = _rate(stream), _tick(stream)
            clock = _Clock(tick, rate, _start(container, stream))
            index = 0
            for raw in self._frames(container, stream):
                image = _upright(raw)
                time, duration = clock.time(raw)
                if not index:
                    self.info = SourceInfo(
                        name=self._name,
                        live=False,
                        size=Size.of(image),
                        rate=rate,
                        tick=tick,
                        frames=stream.frames or None,
                        seconds=_seconds(container, stream),
                        pixel_aspect=_pixel_aspect(stream, raw),
                    )
                yield Frame(image, index, time, self._name, duration)
                index += 1
            self._judge(container, stream, index, clock)

    def _frames(
        self, container: av.container.InputContainer, stream: av.VideoStream
    ) -> Generator[av.VideoFrame, None, None]:
        """The decodable frames; failures are counted."""
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except av.FFmpegError:  # raised by the file: no further packets follow
                self._damaged += 1
                continue
            self._hidden += packet.is_discard
            self._damaged += packet.is_corrupt
            try:
                frames = [frame for frame in packet.decode() if isinstance(frame, av.VideoFrame)]
            except av.FFmpegError:  # raised by the decoder: the next packet may be fine
                self._damaged += 1
                continue
            for frame in frames:
                self._damaged += frame.is_corrupt
                yield frame

    def _judge(self, container: av.container.InputContainer, stream: av.VideoStream, count: int, clock: _Clock) -> None:
        """Report what was missing, once the end is reached."""
        promised = _tagged_end(stream)
        if _beyond_the_end(stream, self._path) or (promised is not None and clock.end + _MISSING < promised):
            whole = promised or _length(stream)
            until = f" of the {float(whole):.1f} s in its header" if whole else ""
            self.problems.append(
                f"{self._name} is cut off: it gives {count} frames and ends after {float(clock.end):.1f} s{until}"
            )
            return
        said = []
        if self._damaged:
            said.append(f"{self._damaged} of its packets could not be decoded completely")
        lost = _indexed(container, stream) - self._hidden - count
        if lost > 0:
            said.append(f"it gives {count} of {count + lost} frames")
        if said:
            self.problems.append(f"{self._name} is damaged or cut off: {'; '.join(said)}")


class _Clock:
    """Computes frame times: exact, increasing, from 0."""

    def __init__(self, tick: Fraction, rate: Fraction, start: Fraction | None) -> None:
        self._tick, self._step = tick, 1 / rate
        self._start = start
        self._last: Fraction | None = None
        self.end = Fraction(0)
        """End of the display time of the last frame so far."""

    def time(self, frame: av.VideoFrame) -> tuple[Fraction, Fraction | None]:
        """Time and duration of the next frame, in seconds."""
        stamp = None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base
        if stamp is not None and self._start is None:
            self._start = stamp
        time = self.end if stamp is None else stamp - (self._start or 0)
        if self._last is None:
            time = max(time, Fraction(0))
        elif time <= self._last:
            if self._last - time < self._step:  # jitter
                time = self._last + self._tick
            else:
                self._start = (self._start or 0) + time - self.end
                time = self.end
        time = round(time / self._tick) * self._tick
        duration = frame.duration * frame.time_base if frame.duration and frame.time_base else None
        self._last, self.end = time, time + (duration or self._step)
        return time, duration


def _open(path: str, name: str) -> av.container.InputContainer:
    try:
        if "://" not in path and os.path.getsize(path) == 0:
            raise DataError(f"{name} is empty (0 bytes)")
        web = "://" in path
        return av.open(
            path if web else f"file:{path}",  # otherwise FFmpeg reads the part before a colon as a protocol
            timeout=_TIMEOUT if web else None,
            metadata_errors="replace",
            options={"format_whitelist": ",".join(_FORMATS.split())} | ({} if web else {"protocol_whitelist": "file"}),
        )
    except (av.InvalidDataError, av.ArgumentError) as error:
        raise DataError(f"{name} {_what_it_is(path)}") from error
    except EOFError as error:
        raise DataError(f"{name} is a video without a frame; is the file complete?") from error
    except (OSError, ValueError, av.FFmpegError) as error:
        raise DataError(f"cannot open {name}: {brief(getattr(error, 'strerror', None) or error)}") from error


def _what_it_is(path: str) -> str:
    """Why a file cannot be opened."""
    try:
        with open(path, "rb") as file:
            start = file.read(512)
    except (OSError, ValueError):
        start = b""
    if start.lstrip(b"\xef\xbb\xbf \r\n").startswith(_PLAYLISTS):
        return "is a playlist, which refers to other files; give the video itself"
    if start[4:8] == b"ftyp" and start[8:12] in _HEIF:
        return "is a HEIF or HEIC image, which aaff cannot read; convert it to JPEG or PNG"
    if start[4:8] in (b"ftyp", b"mdat", b"wide"):
        return (
            "is an MP4 or MOV file without its index, which is written last: recording or copying it was interrupted; "
            "copy it again, or repair it with a tool such as untrunc"
        )
    return "is not a video, and not an image that aaff can read (its format is not recognised)"


def _video_stream(container: av.container.InputContainer, name: str) -> av.VideoStream:
    if not container.streams.video:
        has = " and ".join(sorted({stream.type for stream in container.streams}))
        raise DataError(f"{name} has no pictures, only {has}" if has else f"{name} is a video without a frame")
    stream = container.streams.best("video") or container.streams.video[0]
    if not isinstance(stream, av.VideoStream) or stream.codec_context is None:
        known = "av1 h264 hevc mjpeg mpeg2video mpeg4 prores vp8 vp9".split()
        available = ", ".join(codec for codec in known if codec in av.codecs_available)
        raise DataError(
            f"{name} uses a codec that cannot be decoded here; this PyAV decodes {available} and others, so convert it "
            "to one of them"
        )
    return stream


def _rate(stream: av.VideoStream) -> Fraction:
    """The first valid frame rate; containers without a rate report their clock rate instead."""
    for rate in (stream.guessed_rate, stream.average_rate, stream.base_rate):
        if rate and 0 < rate <= 1000:
            return Fraction(rate)
    return DEFAULT_RATE


def _tick(stream: av.VideoStream) -> Fraction:
    base = stream.time_base
    return Fraction(base) if base and 1 / base <= _FINEST else Fraction(1, 90_000)


def _start(container: av.container.InputContainer, stream: av.VideoStream) -> Fraction | None:
    """The timestamp at which the file begins, since video may start later than audio.  None: at the first frame."""
    if stream.start_time is None or stream.time_base is None or container.start_time is None:
        return None
    own = stream.start_time * stream.time_base
    start = Fraction(container.start_time, av.time_base)
    return own if abs(own - start) < Fraction(1, 1000) else start  # the container's is rounded to microseconds


def _seconds(container: av.container.InputContainer, stream: av.VideoStream) -> Fraction | None:
    whole = Fraction(container.duration, av.time_base) if container.duration else None
    return _length(stream) or _tagged_end(stream) or whole


def _length(stream: av.VideoStream) -> Fraction | None:
    return stream.duration * stream.time_base if stream.duration and stream.time_base else None


def _tagged_end(stream: av.VideoStream) -> Fraction | None:
    """The end of this stream as stated in Matroska files that were closed properly."""
    # Parsed strictly: the tag is untrusted text, and Fraction("1e999999999") would never finish.
    match = re.fullmatch(r"([0-9]{1,4}):([0-9]{2}):([0-9]{2}(\.[0-9]{1,9})?)", stream.metadata.get("DURATION", ""))
    return None if match is None else 3600 * int(match[1]) + 60 * int(match[2]) + Fraction(match[3])


def _indexed(container: av.container.InputContainer, stream: av.VideoStream) -> int:
    """Number of frames in the index; 0 if it need not list all.  MP4 and MOV have one entry per frame."""
    return len(stream.index_entries) if container.format.name.startswith("mov") else 0


def _beyond_the_end(stream: av.VideoStream, path: str) -> bool:
    """Whether the index refers to bytes beyond the end of the file."""
    if not len(stream.index_entries) or "://" in path:
        return False
    last = stream.index_entries[len(stream.index_entries) - 1]
    return bool(last.pos + last.size > os.path.getsize(path))


def _pixel_aspect(stream: av.VideoStream, frame: av.VideoFrame) -> Fraction:
    aspect = stream.sample_aspect_ratio
    if not aspect or aspect <= 0:
        return Fraction(1)
    a, b, c, d = _matrix(frame)
    return 1 / Fraction(aspect) if abs(b) + abs(c) > abs(a) + abs(d) else Fraction(aspect)


def _matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """a, b, c, d of the display matrix: the pixel at column p, row q is shown at column a·p + c·q, row b·p + d·q."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d, *_ = struct.unpack("=9i", memoryview(data))
    return a, b, c, d


def _upright(frame: av.VideoFrame) -> UInt8Array:
    """Upright RGB pixels; a rotation that is not a multiple of 90° is rounded to the nearest one."""
    image: np.ndarray[Any, Any] = frame.to_ndarray(format="rgb24")
    a, b, c, d = _matrix(frame)
    if abs(b) + abs(c) > abs(a) + abs(d):
        image, columns, rows = image.transpose(1, 0, 2), c, b
    else:
        columns, rows = a, d
    return np.ascontiguousarray(image[:: -1 if rows < 0 else 1, :: -1 if columns < 0 else 1])
