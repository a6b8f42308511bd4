"""``aaff predict``: images, videos and cameras in, semantic maps out."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

import tyro

Form = Literal["map", "overlay", "side", "index", "json"]

ENDINGS: dict[Form, str] = {
    "map": "_map.png",
    "overlay": "_overlay.png",
    "side": "_side.png",
    "index": "_index.png",
    "json": ".json",
}
"""Form of a prediction → how the name of its file ends, for an image."""


@dataclass
class Args:
    """Turn images, videos and cameras into semantic maps.

    Writes for every image NAME_map.png (colours of the classes), NAME_overlay.png (the image under them, with a
    legend), NAME_index.png (palette PNG of the class ids) and NAME.json (shares of the classes, speed).

    Writes for a video or camera NAME_overlay.mp4 and NAME.jsonl (time, latency and shares of the classes, a line a
    frame). A video keeps every frame and its time. A camera gives its newest frame until it ends, or --frames, or
    Ctrl-C, after which the files are whole.

    Status 0: all done, 1: some files or frames could not be read, 2: could not run.
    """

    source: tyro.conf.Positional[str]
    """An image, a folder (with its sub-folders), a pattern in quotes such as 'drive/*.png', a video, camera:0, or an
    address such as rtsp://10.0.0.2/front."""
    out: Path
    """Folder for the results; made when missing."""
    write: tuple[Form, ...] = ()
    """What to write, one or several; side is the frame beside the colours. If left out: map overlay index json for
    images, overlay json for a video. Of a video, index is a folder of PNGs."""
    as_video: bool = False
    """Turn the images of a folder or pattern into one video."""
    fps: str | None = None
    """Frames a second of such a video, such as 10 or 30000/1001; 30 if left out."""
    frames: int | None = None
    """End after so many images or frames; all if left out."""
    model: Path | None = None
    """An exported file (.onnx), a checkpoint (.safetensors), the folder of a run or the name of published weights; the
    shipped model if left out."""
    engine: str = "auto"
    """What runs the model: openvino (auto takes it) or onnxruntime for an exported file, torch for a checkpoint."""
    precision: str | None = None
    """fp32 or bf16, for a file in int8 int8 or int8-bf16 (the type of what is not quantised); the file's own if left
    out."""
    threads: int | None = None
    """Processor threads; all cores if left out."""
    max_pixels: int | None = None
    """Read images and videos of up to so many pixels a frame; 178956970 if left out, since a small file can decode
    to gigabytes."""


@dataclass(frozen=True)
class Job:
    """One image and the path, without ending, of its results."""

    image: Path
    target: Path

    def file(self, form: Form) -> Path:
        """Where one form of the prediction goes."""
        return self.target.with_name(self.target.name + ENDINGS[form])


def run(args: Args) -> int:
    """Write the maps and print one line about them; status 1 when files were skipped."""
    from aaff.errors import OptionError
    from aaff.images import MAX_PIXELS_VARIABLE
    from aaff.video.sources import source_kind

    if args.max_pixels is not None:
        os.environ[MAX_PIXELS_VARIABLE] = str(args.max_pixels)
    if args.out.exists() and not args.out.is_dir():
        raise OptionError(f"--out {args.out} is a file; name a folder")
    if args.frames is not None and args.frames < 1:
        raise OptionError(f"--frames {args.frames} leaves nothing to do; give 1 or more, or leave it out for all")
    images = source_kind(args.source) == "images"
    if args.fps is not None and not (images and args.as_video):
        raise OptionError("--fps is the rate of a folder of images that becomes a video with --as-video")
    if args.as_video or not images:
        from aaff.cli.predict_video import run_video

        return run_video(args)
    return _run_images(args)


def _run_images(args: Args) -> int:
    from aaff.cli.console import tell_shipped
    from aaff.cli.data_tables import reading
    from aaff.errors import DataError
    from aaff.loading import load
    from aaff.runtime.frames import find_videos

    forms = list(dict.fromkeys(args.write or ("map", "overlay", "index", "json")))
    jobs = plan(args.source, args.out, forms)[: args.frames]
    segmenter = load(args.model, engine=args.engine, precision=args.precision, threads=args.threads)
    tell_shipped(args.model, segmenter.card)
    latencies: list[float] = []
    skipped: list[str] = []
    with reading("predicting") as progress:
        for done, job in enumerate(jobs, start=1):
            try:
                prediction = segmenter(job.image)
            except DataError as error:
                if len(jobs) == 1:
                    raise
                skipped.append(str(error))
                continue
            for form in forms:
                prediction.save(job.file(form), form)
            latencies.append(prediction.latency)
            progress(done, len(jobs))
    for sentence in skipped:
        print(f"skipped: {sentence}", file=sys.stderr)
    if videos := find_videos(args.source):
        print(f"warning: videos left out: {len(videos)}; name each as a source: {videos[0]}", file=sys.stderr)
    card = segmenter.card
    print(
        f"{len(latencies)} of {len(jobs)} images done"
        + (f", {len(skipped)} skipped" if skipped else "")
        + (f"; median {median(latencies):.1f} ms from frame to map" if latencies else "")
        + f" ({card.network}, {card.size}, {segmenter.engine.name} {segmenter.engine.precision})"
        + (f"; results in {args.out}" if latencies else "; nothing was written")
    )
    if not latencies:
        return 2
    return 1 if skipped else 0


def plan(source: str, out: Path, forms: Sequence[Form]) -> list[Job]:
    """Which images to do and where their results go; touches nothing.

    Results of an earlier run that lie inside the source folder are no sources.

    Raises:
        DataError: there is no image.
        OptionError: a result would take the place of a source.
    """
    from aaff.errors import DataError
    from aaff.runtime.frames import find_images, output_names

    root = Path(source) if Path(source).is_dir() else None
    images = find_images(source)
    if root is not None and _real(out) != _real(root):
        images = [image for image in images if not _real(image).is_relative_to(_real(out))]
        if not images:
            raise DataError(f"every image of folder {source} lies in --out {out}; name another folder for the results")
    jobs = [Job(image, out / name) for image, name in zip(images, output_names(images, root), strict=True)]
    _keep_sources(jobs, forms)
    return jobs


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve raises on links in a circle


def _keep_sources(jobs: Sequence[Job], forms: Sequence[Form]) -> None:
    from aaff.errors import OptionError

    sources = {_real(job.image) for job in jobs}
    for job in jobs:
        for form in forms:
            if _real(job.file(form)) in sources:
                raise OptionError(
                    f"the result {job.file(form)} would overwrite an image of the source; name another --out"
                )
