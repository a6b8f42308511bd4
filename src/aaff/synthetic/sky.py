"""The sky, and the far end of the town below it."""

from __future__ import annotations

import math

import cv2
import numpy as np

from aaff.synthetic.canvas import RAW, Canvas
from aaff.synthetic.street import generator
from aaff.synthetic.textures import TILE, Float32Array, noise_tile


def paint_sky(canvas: Canvas) -> None:
    """Sky with clouds, and the skyline of trees and houses where the street ends."""
    camera, street = canvas.camera, canvas.street
    weather = street.weather
    edges = camera.rays(0, canvas.height)[1][:, [0, -1]].max(1)
    rows = int(np.count_nonzero(edges > -0.03))
    if rows == 0:
        return
    x, y, z = camera.rays(0, rows)
    slope: Float32Array = np.asarray(y / np.sqrt(x * x + z * z), np.float32)
    height: Float32Array = np.clip(slope, 0, 1)
    turn = camera.base_heading
    c, s = np.float32(math.cos(turn)), np.float32(math.sin(turn))
    east, north = x * c + z * s, z * c - x * s
    cloud = _clouds(canvas, east, north, height)
    share = np.sqrt(height)
    sunny = weather.sun_strength > 0
    if sunny:
        sun = weather.sun
        toward = (east * sun[0] + y * sun[1] + north * sun[2]) / np.sqrt(east * east + y * y + north * north)
        glow = np.exp((np.clip(toward, 0, 1) - 1) * 14)
        density = np.clip((cloud + (2.2 * weather.cloud - 1.3)) * 0.9, 0, 1) * np.clip(height * 8, 0.25, 1) * 0.85
        white = 250 - 34 * np.clip(cloud, 0, 2)
    bands = np.empty((*slope.shape, 3), np.float32)
    for channel, (low, high) in enumerate(zip(weather.horizon, weather.zenith, strict=True)):
        band = low + (high - low) * share
        if sunny:
            band += glow * (120.0, 105.0, 70.0)[channel]
            band += (white - band) * density
        else:
            band += cloud * np.clip(height * 4 + 0.2, 0, 1) * 9
        bands[:, :, channel] = band
    canvas.image[:rows] = np.clip(bands, 0, 255).astype(np.uint8)
    canvas.raw[:rows] = RAW["Sky"]
    _skyline(canvas, slope, np.arctan2(x[-1], z[-1]) + np.float32(turn))


def _clouds(canvas: Canvas, east: Float32Array, north: Float32Array, height: Float32Array) -> Float32Array:
    """Cloud noise on a plane above the street, drifting with the wind."""
    plane = np.float32(70.0) / (height + np.float32(0.12))
    offset, drift = canvas.street.drive * 97 % TILE, canvas.camera.time * 1.5
    u, v = (east * plane + np.float32(offset + drift)) / TILE, (north * plane + np.float32(offset)) / TILE
    tile = noise_tile(5, first=4, octaves=6, fall=0.5)
    u, v = (u - np.floor(u)) * TILE, (v - np.floor(v)) * TILE
    return np.asarray(cv2.remap(tile, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32)


def _skyline(canvas: Canvas, slope: Float32Array, azimuth: Float32Array) -> None:
    """Far houses and, before them, far trees, as heights over the compass [W]."""
    rng = generator(canvas.street.drive, 2)
    row = int(rng.integers(0, TILE))
    blocks = np.floor(azimuth * 40).astype(np.int64)
    roofs = 0.03 + 0.025 * np.clip(noise_tile(8, first=64, octaves=2)[row, blocks % TILE], -1, 2)
    place = azimuth * 260
    i = np.floor(place).astype(np.int64)
    part = place - i
    line = noise_tile(9, first=16, octaves=6)[row]
    crowns = 0.028 + 0.016 * (line[i % TILE] * (1 - part) + line[(i + 1) % TILE] * part)
    first = int(np.count_nonzero(slope.min(1) > 0.1))
    for top, color, raw in (
        (roofs, (132.0, 118.0, 108.0), RAW["Building"]),
        (crowns, (72.0, 84.0, 52.0), RAW["Tree"]),
    ):
        here = slope[first:] < top
        paint = np.array(canvas.paint(color, (0.0, 0.6, -0.8), 240.0, 0.6))
        canvas.image[first : len(slope)][here] = paint.astype(np.uint8)
        canvas.raw[first : len(slope)][here] = raw
