"""How fast a video becomes a semantic video, and whether memory stays flat while it does."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from aaff.errors import AaffError, OptionError
from aaff.preprocess import Size
from aaff.runtime.segmenter import Segmenter
from aaff.synthetic import frames as drawn_scenes
from aaff.video.conversion import Conversion, Progress
from aaff.video.outputs import Kind, make_output
from aaff.video.sources import open_source
from aaff.video.writer import VideoWriter

_RATE = 30
_WARM_UP = 10
_HELD = 60
"""Frames that are kept decoded to time end-to-end latency on."""


def write_drawn(path: Path, *, size: Size, frames: int, drive: int = 1, distinct: int | None = None) -> None:
    """A video of synthetic street scenes, 30 frames per second.

    Args:
        path: an ``.mp4``.
        size: of the frames.
        frames: how many.
        drive: which street.
        distinct: draw only so many and go to and fro between them, for a long video in short time.

    Raises:
        OptionError: a number below 1.
        AaffError: the video cannot be written.
    """
    if frames < 1 or (distinct is not None and distinct < 1):
        raise OptionError(f"a video of {frames} frames, {distinct} of them distinct, shows nothing; give 1 or more")
    with VideoWriter(path, rate=Fraction(_RATE)) as video:
        if distinct is None or distinct >= frames:
            for scene in drawn_scenes(drive, frames, size):
                video.write(scene.image)
            return
        images = [scene.image for scene in drawn_scenes(drive, distinct, size)]
        there_and_back = images + images[-2:0:-1]
        for number in range(frames):
            video.write(there_and_back[number % len(there_and_back)])


def measure_speed(
    segmenter: Segmenter, video: Path, stem: Path, *, kinds: Sequence[Kind] = ("overlay", "json"), times: int = 200
) -> dict[str, Any]:
    """Frames per second from file to file beside end-to-end latency, in one run.

    Latency is timed half before and half after the conversion, on frames of this video, one call after
    the other with nothing else running, so that a machine whose speed drifts does not favour either.

    Args:
        segmenter: the model.
        video: a video file.
        stem: path of the results without ending.
        kinds: what the conversion writes.
        times: calls for the latency.

    Returns:
        ``video`` (frames, seconds, size), ``writes``, ``frame_to_map`` (``median_ms``, ``fps`` = 1000 / median,
        ``calls``), ``end_to_end`` (``seconds`` from opening to the finished files, ``fps``, ``frames``) and
        ``ratio`` of the two rates.

    Raises:
        AaffError: the video cannot be read or the results not written.
    """
    images = [frame.image for frame in islice(open_source(video), _HELD)]

    def frame_to_map(count: int) -> list[float]:
        taken = []
        for number in range(count):
            began = time.perf_counter()
            segmenter(images[number % len(images)])
            taken.append(time.perf_counter() - began)
        return taken

    frame_to_map(_WARM_UP)
    before = frame_to_map(times // 2)
    began = time.perf_counter()
    conversion = _convert(segmenter, video, stem, kinds, lambda _: None)
    seconds = time.perf_counter() - began
    taken = before + frame_to_map(times - times // 2)
    middle = median(taken)
    info = conversion.source.info
    return {
        "video": {"frames": conversion.frames, "size": str(info.size), "seconds": float(info.seconds or 0)},
        "writes": list(kinds),
        "frame_to_map": {"median_ms": round(1000 * middle, 3), "fps": round(1 / middle, 2), "calls": len(taken)},
        "end_to_end": {
            "seconds": round(seconds, 3),
            "fps": round(conversion.frames / seconds, 2),
            "frames": conversion.frames,
        },
        "ratio": round(conversion.frames / seconds * middle, 3),
    }


def measure_memory(
    segmenter: Segmenter, video: Path, stem: Path, *, kinds: Sequence[Kind] = ("overlay", "json"), every: int = 100
) -> dict[str, Any]:
    """Resident memory of this process while a video is converted.

    Args:
        segmenter: the model.
        video: a long video file.
        stem: path of the results without ending.
        kinds: what the conversion writes.
        every: frames between two samples.

    Returns:
        ``frames``, ``samples_mib`` ([frame, MiB] each ``every`` frames), ``first_mib`` after a tenth of the frames
        (until then buffers fill), ``last_mib``, ``peak_mib``, and ``growth_mib_per_1000_frames``, the slope of a
        straight line through all samples after that tenth.

    Raises:
        OptionError: the video is too short, or this system does not tell.
        AaffError: the video cannot be read or the results not written.
    """
    samples: list[tuple[int, float]] = []

    def sample(now: Progress) -> None:
        if now.frames % every == 0:
            gc.collect()
            samples.append((now.frames, resident()))

    resident()
    conversion = _convert(segmenter, video, stem, kinds, sample)
    settled = [pair for pair in samples if pair[0] >= conversion.frames / 10]
    if len(settled) < 3:
        raise OptionError(f"{conversion.frames} frames are too few to see memory grow; give {30 * every} or more")
    frames, sizes = np.array(settled).T
    slope = float(np.polyfit(frames, sizes, 1)[0])
    return {
        "frames": conversion.frames,
        "size": str(conversion.source.info.size),
        "writes": list(kinds),
        "first_mib": settled[0][1],
        "last_mib": settled[-1][1],
        "peak_mib": max(size for _, size in samples),
        "growth_mib_per_1000_frames": round(1000 * slope, 3),
        "samples_mib": [list(pair) for pair in samples],
    }


def resident() -> float:
    """Memory that this process has in use, in MiB.

    Raises:
        OptionError: the system does not tell (only Linux does, in ``/proc``).
    """
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError as error:
        raise OptionError("memory is measured on Linux only, where /proc/self/statm tells it") from error
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 2)


def _convert(
    segmenter: Segmenter, video: Path, stem: Path, kinds: Sequence[Kind], report: Callable[[Progress], None]
) -> Conversion:
    source = open_source(video)
    outputs = [make_output(kind, stem, source.info, segmenter.labels) for kind in kinds]
    conversion = Conversion(segmenter, source, outputs)
    conversion.run(report)
    if conversion.problems:
        raise AaffError(f"nothing to measure: {'; '.join(conversion.problems)}")
    return conversion
