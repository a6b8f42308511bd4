"""A folder of images as a video."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from fractions import Fraction
from pathlib import Path

from aaff.errors import DataError, OptionError
from aaff.images import read_image
from aaff.preprocess import Size
from aaff.runtime.frames import find_images
from aaff.video.sources import DEFAULT_RATE, Frame, Source, SourceInfo


class ImageFolder(Source):
    """Images in natural order of their names, one frame each.

    An image that cannot be read is skipped and named in ``problems``; the others keep their times.

    Args:
        images: a folder, a pattern, an image, or a list of paths.
        rate: frames per second; if None, ``info.rate`` is None and times assume 30 per second.

    Raises:
        DataError: there is no image, or none of them can be read.
        OptionError: the rate is not positive.
    """

    def __init__(self, images: str | Path | Sequence[Path], *, rate: Fraction | None = None) -> None:
        if rate is not None and rate <= 0:
            raise OptionError(f"the frame rate cannot be {float(rate):g}; give more than 0")
        paths = find_images(images) if isinstance(images, str | Path) else list(images)
        self.problems: list[str] = []
        self._step = 1 / (rate or DEFAULT_RATE)
        self._rest = self._read(paths)
        first = next(self._rest, None)
        if first is None:
            raise DataError(self.problems[0] if len(paths) == 1 else f"no image of {images} can be read")
        self._first = first
        self.info = SourceInfo(
            name=str(images) if isinstance(images, str | Path) else str(paths[0].parent),
            live=False,
            size=Size.of(first.image),
            rate=rate,
            tick=self._step,
            frames=len(paths),
            seconds=len(paths) * self._step,
        )

    def __iter__(self) -> Generator[Frame, None, None]:
        yield self._first
        yield from self._rest

    def _read(self, paths: Sequence[Path]) -> Generator[Frame, None, None]:
        for index, path in enumerate(paths):
            try:
                image = read_image(path)
            except DataError as error:
                self.problems.append(f"left out: {error}")
                continue
            yield Frame(image, index, index * self._step, str(path), self._step)
