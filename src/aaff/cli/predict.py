"""``aaff predict``: images, videos and cameras in, semantic maps out."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import tyro

from aaff.cli.predict_plan import Form, Job
from aaff.preprocess import Size

if TYPE_CHECKING:
    from aaff.cli.sources import Named
    from aaff.runtime import Prediction


@dataclass
class Args:
    """Turn images, videos and cameras into semantic maps.

    Writes for every image NAME_map.png (colours of the classes), NAME_overlay.png (the image with them painted over
    it, and a legend), NAME_index.png (palette PNG of the class ids) and NAME.json (shares of the classes, speed).

    Writes for a video or camera NAME_overlay.mp4 and NAME.jsonl (time, latency and shares of the classes, one line per
    frame). A video keeps every frame and its time. A camera gives its newest frame until it ends, or --frames, or
    Ctrl-C, after which the files are complete.

    Of a folder all images and videos are done, those in its sub-folders and in linked folders too. Earlier results of
    aaff among them are left out.

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
    """Open the overlays of images in the system's image viewer too. A camera or a video is shown live on the page of
    aaff serve instead, and nothing is written."""
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
    """Feed frames at this size, such as 960x720; more pixels show more detail and take longer;
    default: the model's own, and for wide frames as many pixels in their own aspect."""
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


def run(args: Args) -> int:
    """Write the results and print a line about them; status 1 when something could not be read."""
    from aaff.images import allowing_pixels

    with allowing_pixels(args.max_pixels):
        return _run(args)


def _run(args: Args) -> int:
    from aaff.cli.predict_plan import Plan, check_results, make_plan
    from aaff.cli.sources import default_folder, localised
    from aaff.errors import OptionError
    from aaff.runtime.frames import find_images
    from aaff.video.sources import short_name, source_kind

    if args.out is not None and args.out.exists() and not args.out.is_dir():
        raise OptionError(f"--out {args.out} is a file; name a folder")
    if args.frames is not None and args.frames < 1:
        raise OptionError(f"--frames {args.frames} leaves nothing to do; it must be at least 1 (default: all)")
    with localised(args.source) as sources:
        kinds = {source_kind(source.place) for source in sources}
        if args.as_video and len(sources) > 1:
            raise OptionError("--as-video makes one video of one folder or pattern; name one source")
        if args.fps is not None and not (kinds == {"images"} and args.as_video):
            raise OptionError("--fps is the rate of a folder of images that becomes a video with --as-video")
        if args.show and kinds != {"images"}:
            return _show_live(args, sources)
        if args.show and args.as_video:
            raise OptionError("--show opens images; to watch the video, leave it out and open the file that is written")
        out = args.out or default_folder(sources)
        if args.as_video:
            place, shown = sources[0].place, sources[0].shown
            images = tuple(map(str, find_images(place))) if kinds == {"images"} else ()
            plan = Plan([], [Job(place, out / short_name(place), shown, images)])
        else:
            plan = make_plan(sources, out)
        check_results(plan, args.write, overwrite=args.overwrite)
        for sentence in plan.left_out:
            print(f"left out: {sentence}", file=sys.stderr)
        jobs = plan.images[: args.frames]
        alone = len(jobs) + len(plan.videos) == 1
        statuses = [_run_images(args, jobs, out, alone=alone)] if jobs else []
        if plan.videos:
            from aaff.cli.predict_video import run_videos

            statuses += run_videos(args, plan.videos, alone=alone, tell=not jobs)
    return 2 if set(statuses) == {2} else 1 if any(statuses) else 0


def _show_live(args: Args, sources: Sequence[Named]) -> int:
    """The page of ``aaff serve`` with a camera or a video; nothing is written.

    Raises:
        OptionError: several sources, or one that a browser cannot show.
    """
    from aaff.cli.serve import Args as ServeArgs
    from aaff.cli.serve import serve_page
    from aaff.errors import OptionError
    from aaff.video.sources import source_kind

    place = sources[0].place
    number = place.removeprefix("camera:")
    camera = number.isdecimal() and source_kind(place) == "camera"
    if len(sources) > 1 or not (camera or os.path.isfile(place)):
        raise OptionError("--show takes images, or one camera number or one video file, which the live page then shows")
    if args.size is not None:
        raise OptionError("the live page feeds a model at its own size; leave out --size or --show")
    options = ServeArgs(
        media=None if camera else Path(place),
        model=() if args.model is None else (str(args.model),),
        port=0,
        open=True,
        engine=args.engine,
        precision=args.precision,
        threads=args.threads,
    )
    return serve_page(options, fragment=f"camera={number}" if camera else "media")


def _run_images(args: Args, jobs: Sequence[Job], out: Path, *, alone: bool) -> int:
    """Status 1 when some images were skipped, 2 when all were."""
    from aaff.cli.console import print_default_model
    from aaff.cli.data_tables import reading
    from aaff.cli.predict_plan import IMAGE_FORMS
    from aaff.errors import DataError
    from aaff.loading import find_model, load_segmenter

    forms = list(dict.fromkeys(args.write or IMAGE_FORMS))
    file = find_model(args.model, precision=args.precision, engine=args.engine)
    segmenter = load_segmenter(file, engine=args.engine, precision=args.precision, threads=args.threads, size=args.size)
    print_default_model(args.model, segmenter.card)
    latencies: list[float] = []
    skipped: list[str] = []
    with reading("predicting") as progress:
        for done, job in enumerate(jobs, start=1):
            try:
                prediction = replace(segmenter(Path(job.place)), source=job.renamed or job.place)
            except DataError as error:
                if alone:
                    raise job.explained(error) from error
                skipped.append(str(job.explained(error)))
                continue
            for form in forms:
                prediction.save(
                    job.image_file(form),
                    form,
                    alpha=args.alpha,
                    legend=args.legend,
                    classes=args.classes,
                    conf=args.conf,
                )
            if args.show:
                _show(prediction, args)
            latencies.append(prediction.latency)
            progress(done, len(jobs))
    for sentence in skipped:
        print(f"skipped: {sentence}", file=sys.stderr)
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
