"""``aaff predict`` on videos, cameras, or a folder of images as a video."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from aaff.errors import OptionError

if TYPE_CHECKING:
    from aaff.cli.predict import Args
    from aaff.cli.predict_plan import Job
    from aaff.runtime import Segmenter
    from aaff.video import Conversion, Progress, Source


def run_videos(args: Args, jobs: Sequence[Job], *, alone: bool, tell: bool) -> list[int]:
    """Segment every video and camera, write the results and print a summary of each.

    Args:
        args: the options.
        jobs: the videos and cameras.
        alone: there is only one source, so a video that cannot be read raises an error instead of being skipped.
        tell: print which model is used.

    Returns:
        A status per job: 0 success, 1 if it could not be read to its end, 2 if it could not be read at all.
    """
    from aaff.cli.console import print_default_model
    from aaff.cli.predict import check_style
    from aaff.errors import DataError
    from aaff.loading import find_model, load_segmenter
    from aaff.video import open_source

    statuses = []
    segmenter = None
    for job in jobs:
        try:
            source = open_source(job.place, rate=read_rate(args.fps) if args.as_video else None, name=job.renamed)
        except DataError as error:
            if alone:
                raise
            print(f"skipped: {error}", file=sys.stderr)
            statuses.append(2)
            continue
        if segmenter is None:
            file = find_model(args.model, precision=args.precision, engine=args.engine)
            segmenter = load_segmenter(
                file,
                engine=args.engine,
                precision=args.precision,
                threads=args.threads,
                size=args.size,
                confidence=args.conf > 0,
            )
            check_style(args, segmenter.labels)
            if tell:
                print_default_model(args.model, segmenter.card)
        statuses.append(_run_video(args, job, source, segmenter))
    return statuses


def _run_video(args: Args, job: Job, source: Source, segmenter: Segmenter) -> int:
    from aaff.cli.predict_plan import VIDEO_FORMS
    from aaff.video import Conversion, Style, make_output

    style = Style(args.alpha, args.legend, args.classes, args.conf)
    kinds = dict.fromkeys(args.write or VIDEO_FORMS)
    outputs = [make_output(kind, job.target, source.info, segmenter.labels, style=style) for kind in kinds]
    conversion = Conversion(segmenter, source, outputs, limit=args.frames)
    try:
        with watching(source.info.name) as report:
            conversion.run(report)
    finally:
        tell(conversion, source.info.frames, args)
    return 1 if conversion.problems else 0


def read_rate(text: str | None) -> Fraction:
    """Parse an exact frame rate: ``30``, ``29.97`` or ``30000/1001``.

    >>> read_rate("30000/1001")
    Fraction(30000, 1001)

    Raises:
        OptionError: the text is not a number in (0, 1000].
    """
    try:
        rate = Fraction(text or "30")
    except (ValueError, ZeroDivisionError) as error:
        raise OptionError(f"--fps {text} is not a frame rate; give a number such as 10 or 30000/1001") from error
    if not 0 < rate <= 1000:
        raise OptionError(f"--fps {text} is not a valid frame rate; it must be in (0, 1000]")
    return rate


@contextlib.contextmanager
def watching(what: str) -> Iterator[Callable[[Progress], None]]:
    """Show progress with the frame rate and the time left; yields the function to call with the progress."""
    from aaff.cli.console import progress

    with progress(what) as report:
        yield lambda now: report(now.frames, now.total, how_it_goes(now))


def how_it_goes(now: Progress) -> str:
    """Progress text: frames, frame rate, time left and dropped frames.

    >>> from aaff.video import Progress
    >>> how_it_goes(Progress(frames=90, total=600, rate=30.04, left=17.2, dropped=0))
    '90 of 600 frames  30.0 fps  0:17 left'
    """
    parts = [f"{now.frames} of {now.total} frames" if now.total else f"{now.frames} frames"]
    if now.rate is not None:
        parts.append(f"{now.rate:.1f} fps")
    if now.left is not None:
        minutes, seconds = divmod(round(now.left), 60)
        parts.append(f"{minutes}:{seconds:02} left")
    if now.dropped:
        parts.append(f"{now.dropped} dropped")
    return "  ".join(parts)


def tell(conversion: Conversion, total: int | None, args: Args) -> None:
    """Print a summary of a video, and a warning for everything that could not be read."""
    for sentence in conversion.problems:
        print(f"warning: {sentence}", file=sys.stderr)
    segmenter, frames = conversion.segmenter, conversion.frames
    of = f" of {total}" if total is not None and total >= frames and args.frames is None else ""
    rate = f" in {conversion.seconds:.1f} s, {frames / conversion.seconds:.1f} frames per second" if frames else ""
    print(
        f"{frames}{of} frames done{rate}"
        + (f", {conversion.dropped} dropped in favour of newer ones" if conversion.dropped else "")
        + (f"; median end-to-end latency {conversion.latency:.1f} ms" if conversion.latency is not None else "")
        + f" ({segmenter.card.network}, {segmenter.card.size}, {segmenter.engine.name} {segmenter.engine.precision}); "
        + (f"written: {', '.join(map(str, conversion.written))}" if conversion.written else "nothing was written")
    )
