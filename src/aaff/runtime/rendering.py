"""Class maps as pictures: colour map, overlay, legend, side by side.

Everything takes and gives arrays, RGB uint8 [H, W, 3], and changes none of its inputs.
"""

from __future__ import annotations

import functools
import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from aaff.errors import OptionError
from aaff.labels import RGB, LabelMap, UInt8Array
from aaff.preprocess import Size

_PAPER: RGB = (250, 250, 250)
_INK: RGB = (25, 25, 25)
_FAINT: RGB = (105, 105, 105)
_SMALLEST_TEXT = 11
"""Pixels; below this the letters of the font run together."""
_LONGEST = 16
"""Lines of a legend at the side before it takes a second column."""


def color_map(class_map: UInt8Array, labels: LabelMap) -> UInt8Array:
    """Colours uint8 [H, W, 3] of a class map uint8 [H, W].

    Equal to :meth:`aaff.labels.LabelMap.colorize`, in a tenth of its time: this runs on every video frame.
    """
    channels = [cv2.LUT(class_map, np.ascontiguousarray(labels.palette[:, channel])) for channel in range(3)]
    return np.asarray(cv2.merge(channels), np.uint8)


def overlay(image: UInt8Array, class_map: UInt8Array, labels: LabelMap, alpha: float = 0.5) -> UInt8Array:
    """The frame with its classes painted over it.

    Args:
        image: RGB uint8 [H, W, 3].
        class_map: uint8 [H, W], of the same size.
        labels: colours of the classes.
        alpha: 0 shows the frame alone, 1 the colours alone.

    Raises:
        OptionError: alpha is outside 0–1, or the sizes differ.
    """
    if not 0 <= alpha <= 1:
        raise OptionError(f"alpha is {alpha}; it goes from 0 (the frame alone) to 1 (the colours alone)")
    if image.shape[:2] != class_map.shape:
        raise OptionError(f"the frame is {Size.of(image)} but its class map {Size.of(class_map)}")
    return np.asarray(cv2.addWeighted(image, 1 - alpha, color_map(class_map, labels), alpha, 0), np.uint8)


def side_by_side(left: UInt8Array, right: UInt8Array) -> UInt8Array:
    """Two pictures of equal height beside each other.

    Raises:
        OptionError: the heights differ.
    """
    if left.shape[0] != right.shape[0]:
        raise OptionError(f"pictures of {Size.of(left)} and {Size.of(right)} do not stand side by side")
    return np.hstack([left, right])


@dataclass(frozen=True)
class LegendEntry:
    """One line of a legend: the swatch's colour, the class name, and its share of the picture (0–1)."""

    name: str
    color: RGB
    share: float


def legend_entries(labels: LabelMap, shares: Sequence[float], *, every: bool = False) -> list[LegendEntry]:
    """Legend of a class map.

    Args:
        labels: names and colours.
        shares: share of the pixels per class, 0–1, in the order of the ids.
        every: all classes in the order of their ids, for a video whose legend must keep its place;
            else those present, largest first.
    """
    entries = [
        LegendEntry(name, color, float(share))
        for name, color, share in zip(labels.names, labels.colors, shares, strict=True)
    ]
    if every:
        return entries
    return sorted((entry for entry in entries if entry.share > 0), key=lambda entry: -entry.share)


def with_legend(picture: UInt8Array, entries: Iterable[LegendEntry]) -> UInt8Array:
    """The picture with a legend on a strip of its own, so that nothing of the picture is hidden.

    The strip stands below when at least three columns fit there, else at the right.  Text grows with
    the picture.  The result's size depends on the picture's size and the names alone, not on the
    shares, so that frames of a video with the same entries stay of one size.
    """
    rows = list(entries)
    if not rows:
        return picture
    size = Size.of(picture)
    cell = _Cell.fitting(rows, size)
    columns = (size.width - 2 * cell.gap) // cell.width
    if columns >= 3:
        strip = _strip(rows, cell, min(columns, len(rows)), Size(size.width, 0))
        return np.vstack([picture, strip])
    strip = _strip(rows, cell, -(-len(rows) // _LONGEST), Size(0, size.height))
    missing = strip.shape[0] - size.height
    if missing > 0:
        picture = np.vstack([picture, np.full((missing, size.width, 3), _PAPER, np.uint8)])
    return np.hstack([picture, strip])


@dataclass(frozen=True)
class _Cell:
    """Measures of one legend entry: swatch, gap, name, gap, percentage, gap; all in pixels."""

    text: int
    name: int
    percent: int

    @classmethod
    def fitting(cls, rows: Sequence[LegendEntry], size: Size) -> _Cell:
        text = max(_SMALLEST_TEXT, round(0.03 * math.sqrt(size.width * size.height)))
        font = _font(text)
        widest = max(font.getlength(_shown(row.name)) for row in rows)
        return cls(text, math.ceil(min(widest, 14 * text)), math.ceil(font.getlength("100.0 %")))

    @property
    def gap(self) -> int:
        return max(4, self.text // 2)

    @property
    def swatch(self) -> int:
        return self.text

    @property
    def width(self) -> int:
        return self.swatch + self.name + self.percent + 4 * self.gap

    @property
    def height(self) -> int:
        return round(1.5 * self.text)


def _strip(rows: Sequence[LegendEntry], cell: _Cell, columns: int, at_least: Size) -> UInt8Array:
    """The legend alone, entries in reading order, in the middle of the room it is given."""
    lines = -(-len(rows) // columns)
    inner = Size(columns * cell.width, lines * cell.height)
    width = max(at_least.width, inner.width + 2 * cell.gap)
    height = max(at_least.height, inner.height + 2 * cell.gap)
    pitch = max(cell.width, (width - 2 * cell.gap) // columns)
    canvas = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(canvas)
    left, top = cell.gap + (cell.gap if columns > 1 else cell.gap // 2), (height - inner.height) // 2
    for place, row in enumerate(rows):
        line, column = divmod(place, columns)
        _draw_entry(draw, (left + column * pitch, top + line * cell.height), row, cell)
    return np.asarray(canvas, np.uint8)


def _draw_entry(draw: ImageDraw.ImageDraw, corner: tuple[int, int], row: LegendEntry, cell: _Cell) -> None:
    x, y = corner
    middle = y + cell.height // 2
    font = _font(cell.text)
    top = middle - cell.swatch // 2
    box = (x, top, x + cell.swatch - 1, top + cell.swatch - 1)
    draw.rectangle(box, fill=row.color, outline=_FAINT, width=max(1, cell.text // 14))
    x += cell.swatch + cell.gap
    draw.text((x, middle), _cut(_shown(row.name), font, cell.name), fill=_INK, font=font, anchor="lm")
    x += cell.name + cell.gap + cell.percent
    draw.text((x, middle), _percent(row.share), fill=_FAINT, font=font, anchor="rm")


def _percent(share: float) -> str:
    return "<0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"


def _shown(name: str) -> str:
    """The name in letters that the built-in font has: accents dropped, others as question marks."""
    plain = unicodedata.normalize("NFKD", name)
    return "".join(sign for sign in plain if not unicodedata.combining(sign)).encode("ascii", "replace").decode()


def _cut(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"


@functools.lru_cache(maxsize=16)
def _font(pixels: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(pixels)
    if not isinstance(font, ImageFont.FreeTypeFont):  # a Pillow that was built without FreeType
        raise OptionError("a legend needs a Pillow with FreeType; install one with: pip install --upgrade pillow")
    return font
