"""``aaff predict``: images, videos and cameras in, semantic maps out."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Literal

import tyro

from aaff.preprocess import Size

if TYPE_CHECKING:
    from aaff.cli.sources import Named
    from aaff.runtime import Prediction

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

    Writes for every image NAME_map.png (colours of the classes), NAME_overlay.png (the image with them painted over
    it, and a legend), NAME_index.png (palette PNG of the class ids) and NAME.json (shares of the classes, speed).

    Writes for a video or camera NAME_overlay.mp4 and NAME.jsonl (time, latency and shares of the classes, one line per
    frame). A video keeps every frame and its time. A camera gives its newest frame until it ends, or --frames, or
    Ctrl-C, after which the files are complete.

    Status 0: success, 1: some files or frames could not be read, 2: could not run.
    """

    source: tyro.conf.Positional[tuple[str, ...]]
    """One or several: an image, a folder (with its sub-folders), a pattern such as 'drive/*.png', a video, camera:0,
    an address such as rtsp://10.0.0.2/front or that of an image, or - for standard input."""
    out: Path | None = None
    """Folder for the results; made when missing. Default: runs/predict/NAME, or NAME-2 and so on."""
    write: tuple[Form, ...] = ()
    """What to write, one or several; side is the frame beside the colours. Default: map overlay index json for images,
    overlay json for a video. Of a video, index is a folder of PNGs."""
    alpha: float = 0.5
    """Strength of the colours in an overlay: 0 the frame alone, 1 the colours alone."""
    legend: bool = True
    """List the classes in the overlay."""
    classes: tuple[str, ...] = ()
    """Paint only these classes in the overlay, such as road car; default: all. Maps and JSON always have all."""
    conf: float = 0.0
    """Paint only pixels of at least this confidence (0 to 1) in the overlay; the model must give it."""
    show: bool = False
    """Open the overlays of images in the system's image viewer too."""
    as_video: bool = False
    """Turn the images of a folder or pattern into one video."""
    fps: str | None = None
    """Frames per second of such a video, such as 10 or 30000/1001; default: 30."""
    frames: int | None = None
    """Stop after so many images, or frames of each video; default: all."""
    model: Path | None = None
    """An exported file (.onnx), a checkpoint (.safetensors), the folder of a run or a name (see: aaff models); default:
    the bundled model."""
    size: Size | None = None
    """Feed frames at this size, such as 960x720; default: the model's own. Exported files have one size."""
    engine: str = "auto"
    """What runs the model: openvino (auto takes it) or onnxruntime for an exported file, torch for a checkpoint."""
    precision: str | None = None
    """fp32 or bf16, for a file in int8 int8 or int8-bf16 (the type of what is not quantised); default: the file's
    own."""
    threads: int | None = None
    """CPU threads; default: all cores."""
    max_pixels: int | None = None
    """Read images and videos of up to so many pixels per frame; default: 178956970, since a small file can decode to
    gigabytes."""
    overwrite: bool = False
    """Replace files of the same names that are not earlier results of the same source."""


@dataclass(frozen=True)
class Job:
    """One image, the path, without ending, of its results, and what the user calls it."""

    image: Path
    target: Path
    shown: str = ""

    def file(self, form: Form) -> Path:
        """Where one form of the prediction goes."""
        return self.target.with_name(self.target.name + ENDINGS[form])


def run(args: Args) -> int:
    """Write the maps and print a line about them; status 1 when files were skipped."""
    from aaff.cli.sources import default_folder, localised
    from aaff.errors import OptionError
    from aaff.images import MAX_PIXELS_VARIABLE
    from aaff.video.sources import source_kind

    if args.max_pixels is not None:
        os.environ[MAX_PIXELS_VARIABLE] = str(args.max_pixels)
    if args.out is not None and args.out.exists() and not args.out.is_dir():
        raise OptionError(f"--out {args.out} is a file; name a folder")
    if args.frames is not None and args.frames < 1:
        raise OptionError(f"--frames {args.frames} leaves nothing to do; it must be at least 1 (default: all)")
    with localised(args.source) as sources:
        images = [source for source in sources if source_kind(source.place) == "images"]
        others = [source for source in sources if source not in images]
        if args.as_video and len(sources) > 1:
            raise OptionError("--as-video makes one video of one folder or pattern; name one source")
        if args.fps is not None and not (images and args.as_video):
            raise OptionError("--fps is the rate of a folder of images that becomes a video with --as-video")
        if args.show and (others or args.as_video):
            raise OptionError("--show opens images; to watch a video, leave it out and open the file that is written")
        out = args.out or default_folder(sources)
        if args.as_video:
            images, others = [], sources
        statuses = [_run_images(args, images, out)] if images else []
        if others:
            from aaff.cli.predict_video import run_video

            statuses += [run_video(args, source, out) for source in others]
    return max(statuses)


def _run_images(args: Args, sources: Sequence[Named], out: Path) -> int:
    from aaff.cli.console import tell_shipped
    from aaff.cli.data_tables import reading
    from aaff.cli.outputs import keep_others
    from aaff.errors import DataError
    from aaff.loading import find_model, load_engine
    from aaff.runtime import Segmenter
    from aaff.runtime.frames import find_videos

    forms = list(dict.fromkeys(args.write or ("map", "overlay", "index", "json")))
    jobs = plan_all(sources, out, forms)[: args.frames]
    for job in jobs:
        known: list[str | Path] = [job.image, job.shown] if job.shown not in ("", "stdin") else [job.image]
        keep_others(map(job.file, forms), known, overwrite=args.overwrite)
    file = find_model(args.model, precision=args.precision, engine=args.engine)
    segmenter = Segmenter(
        load_engine(file, engine=args.engine, precision=args.precision, threads=args.threads, size=args.size)
    )
    tell_shipped(args.model, segmenter.card)
    latencies: list[float] = []
    skipped: list[str] = []
    with reading("predicting") as progress:
        for done, job in enumerate(jobs, start=1):
            try:
                prediction = replace(segmenter(job.image), source=job.shown or str(job.image))
            except DataError as error:
                if len(jobs) == 1:
                    raise
                skipped.append(str(error))
                continue
            for form in forms:
                prediction.save(
                    job.file(form), form, alpha=args.alpha, legend=args.legend, classes=args.classes, conf=args.conf
                )
            if args.show:
                _show(prediction, args)
            latencies.append(prediction.latency)
            progress(done, len(jobs))
    for sentence in skipped:
        print(f"skipped: {sentence}", file=sys.stderr)
    for source in sources:
        if videos := find_videos(source.place):
            print(f"warning: videos left out: {len(videos)}; name each as a source: {videos[0]}", file=sys.stderr)
    card = segmenter.card
    print(
        f"{len(latencies)} of {len(jobs)} images done"
        + (f", {len(skipped)} skipped" if skipped else "")
        + (f"; median latency {median(latencies):.1f} ms, end to end" if latencies else "")
        + f" ({card.network}, {card.size}, {segmenter.engine.name} {segmenter.engine.precision})"
        + (f"; results in {out}" if latencies else "; nothing was written")
    )
    if not latencies:
        return 2
    return 1 if skipped else 0


def _show(prediction: Prediction, args: Args) -> None:
    """Open an overlay; where that does not work, say so once."""
    from aaff.runtime.display import DisplayError, show_picture

    try:
        picture = prediction.overlay(args.alpha, args.legend, classes=args.classes, conf=args.conf)
        show_picture(picture, prediction.source)
    except DisplayError as error:
        print(f"warning: {error}", file=sys.stderr)
        args.show = False


def plan_all(sources: Sequence[Named], out: Path, forms: Sequence[Form]) -> list[Job]:
    """The jobs of :func:`plan` for several sources; images of equal names get results of their own.

    Raises:
        DataError: a source has no image.
        OptionError: a result would overwrite a source.
    """
    from aaff.runtime.frames import output_names

    if len(sources) == 1:
        return [replace(job, shown=_shown(job, sources[0])) for job in plan(sources[0].place, out, forms)]
    jobs = [(job, source) for source in sources for job in plan(source.place, out, forms)]
    jobs = list({_real(job.image): (job, source) for job, source in jobs}.values())
    names = output_names([job.image for job, _ in jobs])
    if len({name.name.casefold() for name in names}) == len(names):
        names = [Path(name.name) for name in names]  # different names need no folders
    planned = [Job(job.image, out / name, _shown(job, source)) for (job, source), name in zip(jobs, names, strict=True)]
    _keep_sources(planned, forms)
    return planned


def _shown(job: Job, source: Named) -> str:
    return source.shown if source.place != source.shown else str(job.image)


def plan(source: str, out: Path, forms: Sequence[Form]) -> list[Job]:
    """Which images to do and where their results go; touches nothing.

    Results of an earlier run that lie inside the source folder are no sources.

    Raises:
        DataError: there is no image.
        OptionError: a result would overwrite a source.
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
