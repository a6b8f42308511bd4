"""``python -m benchmarks.video_speed``: how fast a video becomes a semantic video."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aaff.preprocess import Size
from benchmarks.video_model import ModelArgs, command, keep, load_model, working_folder


@dataclass
class Args(ModelArgs):
    """Measure frames per second from file to file (decoding, network, overlay, H.264) beside end-to-end latency."""

    video: Path | None = None
    """The video; default: synthetic street scenes."""
    size: Size = Size(480, 360)
    """Of the synthetic scenes."""
    seconds: float = 20.0
    """Length of the synthetic video."""
    out: Path | None = None
    """Keep the video and its results in this folder."""


def main(words: Sequence[str] | None = None) -> int:
    """Read the options and measure; returns the exit status."""
    return command(Args, run, words, "video_speed")


def run(args: Args) -> int:
    """Print and write the figures; status 0."""
    from aaff.errors import OptionError
    from benchmarks.video import measure_speed, write_drawn

    if args.video is None and not args.seconds > 0:
        raise OptionError(f"--seconds {args.seconds:g} must be above 0")
    segmenter, about = load_model(args)
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


if __name__ == "__main__":
    sys.exit(main())
