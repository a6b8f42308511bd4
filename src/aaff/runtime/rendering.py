"""Render class maps as images: colour map, overlay, legend, side by side.

All functions take and return arrays, RGB uint8 [H, W, 3], and never modify their inputs.
"""

from __future__ import annotations

import functools
import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from aaff.errors import OptionError
from aaff.labels import RGB, LabelMap, UInt8Array
from aaff.preprocess import Size, resize_image

_PAPER: RGB = (250, 250, 250)
_INK: RGB = (25, 25, 25)
_FAINT: RGB = (105, 105, 105)
_SMALLEST_TEXT, _LARGEST_TEXT = 11, 80
"""Smallest and largest text height in pixels; smaller text is illegible, larger text is never needed."""
_OPAQUE = 0.8
"""Opacity of a legend."""
_LONGEST = 16
"""Number of lines before a legend gets a second column."""
_FEWEST = 4
"""Smallest number of entries that a legend inside an image must have space for, if there are as many; otherwise none is
drawn."""


def color_map(class_map: UInt8Array, labels: LabelMap) -> UInt8Array:
    """Colours uint8 [H, W, 3] of a class map uint8 [H, W].

    Equal to ``aaff.labels.LabelMap.colorize`` but ten times as fast, since it runs on every video frame.
    """
    channels = [cv2.LUT(class_map, np.ascontiguousarray(labels.palette[:, channel])) for channel in range(3)]
    return np.asarray(cv2.merge(channels), np.uint8)


def shown_colors(class_map: UInt8Array, labels: LabelMap, size: Size, *, fine: bool = True) -> UInt8Array:
    """Colours of a class map for display at a given size, RGB uint8 [H, W, 3].

    A map smaller than ``size`` is coloured first and then enlarged, so that edges are soft.

    Args:
        class_map: uint8 [h, w].
        labels: colours of the classes.
        size: size of the image.
        fine: also smooth staircase edges; a full-HD image then takes about 15 ms of CPU time instead of 4 ms.
    """
    if fine and (size.width > class_map.shape[1] or size.height > class_map.shape[0]):
        class_map = _doubled(class_map, size)
    return resize_image(color_map(class_map, labels), size)


def _doubled(class_map: UInt8Array, most: Size) -> UInt8Array:
    """Enlarge a class map up to twofold without staircase edges: every pixel gets the class that covers most of its
    neighbourhood.
    """
    height, width = class_map.shape
    size = Size(min(2 * width, most.width), min(2 * height, most.height))
    kernel = np.array([1, 4, 1], np.float32) / 6  # a wider one would remove structures that are one pixel thin
    ids = np.zeros((size.height, size.width), np.uint8)
    best = np.zeros_like(ids)
    for value in np.flatnonzero(np.bincount(class_map.ravel(), minlength=256)):
        share = cv2.sepFilter2D((class_map == value).view(np.uint8) * 255, -1, kernel, kernel)
        share = cv2.resize(share, size, interpolation=cv2.INTER_LINEAR)
        ids[cv2.compare(share, best, cv2.CMP_GT) > 0] = value
        cv2.max(best, share, best)
    return ids


def overlay(
    image: UInt8Array,
    class_map: UInt8Array,
    labels: LabelMap,
    alpha: float = 0.5,
    where: npt.NDArray[np.bool_] | None = None,
    *,
    fine: bool = True,
) -> UInt8Array:
    """The frame blended with its class colours.

    Args:
        image: RGB uint8 [H, W, 3].
        class_map: uint8 [h, w]; if it is smaller than the frame, it is enlarged with smooth edges.
        labels: colours of the classes.
        alpha: opacity of the class colours, from 0 (only the frame) to 1 (only the colours).
        where: bool [h', w'], mask of the pixels to colour, enlarged in the same way; default: all.
        fine: as in ``shown_colors``.

    Raises:
        OptionError: alpha is not in [0, 1].
    """
    if not 0 <= alpha <= 1:
        raise OptionError(f"alpha is {alpha}; it must be in [0, 1], from only the frame to only the colours")
    colors = shown_colors(class_map, labels, Size.of(image), fine=fine)
    painted = np.asarray(cv2.addWeighted(image, 1 - alpha, colors, alpha, 0), np.uint8)
    if where is None:
        return painted
    share = cv2.resize(where.astype(np.float32), Size.of(image), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.blendLinear(painted, image, share, 1 - share), np.uint8)


def side_by_side(left: UInt8Array, right: UInt8Array) -> UInt8Array:
    """Two images of equal height side by side.

    Raises:
        OptionError: the heights differ.
    """
    if left.shape[0] != right.shape[0]:
        raise OptionError(f"images of {Size.of(left)} and {Size.of(right)} differ in height")
    return np.hstack([left, right])


@dataclass(frozen=True)
class LegendEntry:
    """One line of a legend: the swatch's colour, the class name, and its share of the image in [0, 1]."""

    name: str
    color: RGB
    share: float


def legend_entries(labels: LabelMap, shares: Sequence[float], *, every: bool = False) -> list[LegendEntry]:
    """Legend of a class map.

    Args:
        labels: names and colours.
        shares: share of the pixels per class in [0, 1], in the order of the ids.
        every: list all classes in the order of their ids, for a legend that stays constant throughout a video;
            otherwise those present, largest first.
    """
    entries = [
        LegendEntry(name, color, float(share))
        for name, color, share in zip(labels.names, labels.colors, shares, strict=True)
    ]
    if every:
        return entries
    return sorted((entry for entry in entries if entry.share > 0), key=lambda entry: -entry.share)


def legend(entries: Iterable[LegendEntry], *, text: int = 16) -> UInt8Array:
    """A legend as a separate image, RGB uint8 [h, w, 3], one class per line.

    Args:
        text: height of the letters in pixels.
    """
    rows = list(entries)
    cell = _Cell.fitting(rows, text, shares=True)
    return _panel(rows, cell, -(-max(1, len(rows)) // _LONGEST))


def with_legend(picture: UInt8Array, entries: Iterable[LegendEntry], *, shares: bool = True) -> UInt8Array:
    """The image with a legend in its lower left corner; see ``Inset``."""
    inset = Inset.fitting(Size.of(picture), list(entries), shares=shares)
    return picture if inset is None else inset.on(picture)


@dataclass(frozen=True)
class Inset:
    """A legend drawn inside images of one size, in their lower left corner.

    Attributes:
        panel: the legend, RGB uint8 [h, w, 3].
    """

    panel: UInt8Array

    @classmethod
    def fitting(cls, size: Size, entries: Sequence[LegendEntry], *, shares: bool = True) -> Inset | None:
        """The legend for images of a size; None if there is nothing to list, or not enough space.

        It takes at most a third of the height.  Entries that do not fit are omitted, the last ones first.

        Args:
            size: size of the images.
            entries: the classes, in the order they are listed.
            shares: also show the share of each class.
        """
        text = min(_LARGEST_TEXT, max(_SMALLEST_TEXT, round(0.025 * math.sqrt(size.width * size.height))))
        cell = _Cell.fitting(entries, text, shares=shares)
        columns = min((size.width - 2 * cell.gap) // cell.width, len(entries))
        lines = (size.height // 3 - 2 * cell.gap) // cell.height
        if columns < 1 or lines < 1 or columns * lines < min(_FEWEST, len(entries)):
            return None
        rows = list(entries[: columns * lines])
        return cls(_panel(rows, cell, -(-len(rows) // -(-len(rows) // columns))))

    def on(self, picture: UInt8Array) -> UInt8Array:
        """A copy of the image with the slightly transparent legend drawn on it."""
        result = picture.copy()
        corner = result[-self.panel.shape[0] :, : self.panel.shape[1]]
        corner[:] = cv2.addWeighted(self.panel, _OPAQUE, corner, 1 - _OPAQUE, 0)
        return result


@dataclass(frozen=True)
class _Cell:
    """Widths of the parts of one legend entry, in pixels: swatch, gap, name, gap, percentage, gap."""

    text: int
    name: int
    percent: int

    @classmethod
    def fitting(cls, rows: Sequence[LegendEntry], text: int, *, shares: bool) -> _Cell:
        font = _font(text)
        widest = max((font.getlength(_shown(row.name)) for row in rows), default=0)
        percent = math.ceil(font.getlength("100.0 %")) if shares else 0
        return cls(text, math.ceil(min(widest, 14 * text)), percent)

    @property
    def gap(self) -> int:
        return max(4, self.text // 2)

    @property
    def swatch(self) -> int:
        return self.text

    @property
    def width(self) -> int:
        return self.swatch + self.name + self.percent + (4 if self.percent else 3) * self.gap

    @property
    def height(self) -> int:
        return round(1.5 * self.text)


def _panel(rows: Sequence[LegendEntry], cell: _Cell, columns: int) -> UInt8Array:
    """The legend as an image, with the entries in reading order."""
    lines = -(-len(rows) // columns)
    canvas = Image.new("RGB", (columns * cell.width + cell.gap, lines * cell.height + cell.gap), _PAPER)
    draw = ImageDraw.Draw(canvas)
    for place, row in enumerate(rows):
        line, column = divmod(place, columns)
        _draw_entry(draw, (cell.gap + column * cell.width, cell.gap // 2 + line * cell.height), row, cell)
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
    if cell.percent:
        x += cell.name + cell.gap + cell.percent
        draw.text((x, middle), _percent(row.share), fill=_FAINT, font=font, anchor="rm")


def _percent(share: float) -> str:
    return "<0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"


def _shown(name: str) -> str:
    """The name in characters of the built-in font: accents are dropped, other characters become question marks."""
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
