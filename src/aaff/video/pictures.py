"""What a frame and its prediction look like in a video: one form, one size from the first frame to the last."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal, get_args

import cv2
import numpy as np

from aaff.errors import UnknownNameError
from aaff.labels import UInt8Array
from aaff.preprocess import Size
from aaff.runtime.prediction import Prediction
from aaff.runtime.rendering import legend_entries, with_legend

Form = Literal["overlay", "side", "map"]
"""The frame under its classes with a legend; the frame beside its class colours with a legend; the colours."""

_STANDS = Fraction(1, 2)
"""Seconds that the figures of a legend stand, so that they can be read."""


class Painter:
    """Draws the pictures of one video.

    The first frame settles the size.  A later frame of another size is scaled to fit, on black.  The legend
    lists every class in the order of the ids, so that nothing in it moves; its shares are those of one frame
    each half second.

    Args:
        form: see :data:`Form`.
        alpha: of the overlay: 0 shows the frame alone, 1 the colours alone.
    """

    def __init__(self, form: Form, alpha: float = 0.5) -> None:
        if form not in get_args(Form):
            raise UnknownNameError("form of a video", form, get_args(Form))
        self.form = form
        self.alpha = alpha
        self._size: Size | None = None
        self._sheet: UInt8Array | None = None
        self._written: Fraction | None = None

    def __call__(self, prediction: Prediction, time: Fraction) -> UInt8Array:
        """RGB uint8 [H', W', 3] of a frame at ``time`` seconds."""
        picture = self._picture(prediction)
        if self._size is None:
            self._size = Size.of(picture)
        picture = fit(picture, self._size)
        return picture if self.form == "map" else self._beside_legend(picture, prediction, time)

    def _picture(self, prediction: Prediction) -> UInt8Array:
        if self.form == "overlay":
            return prediction.overlay(self.alpha, legend=False)
        return prediction.color_map() if self.form == "map" else prediction.side_by_side(legend=False)

    def _beside_legend(self, picture: UInt8Array, prediction: Prediction, time: Fraction) -> UInt8Array:
        if self._sheet is None or self._written is None or time >= self._written + _STANDS:
            # Writing text takes longer than everything else here: it is kept and only the picture changes.
            entries = legend_entries(prediction.labels, list(prediction.shares().values()), every=True)
            self._sheet = with_legend(picture, entries)
            self._written = time
            return self._sheet
        sheet = self._sheet.copy()
        sheet[: picture.shape[0], : picture.shape[1]] = picture
        return sheet


def fit(picture: UInt8Array, size: Size) -> UInt8Array:
    """A picture [H, W, 3] on a black canvas of another size, as large as fits, its shape kept."""
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
