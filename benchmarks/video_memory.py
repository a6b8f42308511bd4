"""``python -m benchmarks.video_memory``: whether memory stays flat over a long video."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from aaff.preprocess import Size
from benchmarks.video_model import ModelArgs, command, keep, load_model, working_folder


@dataclass
class Args(ModelArgs):
    """Turn a long video of synthetic scenes into a semantic video and measure memory meanwhile."""

    frames: int = 10_000
    """Length of the video; 60 scenes are rendered and shown to and fro."""
    size: Size = Size(480, 360)
    """Of the frames."""


def main(words: Sequence[str] | None = None) -> int:
    """Read the options and measure; returns the exit status."""
    return command(Args, run, words, "video_memory")


def run(args: Args) -> int:
    """Print and write the figures; status 0."""
    from benchmarks.video import measure_memory, write_drawn

    segmenter, about = load_model(args)
    with working_folder(None) as folder:
        video = folder / "scenes.mp4"
        print(f"rendering and encoding {args.frames} frames, {args.size}", flush=True)
        write_drawn(video, size=args.size, frames=args.frames, distinct=60)
        result = measure_memory(segmenter, video, folder / "result", every=max(1, min(100, args.frames // 30)))
    print(
        f"{result['first_mib']} MiB after a tenth of {result['frames']} frames, {result['last_mib']} MiB at the end, "
        f"peak {result['peak_mib']} MiB: {result['growth_mib_per_1000_frames']:+} MiB for 1000 frames"
    )
    keep(args.json, {**about, **result})
    return 0


if __name__ == "__main__":
    sys.exit(main())
