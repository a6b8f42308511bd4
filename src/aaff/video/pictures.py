"""Render frames and their predictions for a video, in one form and one size from the first frame to the last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np

from aaff.errors import UnknownNameError
from aaff.labels import UInt8Array
from aaff.preprocess import Size
from aaff.runtime.prediction import Prediction
from aaff.runtime.rendering import Inset, LegendEntry, legend_entries

Form = Literal["overlay", "side", "map"]
"""Overlay with a legend; frame and class colours side by side with a legend; class colours only."""


@dataclass(frozen=True)
class Style:
    """Style of overlays: the arguments of ``aaff.Prediction.overlay``."""

    alpha: float = 0.5
    legend: bool = True
    classes: tuple[str, ...] = ()
    conf: float = 0.0


class Painter:
    """Renders the frames of one video.

    The first frame determines the size.  Later frames of another size are scaled to fit and padded with black.  The
    legend lists all classes in the order of the ids, without shares, so that it stays constant.

    Args:
        form: see ``Form``.
        style: style of overlays, and whether there is a legend.
    """

    def __init__(self, form: Form, style: Style = Style()) -> None:
        if form not in get_args(Form):
            raise UnknownNameError("form of a video", form, get_args(Form))
        self.form = form
        self.style = style
        self._size: Size | None = None
        self._legend: Inset | None = None

    def __call__(self, prediction: Prediction) -> UInt8Array:
        """Render a frame as RGB uint8 [H, W, 3]."""
        picture = self._picture(prediction)
        if self._size is None:
            self._size = Size.of(picture)
            if self.style.legend and self.form != "map":
                self._legend = Inset.fitting(self._size, self._entries(prediction), shares=False)
        picture = fit(picture, self._size)
        return picture if self._legend is None else self._legend.on(picture)

    def _entries(self, prediction: Prediction) -> list[LegendEntry]:
        entries = legend_entries(prediction.labels, list(prediction.shares().values()), every=True)
        return [entry for entry in entries if not self.style.classes or entry.name in self.style.classes]

    def _picture(self, prediction: Prediction) -> UInt8Array:
        if self.form == "overlay":
            style = self.style
            return prediction.overlay(style.alpha, legend=False, classes=style.classes, conf=style.conf)
        return prediction.color_map() if self.form == "map" else prediction.side_by_side(legend=False)


def fit(picture: UInt8Array, size: Size) -> UInt8Array:
    """Scale an image [H, W, 3] to fit another size, aspect ratio kept, and pad it with black."""
    own = Size.of(picture)
    if own == size:
        return picture
    scale = min(size.width / own.width, size.height / own.height)
    inner = Size(max(1, round(own.width * scale)), max(1, round(own.height * scale)))
    left, top = (size.width - inner.width) // 2, (size.height - inner.height) // 2
    canvas = np.zeros((size.height, size.width, 3), np.uint8)
    scaled = cv2.resize(picture, inner, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    canvas[top : top + inner.height, left : left + inner.width] = scaled
    return canvas
