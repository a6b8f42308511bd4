"""``python -m benchmarks.video_speed``: how fast a video becomes a semantic video."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aaff.preprocess import Size

if TYPE_CHECKING:
    from aaff.runtime import Segmenter


@dataclass
class Args:
    """Measure frames per second from file to file (decoding, network, overlay, H.264) beside end-to-end latency."""

    model: Path | None = None
    """A model or the folder of a run; default: the bundled model."""
    video: Path | None = None
    """The video; default: synthetic street scenes."""
    size: Size = Size(480, 360)
    """Of the synthetic scenes."""
    seconds: float = 20.0
    """Length of the synthetic video."""
    out: Path | None = None
    """Keep the video and its results in this folder."""
    json: Path | None = None
    """Write the figures here."""
    engine: str = "auto"
    """What runs the model."""
    precision: str | None = None
    """As in aaff predict."""
    threads: int | None = None
    """CPU threads; default: all cores."""


def main(words: Sequence[str] | None = None) -> int:
    """Read the options and measure; returns the exit status."""
    from aaff.cli import exit_status
    from aaff.cli.options import parse

    given = sys.argv[1:] if words is None else words
    return exit_status(lambda: run(parse(Args, given, prog="python -m benchmarks.video_speed")))


def run(args: Args) -> int:
    """Print and write the figures; status 0."""
    from aaff.errors import OptionError
    from benchmarks.video import measure_speed, write_drawn

    if args.video is None and not args.seconds > 0:
        raise OptionError(f"--seconds {args.seconds:g} must be above 0")
    segmenter, about = load_model(args.model, args.engine, args.precision, args.threads)
    with working_folder(args.out) as folder:
        video = args.video or folder / "scenes.mp4"
        if args.video is None:
            print(f"rendering {args.seconds:g} s of street scenes, {args.size}", flush=True)
            write_drawn(video, size=args.size, frames=max(1, round(30 * args.seconds)))
        result = measure_speed(segmenter, video, folder / video.stem)
    print(
        f"from file to file {result['end_to_end']['fps']} frames per second, frames in memory alone "
        f"{result['frame_to_map']['fps']}: "
        f"ratio {result['ratio']}"
    )
    keep(args.json, {**about, "drawn": args.video is None, **result})
    return 0


def load_model(
    path: Path | None, engine: str, precision: str | None, threads: int | None
) -> tuple[Segmenter, dict[str, Any]]:
    """The model as ``aaff predict`` runs it on videos, and what a results file says about it."""
    from aaff.loading import find_model, load_engine
    from aaff.provenance import file_hash
    from aaff.runtime import Segmenter

    file = find_model(path)
    loaded = load_engine(file, engine=engine, precision=precision, threads=threads, confidence=False)
    card = loaded.card
    return Segmenter(loaded), {
        "model": card.network,
        "model_hash": file_hash(file),
        "model_size": str(card.size),
        "engine": loaded.name,
        "precision": loaded.precision,
        "threads": threads,
    }


@contextlib.contextmanager
def working_folder(out: Path | None) -> Iterator[Path]:
    """The folder for the videos: ``out``, or a temporary one."""
    if out is not None:
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="aaff-video-") as folder:
        yield Path(folder)


def keep(path: Path | None, result: dict[str, Any]) -> None:
    """Write the figures with where they come from."""
    from aaff.files import write_json
    from aaff.provenance import provenance

    if path is not None:
        write_json(path, {**result, "provenance": provenance()})
        print(f"written: {path}")


if __name__ == "__main__":
    sys.exit(main())
