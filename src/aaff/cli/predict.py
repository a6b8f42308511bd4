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
    from aaff.labels import LabelMap
    from aaff.runtime import Prediction


@dataclass
class Args:
    """Segment images, videos and camera streams.

    For every image, writes NAME_map.png (class colours), NAME_overlay.png (the image blended with the class colours,
    and a legend), NAME_index.png (palette PNG of class ids) and NAME.json (class shares and latency).

    For every video or camera, writes NAME_overlay.mp4 and NAME.jsonl (time, latency and class shares, one line per
    frame). Of a video, every frame is processed and keeps its timestamp. Of a camera, the newest frame is processed
    and older ones are dropped, until the stream ends, --frames is reached or you press Ctrl-C; the files are complete
    in each case.

    A folder is searched for images and videos, including sub-folders and linked folders. Earlier results of aaff are
    skipped.

    Exit status: 0 success, 1 some files or frames could not be read, 2 could not run.
    """

    source: tyro.conf.Positional[tuple[str, ...]]
    """One or more images, videos, folders, patterns such as 'drive/*.png', or cameras (camera:0).
    URLs of images and streams, such as rtsp://10.0.0.2/front, and - for standard input are accepted too."""
    out: Path | None = None
    """Output folder, created if missing; default: runs/predict/NAME, or NAME-2 and so on if that exists."""
    write: tuple[Form, ...] = ()
    """Outputs to write. side shows the frame and the class colours side by side; for a video, index is a PNG folder.
    Default: map overlay index json for images, overlay json for videos."""
    alpha: float = 0.5
    """Opacity of the class colours in the overlay, from 0 (only the frame) to 1 (only the colours)."""
    legend: bool = True
    """Draw a legend of the classes in the overlay."""
    classes: tuple[str, ...] = ()
    """Colour only these classes in the overlay, such as road car; default: all. Maps and JSON always contain all."""
    conf: float = 0.0
    """Colour only pixels with at least this confidence, in [0, 1]; needs a model exported with --confidence."""
    show: bool = False
    """Also open the overlays of images in the system's image viewer.
    A camera or video is shown live on the page of aaff serve instead, and nothing is written."""
    as_video: bool = False
    """Process the images of a folder or pattern as one video."""
    fps: str | None = None
    """Frame rate of the video made by --as-video, such as 10 or 30000/1001; default: 30."""
    frames: int | None = None
    """Stop after this many images, or frames of each video; default: all."""
    model: Path | None = None
    """An exported file (.onnx), a checkpoint (.safetensors), a run folder or a model name (see: aaff models).
    Default: the bundled model."""
    size: Size | None = None
    """Input size of the network, such as 960x720; a larger size shows more detail and takes longer.
    Default: the model's own; wide frames keep their aspect ratio at about as many pixels."""
    engine: str = "auto"
    """Inference engine: openvino (used by auto) or onnxruntime for an exported file, torch for a checkpoint."""
    precision: str | None = None
    """fp32 or bf16; for int8 files int8 or int8-bf16 (unquantised layers in bf16). Default: the file's own."""
    threads: int | None = None
    """CPU threads; default: all cores."""
    max_pixels: int | None = None
    """Largest number of pixels per frame to decode, since a small file can decode to gigabytes; default: 178956970."""
    overwrite: bool = False
    """Also replace existing files that are not earlier results of the same source."""


def run(args: Args) -> int:
    """Write the results and print a summary; status 1 if something could not be read."""
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
        raise OptionError(f"--frames is {args.frames}; it must be at least 1 (default: all)")
    with localised(args.source) as sources:
        kinds = {source_kind(source.place) for source in sources}
        if args.as_video and len(sources) > 1:
            raise OptionError("--as-video makes one video from one folder or pattern; name one source")
        if args.fps is not None and not (kinds == {"images"} and args.as_video):
            raise OptionError("--fps sets the frame rate of --as-video; add --as-video with a folder of images")
        if args.show and kinds != {"images"}:
            return _show_live(args, sources)
        if args.show and args.as_video:
            raise OptionError("--show cannot be used with --as-video; omit it and open the video that is written")
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
    """Show a camera or a video on the page of ``aaff serve``; nothing is written.

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
        raise OptionError("--show takes images, or one camera number or one video file to show on the live page")
    if args.size is not None:
        raise OptionError("the live page runs a model at its own size; omit --size or --show")
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


def check_style(args: Args, labels: LabelMap) -> None:
    """Check the options of overlays before anything is written.

    Raises:
        OptionError: a number is out of range.
        UnknownNameError: a class is not one of the model's.
    """
    from aaff.errors import OptionError, UnknownNameError

    for name in ("alpha", "conf"):
        if not 0 <= getattr(args, name) <= 1:
            raise OptionError(f"--{name} is {getattr(args, name)}; it must be in [0, 1]")
    for name in args.classes:
        if name not in labels.names:
            raise UnknownNameError("class", name, labels.names)


def _run_images(args: Args, jobs: Sequence[Job], out: Path, *, alone: bool) -> int:
    """Segment the images; status 1 if some were skipped, 2 if all were."""
    from aaff.cli.console import print_default_model
    from aaff.cli.data_tables import reading
    from aaff.cli.predict_plan import IMAGE_FORMS
    from aaff.errors import DataError
    from aaff.loading import find_model, load_segmenter

    forms = list(dict.fromkeys(args.write or IMAGE_FORMS))
    file = find_model(args.model, precision=args.precision, engine=args.engine)
    segmenter = load_segmenter(file, engine=args.engine, precision=args.precision, threads=args.threads, size=args.size)
    check_style(args, segmenter.labels)
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
        + (f"; median end-to-end latency {median(latencies):.1f} ms" if latencies else "")
        + f" ({card.network}, {card.size}, {segmenter.engine.name} {segmenter.engine.precision})"
        + (f"; results in {out}" if latencies else "; nothing was written")
    )
    if not latencies:
        return 2
    return 1 if skipped else 0


def _show(prediction: Prediction, args: Args) -> None:
    """Open an overlay in the image viewer; print a warning, once, if that does not work."""
    from aaff.runtime.display import DisplayError, show_picture

    try:
        picture = prediction.overlay(args.alpha, args.legend, classes=args.classes, conf=args.conf)
        show_picture(picture, prediction.source)
    except DisplayError as error:
        print(f"warning: {error}", file=sys.stderr)
        args.show = False
