"""``aaff data scenes``: generate a data set of synthetic street scenes, or a video of a drive."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from aaff.preprocess import Size


@dataclass
class Args:
    """Generate synthetic street scenes with labels, by default of the CamVid classes; nothing is downloaded."""

    out: tyro.conf.Positional[Path | None] = None
    """New folder for the data set; omit it to write only the video."""
    layout: str = "segnet"
    """Folder layout: yaml, segnet, kaggle, original or cityscapes."""
    labels: str | None = None
    """Classes: camvid11, camvid32 or cityscapes19; default: those usual for the layout."""
    size: Size = Size(480, 360)
    """Frame size."""
    train: int = 300
    """Number of training frames."""
    val: int = 60
    """Number of validation frames, on streets of their own."""
    test: int = 60
    """Number of test frames, on streets of their own."""
    seed: int = 0
    """Random seed; the same seed generates the same streets."""
    video: Path | None = None
    """Also write a video of one drive to this .mp4 file."""
    seconds: float = 20.0
    """Length of the video in seconds."""
    drive: int = 0
    """Number of the street that the video shows."""
    overwrite: bool = False
    """Replace an existing video file."""


def run(args: Args) -> int:
    """Generate the scenes; status 0."""
    from aaff.cli.console import progress
    from aaff.errors import OptionError
    from aaff.files import check_writable
    from aaff.synthetic.write import check_video, write_scenes, write_video

    if args.out is None and args.video is None:
        raise OptionError("aaff data scenes needs a folder to write to, or --video FILE.mp4")
    if args.video is not None:
        check_video(args.video, args.seconds)  # before the frames are rendered, which takes minutes
        if args.video.exists() and not args.overwrite:
            raise OptionError(f"--video {args.video} exists; name another file, or add --overwrite to replace it")
        check_writable(args.video)
    with progress("rendering") as report:

        def advance(what: str, done: int, total: int) -> None:
            report(done, total, f"{what}: {done} of {total}")

        if args.out is not None:
            write_scenes(
                args.out,
                layout=args.layout,
                labels=args.labels,
                size=args.size,
                train=args.train,
                val=args.val,
                test=args.test,
                seed=args.seed,
                progress=advance,
            )
        if args.video is not None:
            write_video(args.video, seconds=args.seconds, size=args.size, drive=args.drive, progress=advance)
    if args.out is not None:
        counts = ", ".join(
            f"{n} {split}" for split, n in (("train", args.train), ("val", args.val), ("test", args.test))
        )
        print(f"written: {args.out} ({counts}, {args.size}, layout {args.layout})")
    if args.video is not None:
        print(f"written: {args.video} ({args.seconds:g} s, {args.size})")
    return 0
