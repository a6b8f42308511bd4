"""What the camera does to the light: softness, vignette, exposure, colour cast, noise; and the annotator's void."""

from __future__ import annotations

import cv2
import numpy as np

from aaff.data.scenes.canvas import RAW, Canvas
from aaff.data.scenes.street import generator
from aaff.data.scenes.textures import TILE, grain, noise_tile
from aaff.labels import IGNORE, UInt8Array


def photograph(canvas: Canvas, frame: int) -> UInt8Array:
    """The picture as the camera of this drive records it: RGB uint8 [H, W, 3]."""
    lens = canvas.street.lens
    picture = canvas.image
    if lens.softness > 0.15:
        picture = cv2.GaussianBlur(picture, (3, 3), lens.softness)
    values = picture.astype(np.float32)
    gain = np.float32(lens.exposure * np.array(lens.cast))
    values *= gain
    values += np.float32(lens.contrast - 1) * (values - 110)
    h, w = values.shape[:2]
    x = (np.arange(w, dtype=np.float32) / w - 0.5)[None, :]
    y = (np.arange(h, dtype=np.float32) / h - 0.5)[:, None]
    values *= (1 - np.float32(lens.vignette) * (x * x + y * y))[:, :, None]
    shift = generator(canvas.street.drive, 40, frame).integers(0, 1024, 2)
    tile = grain()
    rows, columns = (np.arange(h) + shift[0]) % 1024, (np.arange(w) + shift[1]) % 1024
    values += np.float32(lens.noise) * tile[rows][:, columns]
    return np.clip(values + 0.5, 0, 255).astype(np.uint8)


_OUTLINED = np.zeros(256, np.bool_)
_OUTLINED[
    [RAW[n] for n in ("Car", "SUVPickupTruck", "Truck_Bus", "Tree", "Building", "Sky", "Pedestrian", "Bicyclist")]
] = True


def outline(canvas: Canvas) -> UInt8Array:
    """The raw truth, with parts of the outlines left unlabelled as in CamVid: uint8 [H, W]."""
    raw = canvas.raw
    edge = np.zeros(raw.shape, np.bool_)
    edge[:, 1:] |= raw[:, 1:] != raw[:, :-1]
    edge[1:] |= raw[1:] != raw[:-1]
    edge &= _OUTLINED[raw]
    offset = canvas.street.drive * 131 % TILE
    step = 240 / raw.shape[0]
    rows = ((np.arange(raw.shape[0]) * step).astype(np.intp) + offset) % TILE
    columns = ((np.arange(raw.shape[1]) * step).astype(np.intp) + offset) % TILE
    careless = noise_tile(4, first=16, octaves=4)[rows][:, columns] > 0.35
    result = raw.copy()
    result[edge & careless] = IGNORE
    return result
