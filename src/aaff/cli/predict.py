"""``aaff predict``: images in, semantic maps out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    from aaff.runtime.prediction import Kind

FORMS: dict[str, Kind] = {"_map.png": "map", "_overlay.png": "overlay", "_index.png": "index", ".json": "json"}
"""What is written for every image: ending of the file's name → form of the prediction."""


@dataclass
class Args:
    """Turn images into semantic maps.

    Writes for every image NAME_map.png (colours of the classes), NAME_overlay.png (the image under them, with a
    legend), NAME_index.png (palette PNG of the class ids) and NAME.json (shares of the classes, speed).

    Status 0: all done, 1: some files were skipped, 2: could not run.
    """

    source: tyro.conf.Positional[str]
    """An image, a folder (with its sub-folders), or a pattern in quotes such as 'drive/*.png'."""
    out: Path
    """Folder for the results; made when missing."""
    model: Path | None = None
    """A checkpoint (.safetensors) or the folder of a run; the shipped model if left out."""
    engine: str = "auto"
    """What runs the model."""
    precision: str | None = None
    """fp32 or bf16; fp32 if left out."""
    threads: int | None = None
    """Processor threads; all cores if left out."""


@dataclass(frozen=True)
class Job:
    """One image and the path, without ending, of its results."""

    image: Path
    target: Path

    def file(self, ending: str) -> Path:
        """Where one form of the prediction goes."""
        return self.target.with_name(self.target.name + ending)


def run(args: Args) -> int:
    """Write the maps and print one line about them; status 1 when files were skipped."""
    from aaff.cli.data_tables import reading
    from aaff.errors import DataError
    from aaff.loading import load

    jobs = plan(args.source, args.out)
    segmenter = load(args.model, engine=args.engine, precision=args.precision, threads=args.threads)
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
            for ending, kind in FORMS.items():
                prediction.save(job.file(ending), kind)
            latencies.append(prediction.latency)
            progress(done, len(jobs))
    for sentence in skipped:
        print(f"skipped: {sentence}", file=sys.stderr)
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


def plan(source: str, out: Path) -> list[Job]:
    """Which images to do and where their results go; touches nothing.

    Results of an earlier run that lie inside the source folder are no sources.

    Raises:
        DataError: there is no image.
        OptionError: a result would take the place of a source, or ``out`` is a file.
    """
    from aaff.errors import DataError, OptionError
    from aaff.runtime.frames import find_images, output_names

    if out.exists() and not out.is_dir():
        raise OptionError(f"--out {out} is a file; name a folder")
    root = Path(source) if Path(source).is_dir() else None
    images = find_images(source)
    if root is not None and out.resolve() != root.resolve():
        images = [image for image in images if not image.resolve().is_relative_to(out.resolve())]
        if not images:
            raise DataError(f"every image of folder {source} lies in --out {out}; name another folder for the results")
    jobs = [Job(image, out / name) for image, name in zip(images, output_names(images, root), strict=True)]
    _keep_sources(jobs)
    return jobs


def _keep_sources(jobs: Sequence[Job]) -> None:
    from aaff.errors import OptionError

    sources = {job.image.resolve() for job in jobs}
    for job in jobs:
        for ending in FORMS:
            if job.file(ending).resolve() in sources:
                raise OptionError(
                    f"the result {job.file(ending)} would overwrite an image of the source; name another --out"
                )
