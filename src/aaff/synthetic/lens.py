"""What the camera does to the light: softness, vignette, exposure, colour cast, noise; and the annotator's void."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from aaff.labels import IGNORE, UInt8Array
from aaff.preprocess import Size
from aaff.synthetic.canvas import RAW, Canvas
from aaff.synthetic.street import Lens, generator
from aaff.synthetic.textures import GRAIN, TILE, grain, noise_tile


def photograph(canvas: Canvas, frame: int) -> UInt8Array:
    """The picture as the camera of this drive records it: RGB uint8 [H, W, 3]."""
    lens = canvas.street.lens
    picture = canvas.image
    if lens.softness > 0.15:
        picture = np.asarray(cv2.GaussianBlur(picture, (3, 3), lens.softness), np.uint8)
    picture = np.asarray(cv2.multiply(picture, _vignette(canvas.camera.size, lens.vignette), scale=1 / 255), np.uint8)
    picture = np.asarray(cv2.LUT(picture, _tone(lens)), np.uint8)
    top, left = generator(canvas.street.drive, 40, frame).integers(0, GRAIN, 2).tolist()
    result = np.empty_like(picture)
    for y in range(0, picture.shape[0], GRAIN):  # the tile of noise is repeated where the picture is larger
        for x in range(0, picture.shape[1], GRAIN):
            part = picture[y : y + GRAIN, x : x + GRAIN]
            noise = grain()[top : top + part.shape[0], left : left + part.shape[1]]
            noisy = cv2.addWeighted(part, 1.0, noise, lens.noise / 64, 0.0, dtype=cv2.CV_8U)
            result[y : y + GRAIN, x : x + GRAIN] = noisy
    return result


@lru_cache(maxsize=8)
def _vignette(size: Size, strength: float) -> UInt8Array:
    """How much light reaches each pixel: uint8 [H, W, 3], 255 = all."""
    x = (np.arange(size.width) / size.width - 0.5)[None, :]
    y = (np.arange(size.height) / size.height - 0.5)[:, None]
    share = 255 * (1 - strength * (x * x + y * y))
    return np.asarray(np.repeat(np.rint(share).astype(np.uint8)[:, :, None], 3, axis=2))


@lru_cache(maxsize=64)
def _tone(lens: Lens) -> UInt8Array:
    """Exposure, contrast and colour cast as a table uint8 [1, 256, 3]."""
    values = np.arange(256.0)[:, None] * lens.exposure * np.array(lens.cast)
    values += (lens.contrast - 1) * (values - 110)
    table: UInt8Array = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return table[None]


_OUTLINED = np.zeros(256, np.bool_)
_OUTLINED[
    [RAW[n] for n in ("Car", "SUVPickupTruck", "Truck_Bus", "Tree", "Building", "Sky", "Pedestrian", "Bicyclist")]
] = True


def outline(canvas: Canvas) -> UInt8Array:
    """The raw label, with parts of the outlines left unlabelled as in CamVid: uint8 [H, W]."""
    raw = canvas.raw
    edge = np.zeros(raw.shape, np.bool_)
    edge[:, 1:] |= raw[:, 1:] != raw[:, :-1]
    edge[1:] |= raw[1:] != raw[:-1]
    edge &= _OUTLINED[raw]
    edge &= _careless(canvas.street.drive, canvas.camera.size)
    result = raw.copy()
    result[edge] = IGNORE
    return result


@lru_cache(maxsize=8)
def _careless(drive: int, size: Size) -> npt.NDArray[np.bool_]:
    """Where the annotator of a drive leaves gaps: bool [H, W]."""
    offset, step = drive * 131 % TILE, 240 / size.height
    rows, columns = (((np.arange(n) * step).astype(np.intp) + offset) % TILE for n in (size.height, size.width))
    return np.asarray(noise_tile(4, first=16, octaves=4)[rows][:, columns] > 0.35)
