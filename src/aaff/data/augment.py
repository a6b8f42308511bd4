"""Random scale, crop, flip and colour jitter of a frame together with its label.

Scale, crop and flip are combined into one affine map, so every pixel is interpolated only once: bilinearly in the
image, by nearest neighbour in the label.  Pixels outside the frame get the mean colour and the label 255.  All
randomness comes from the generator passed in; with one generator per sample, a batch does not depend on the worker that
loads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from aaff.data.photometric import Photometric
from aaff.errors import OptionError
from aaff.labels import IGNORE, UInt8Array
from aaff.preprocess import Normalization, Size

_GREY = np.array([0.299, 0.587, 0.114])
"""Luma of RGB (ITU-R BT.601)."""


@dataclass(frozen=True)
class Augment:
    """Random augmentation of a frame, as is usual for street scenes.

    Attributes:
        crop: size of the result.
        scale: the frame is scaled by a factor drawn log-uniformly between these two.
        flip: probability of a horizontal flip.
        jitter: brightness, contrast and saturation are each multiplied by 1 ± up to this value.
        frame: size to which every frame is resized before the random scaling; None: its own.
        width: width to which every frame is resized before the random scaling, aspect ratio kept; 0: its own.
        aspect: the aspect ratio is multiplied by a factor between 1/aspect and aspect.
        photometric: camera effects, applied last.

    Raises:
        OptionError: a value is out of range.

    >>> same = Augment(Size(4, 3), scale=(1.0, 1.0), flip=0.0, jitter=0.0)
    >>> image, label = np.full((3, 4, 3), 7, np.uint8), np.arange(12, dtype=np.uint8).reshape(3, 4)
    >>> bool((same(image, label, np.random.default_rng(0))[1] == label).all())
    True
    """

    crop: Size
    scale: tuple[float, float] = (0.6, 1.8)
    flip: float = 0.5
    jitter: float = 0.4
    frame: Size | None = None
    width: int = 0
    aspect: float = 1.0
    photometric: Photometric = field(default_factory=Photometric)

    def __post_init__(self) -> None:
        low, high = self.scale
        if not 0 < low <= high:
            raise OptionError(f"scale_min is {low} and scale_max {high}; give two factors above 0 in rising order")
        if not self.aspect >= 1:
            raise OptionError(f"aspect is {self.aspect}; it must be at least 1")
        if self.width < 0:
            raise OptionError(f"width is {self.width}; it must be at least 0")
        if not 0 <= self.flip <= 1:
            raise OptionError(f"flip is {self.flip}; it must be in [0, 1]")
        if not 0 <= self.jitter < 1:
            raise OptionError(f"jitter is {self.jitter}; it must be in [0, 1)")

    def __call__(self, image: UInt8Array, mask: UInt8Array, rng: np.random.Generator) -> tuple[UInt8Array, UInt8Array]:
        """Augment a frame; returns an image uint8 [h, w, 3] and a label uint8 [h, w] of the crop's size.

        Args:
            image: RGB uint8 [H, W, 3].
            mask: label uint8 [H, W].
            rng: the only source of randomness.
        """
        zoom, left, top, mirror, *tones = rng.random(7)
        low, high = self.scale
        stretch = self.aspect ** rng.uniform(-0.5, 0.5) if self.aspect > 1 else 1.0
        view = self._view(Size.of(image), low * (high / low) ** zoom, stretch, left, top, mirror < self.flip)
        size = tuple(self.crop)
        fill = [round(m) for m in Normalization().mean]
        flags = cv2.WARP_INVERSE_MAP
        image = cv2.warpAffine(image, view, size, flags=flags | cv2.INTER_LINEAR, borderValue=fill)  # type: ignore[assignment]
        mask = cv2.warpAffine(mask, view, size, flags=flags | cv2.INTER_NEAREST, borderValue=[IGNORE])  # type: ignore[assignment]
        if self.jitter:
            image = self._recolor(image, 1 + self.jitter * (2 * np.asarray(tones[:3]) - 1))
        if self.photometric:
            image = self.photometric(image, rng)
        return image, mask

    def _view(
        self, size: Size, scale: float, stretch: float, left: float, top: float, mirror: bool
    ) -> npt.NDArray[np.float64]:
        """Affine map from crop to frame coordinates, 2×3; ``left`` and ``top`` in [0, 1] place the crop.

        A frame smaller than the crop is placed at random inside it in the same way.
        """
        frame = self.frame or size
        if self.width:
            frame = Size(self.width, max(1, round(self.width * frame.height / frame.width)))
        scale_x, scale_y = scale * frame.width / size.width, scale * frame.height / size.height
        scale_x, scale_y = scale_x * stretch, scale_y / stretch
        room_x = size.width * scale_x - self.crop.width
        room_y = size.height * scale_y - self.crop.height
        # Pixel centres: crop pixel i covers [i, i+1), so its centre i + ½ maps to frame centre + ½.
        x0 = (round(room_x * left) + 0.5) / scale_x - 0.5
        y0 = (round(room_y * top) + 0.5) / scale_y - 0.5
        if mirror:
            return np.array([[-1 / scale_x, 0, x0 + (self.crop.width - 1) / scale_x], [0, 1 / scale_y, y0]])
        return np.array([[1 / scale_x, 0, x0], [0, 1 / scale_y, y0]])

    @staticmethod
    def _recolor(image: UInt8Array, factors: npt.NDArray[np.float64]) -> UInt8Array:
        """Brightness, contrast (about the mean grey) and saturation (about the pixel's grey) in one product."""
        brightness, contrast, saturation = factors
        mix = saturation * np.eye(3) + (1 - saturation) * np.tile(_GREY, (3, 1))
        mean = float(_GREY @ np.array(cv2.mean(image)[:3])) * brightness
        matrix = np.hstack([brightness * contrast * mix, np.full((3, 1), (1 - contrast) * mean)])
        return np.asarray(cv2.transform(image, matrix), np.uint8)
