"""The work plan of ``aaff predict``: the images and videos of the sources, and where their results go."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from aaff.cli.sources import Named
    from aaff.errors import DataError

Form = Literal["map", "overlay", "side", "index", "json"]

ENDINGS: dict[Form, str] = {
    "map": "_map.png",
    "overlay": "_overlay.png",
    "side": "_side.png",
    "index": "_index.png",
    "json": ".json",
}
"""Output form of an image → suffix of its file name."""

IMAGE_FORMS: tuple[Form, ...] = ("map", "overlay", "index", "json")
VIDEO_FORMS: tuple[Form, ...] = ("overlay", "json")
"""What is written if ``--write`` is not given."""


@dataclass(frozen=True)
class Job:
    """One image, video or camera.

    Attributes:
        place: a path, or anything else that can be opened.
        target: path of its results, without a suffix.
        shown: its name in the results.
        images: the images, if the place is a folder or pattern that is processed as one video.
    """

    place: str
    target: Path
    shown: str
    images: tuple[str, ...] = ()

    def image_file(self, form: Form) -> Path:
        """Where one form of an image's prediction goes."""
        return self.target.with_name(self.target.name + ENDINGS[form])

    @property
    def renamed(self) -> str | None:
        """Name of the place in the results if it is a temporary file, else None."""
        from aaff.runtime.address import shown_name

        return None if self.shown == self.place else shown_name(self.shown)

    def explained(self, error: DataError) -> DataError:
        """The error with the name of the place as the user gave it."""
        from aaff.errors import DataError

        return DataError(str(error).replace(self.place, self.renamed or self.place))

    @property
    def origins(self) -> list[str]:
        """The sources that an earlier result of the same source may name."""
        from aaff.video.sources import source_name

        renamed = [] if self.renamed in (None, "stdin") else [self.shown]  # standard input differs each time
        return [self.place, source_name(self.place), *renamed, *self.images]


@dataclass(frozen=True)
class Plan:
    """Images and videos (including cameras), and notes about files that are skipped."""

    images: list[Job]
    videos: list[Job]
    left_out: Sequence[str] = ()


def make_plan(sources: Sequence[Named], out: Path) -> Plan:
    """Find the images and videos of all sources and name their results; nothing is opened or written.

    Files found through a folder or pattern are skipped if they are inside ``out`` or were written by aaff.

    Raises:
        DataError: a source has no image or video.
        OptionError: a camera has no number.
    """
    from aaff.errors import DataError
    from aaff.runtime.frames import find_media
    from aaff.video.sources import short_name, source_kind

    images: dict[Path, tuple[Path, Named]] = {}  # by real path, so that no file is processed twice
    videos: dict[Path, tuple[Path, Named]] = {}
    live: dict[str, Named] = {}
    earlier, unread = 0, list[Path]()
    for source in sources:
        path, kind = Path(source.place), source_kind(source.place)
        if kind == "camera" or (kind == "video" and not os.path.exists(path)):
            live.setdefault(source.place, source)
        elif kind == "video" or os.path.isfile(path):
            (images if kind == "images" else videos).setdefault(_real(path), (path, source))
        else:
            found = find_media(source.place)
            media = (found.images, found.videos)
            kept = [[file for file in files if not _is_result(file, path, out)] for files in media]
            if not any(kept):
                raise DataError(f"every image and video of {source.place} is a result of aaff; name the originals")
            earlier += sum(map(len, media)) - sum(map(len, kept))
            unread += found.unread
            for jobs, files in zip((images, videos), kept, strict=True):
                for file in files:
                    jobs.setdefault(_real(file), (file, source))
    root = Path(sources[0].place) if len(sources) == 1 and os.path.isdir(sources[0].place) else None
    flat = len(sources) > 1
    plan = Plan(
        [_job(*file, out / name) for file, name in _named(images, root, flat)],
        [_job(*file, out / name) for file, name in _named(videos, root, flat)],
        _left_out(earlier, unread),
    )
    taken = {str(job.target).casefold() for job in plan.videos}
    plan.videos.extend(Job(place, _free(out / short_name(place), taken), named.shown) for place, named in live.items())
    return plan


def _left_out(earlier: int, unread: Sequence[Path]) -> list[str]:
    said = [f"{earlier} earlier results of aaff"] if earlier else []
    if unread:
        said.append(f"{len(unread)} images such as {unread[0]}, which aaff cannot read; convert them to JPEG or PNG")
    return said


def _named(
    found: Mapping[Path, tuple[Path, Named]], root: Path | None, flat: bool
) -> Iterator[tuple[tuple[Path, Named], Path]]:
    """Every file with the name of its results; ``flat`` drops the folders if the names are unique without them."""
    from aaff.runtime.frames import output_names

    if not found:
        return iter(())
    names = output_names([file for file, _ in found.values()], root)
    if flat and len({name.name.casefold() for name in names}) == len(names):
        names = [Path(name.name) for name in names]
    return zip(found.values(), names, strict=True)


def _job(file: Path, source: Named, target: Path) -> Job:
    renamed = source.place != source.shown  # standard input or a URL, fetched into a temporary file
    return Job(str(file), target, source.shown if renamed else str(file))


def _free(target: Path, taken: set[str]) -> Path:
    """The target, or the first of ``target-2`` … that no other job has."""
    name, number = target, 1
    while str(name).casefold() in taken:
        number += 1
        name = target.with_name(f"{target.name}-{number}")
    taken.add(str(name).casefold())
    return name


def check_results(plan: Plan, write: Sequence[Form], *, overwrite: bool) -> None:
    """Check that no result replaces a source or an unrelated file.

    Raises:
        OptionError: a file would be lost; the message names the first one.
    """
    from aaff.cli.outputs import keep_others
    from aaff.errors import OptionError
    from aaff.video.outputs import output_path

    files = {
        **{job: [job.image_file(form) for form in write or IMAGE_FORMS] for job in plan.images},
        **{job: [output_path(form, job.target) for form in write or VIDEO_FORMS] for job in plan.videos},
    }
    sources = {_real(Path(job.place)) for job in files}
    for results in files.values():
        for result in results:
            if _real(result) in sources:
                raise OptionError(f"the result {result} would overwrite a source file; name another --out")
    for job, results in files.items():
        keep_others(results, job.origins, overwrite=overwrite)


def _is_result(file: Path, root: Path, out: Path) -> bool:
    """Whether a file found in a folder or by a pattern is an earlier result."""
    from aaff.cli.outputs import is_result

    inside = os.path.isdir(root) and _real(out) != _real(root) and _real(file).is_relative_to(_real(out))
    return inside or is_result(file)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve raises on a loop of links
