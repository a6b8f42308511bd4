"""Drawn materials: noise, foliage, hedges, fences, bricks.  All follow from whole-number seeds.

Textures are uint8 RGB [H, W, 3], rows from top to bottom.
"""

from __future__ import annotations

from functools import cached_property, lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from aaff.labels import UInt8Array

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]

TILE = 512
"""Side of the noise tiles in pixels; they repeat without a seam."""


@lru_cache(maxsize=16)
def noise_tile(seed: int, first: int = 4, octaves: int = 7, fall: float = 0.55) -> Float32Array:
    """Cloud-like noise that tiles: float32 [512, 512], mean 0, standard deviation 1.

    Args:
        first: cells along a side in the coarsest octave.
        octaves: how many times the cells are halved.
        fall: weight of each octave relative to the one before.
    """
    rng = np.random.default_rng([0x7E47, seed])
    total = np.zeros((TILE, TILE), np.float32)
    weight = 1.0
    for octave in range(octaves):
        cells = min(first << octave, TILE)
        grid = rng.standard_normal((cells, cells)).astype(np.float32)
        scale = TILE // cells
        padded = np.pad(grid, 2, mode="wrap")
        big = cv2.resize(padded, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC) if scale > 1 else padded
        edge = 2 * scale
        total += np.float32(weight) * big[edge : edge + TILE, edge : edge + TILE]
        weight *= fall
    total -= total.mean(dtype=np.float64)
    total /= total.std(dtype=np.float64)
    total.setflags(write=False)
    return total


class Texture:
    """A picture with its smaller versions: what is far away is drawn from one of about its own size.

    Attributes:
        picture: uint8 [H, W, 3], or [H, W] where only the light is given.
        cover: uint8 [H, W], 0 where one sees through; None when it is solid.
    """

    def __init__(self, picture: UInt8Array, cover: UInt8Array | None = None) -> None:
        self.picture = picture
        self.cover = cover
        self._levels: dict[tuple[int, int], tuple[UInt8Array, UInt8Array | None]] = {(0, 0): (picture, cover)}

    @cached_property
    def mean(self) -> tuple[float, float, float]:
        """Its colour, seen from far away."""
        red, green, blue, _ = cv2.mean(self.picture, self.cover)
        return red, green, blue

    def level(self, wide: float, tall: float) -> tuple[UInt8Array, UInt8Array | None]:
        """Picture and cover, halved in each direction as often as they stay ``wide`` × ``tall`` pixels large."""
        h, w = self.picture.shape[:2]
        key = (_halvings(w, wide), _halvings(h, tall))
        if key not in self._levels:
            size = (max(1, w >> key[0]), max(1, h >> key[1]))
            self._levels[key] = (
                np.asarray(cv2.resize(self.picture, size, interpolation=cv2.INTER_AREA), np.uint8),
                None
                if self.cover is None
                else np.asarray(cv2.resize(self.cover, size, interpolation=cv2.INTER_AREA), np.uint8),
            )
        return self._levels[key]


def _halvings(have: int, need: float) -> int:
    count = 0
    while have >> (count + 1) >= max(1.0, 0.85 * need):
        count += 1
    return count


GRAIN = 1024
"""Period of the noise of a sensor, in pixels."""


@lru_cache(maxsize=1)
def grain() -> npt.NDArray[np.int16]:
    """White noise of a sensor: int16 [2048, 2048, 3], standard deviation 64, repeated after 1024."""
    values = np.random.default_rng(0x6EA1).standard_normal((GRAIN, GRAIN, 3), np.float32)
    tiled = np.tile(np.rint(64 * values).astype(np.int16), (2, 2, 1))  # so that any window of 1024 is one slice
    tiled.setflags(write=False)
    return tiled


@lru_cache(maxsize=32)
def crown(variant: int, flip: bool) -> Texture:
    """A tree's crown, 192×192: light (128 = as its colour) from the upper left, or right when flipped, and cover."""
    if flip:
        plain = crown(variant, False)
        assert plain.cover is not None, "a crown has a cover"
        return Texture(np.ascontiguousarray(plain.picture[:, ::-1]), np.ascontiguousarray(plain.cover[:, ::-1]))
    rng = np.random.default_rng([0xF011, variant])
    side = 192
    light = np.full((side, side), 90, np.uint8)
    cover = np.zeros((side, side), np.uint8)
    kind = variant % 4  # round, tall, wide, loose
    rx, ry = ((78, 78), (56, 88), (88, 62), (80, 80))[kind]
    middle = side / 2
    clusters = 30 if kind != 3 else 20
    angle, radius = rng.uniform(0, 2 * np.pi, clusters), np.sqrt(rng.uniform(0.0, 0.75, clusters))
    places = np.stack([np.cos(angle) * radius * rx * 0.9, np.sin(angle) * radius * ry * 0.9], 1) + middle
    order = np.argsort(-places[:, 1] + rng.uniform(-25, 25, clusters))
    for x, y in places[order]:
        size = rng.uniform(0.2, 0.36) * min(rx, ry)
        tone = 104 - 0.5 * (y - middle) - 0.25 * (x - middle)
        turn, reach = rng.uniform(0, 2 * np.pi, 70), size * np.sqrt(rng.uniform(0, 1, 70))
        for t, r in zip(turn, reach, strict=True):
            px, py = x + np.cos(t) * r, y + np.sin(t) * r
            value = tone - 24 * np.sin(t) * r / size - 12 * np.cos(t) * r / size + rng.normal(0, 18)
            spot = (int(px * 16), int(py * 16))
            dot = int(rng.uniform(1.2, 3.8) * 16)
            cv2.circle(light, spot, dot, int(np.clip(value, 20, 255)), -1, cv2.LINE_8, 4)
            cv2.circle(cover, spot, dot, 255, -1, cv2.LINE_AA, 4)
    return Texture(light, cover)


@lru_cache(maxsize=8)
def bare_crown(variant: int) -> Texture:
    """A leafless crown, 192×192: twigs as light and cover, fork by fork from the lower middle."""
    rng = np.random.default_rng([0xBA2E, variant])
    light = np.full((192, 192), 120, np.uint8)
    cover = np.zeros((192, 192), np.uint8)

    def grow(x: float, y: float, angle: float, length: float, thick: float) -> None:
        if length < 8:
            return
        angle += rng.normal(0, 0.1)
        nx, ny = x + length * np.sin(angle), y - length * np.cos(angle)
        points = ((int(x * 16), int(y * 16)), (int(nx * 16), int(ny * 16)))
        cv2.line(light, *points, int(rng.uniform(90, 150)), max(1, round(thick)), cv2.LINE_AA, 4)
        cv2.line(cover, *points, 255, max(1, round(thick)), cv2.LINE_AA, 4)
        for turn in rng.uniform(0.18, 0.55, 2) * (-1, 1):
            grow(nx, ny, angle + turn, length * rng.uniform(0.68, 0.86), thick * 0.66)
        if rng.random() < 0.5:
            grow(nx, ny, angle + rng.normal(0, 0.15), length * 0.7, thick * 0.6)

    grow(96.0, 190.0, 0.0, 44.0, 6.0)
    soft = cv2.GaussianBlur(cover, (0, 0), 2.0) // 2
    return Texture(light, np.maximum(cover, soft).astype(np.uint8))


@lru_cache(maxsize=64)
def hedge(variant: int, panels: int) -> Texture:
    """A hedge ``panels`` times 3 m long: RGB uint8 [48, 96 · panels, 3]."""
    rng = np.random.default_rng([0x1EAF, variant])
    width = 96 * panels
    light = np.full((48, width), 84, np.uint8)
    for _ in range(420 * panels):
        x, y = rng.uniform(0, width), rng.uniform(0, 48)
        value = 150 - 1.3 * y + rng.normal(0, 26)
        cv2.circle(light, (int(x), int(y)), int(rng.integers(1, 3)), int(np.clip(value, 20, 255)), -1)
    green = np.array([62, 92, 42]) * rng.uniform(0.75, 1.2)
    return Texture(np.clip(light[:, :, None] / 128.0 * green, 0, 255).astype(np.uint8))


@lru_cache(maxsize=64)
def fence(variant: int, panels: int) -> Texture:
    """A fence of ``panels`` pieces of 3 m: RGB uint8 [40, 96 · panels, 3] with cover."""
    rng = np.random.default_rng([0xFE4CE, variant])
    picture = np.zeros((40, 96, 3), np.uint8)
    cover = np.zeros((40, 96), np.uint8)
    kind = variant % 4
    if kind == 0:  # iron bars
        picture[:] = rng.uniform(20, 60, 3).astype(np.uint8)
        cover[:, ::6] = cover[:, 1::6] = 255
        cover[4:7] = cover[34:37] = 255
        cover[:, :3] = 255
    elif kind == 1:  # wooden boards
        wood = np.array([150, 112, 76]) * rng.uniform(0.6, 1.15)
        for board in range(12):
            picture[:, board * 8 : board * 8 + 8] = np.clip(wood * rng.uniform(0.85, 1.12), 0, 255).astype(np.uint8)
            picture[:, board * 8] = (wood * 0.5).astype(np.uint8)
        cover[:] = 255
        cover[:2, ::8] = 0
    elif kind == 2:  # white pickets
        picture[:] = (222, 220, 212)
        for picket in range(12):
            cover[4:, picket * 8 : picket * 8 + 5] = 255
        cover[10:14] = cover[30:34] = 255
    else:  # steel guard rail of a pavement
        picture[:] = (np.array([150, 156, 160]) * rng.uniform(0.7, 1.1)).astype(np.uint8)
        cover[:4] = cover[33:36] = 255
        cover[:, :4] = 255
        cover[4:34, ::8] = cover[4:34, 1::8] = 255
    return Texture(np.tile(picture, (1, panels, 1)), np.tile(cover, (1, panels)))


@lru_cache(maxsize=64)
def bricks(variant: int, panels: int, courses: int = 6) -> Texture:
    """A brick or stone wall ``panels`` times 3 m long: RGB uint8 [4 · courses, 72 · panels, 3]."""
    rng = np.random.default_rng([0xB21C, variant])
    base = np.array(((150, 92, 70), (170, 158, 138), (128, 84, 72), (188, 180, 170))[variant % 4])
    picture = np.empty((4 * courses, 72 * panels, 3))
    picture[:] = base
    for row in range(courses):
        for brick in range(9 * panels + 1):
            left = brick * 8 - (4 if row % 2 else 0)
            picture[row * 4 : row * 4 + 3, max(0, left) : max(0, left + 7)] *= rng.uniform(0.82, 1.12)
    picture[3::4] = base * 0.78 + 40
    picture[:2] = base * 1.15
    return Texture(np.clip(picture, 0, 255).astype(np.uint8))


@lru_cache(maxsize=1)
def tiles() -> Texture:
    """Roof tiles, about grey 128: uint8 [48, 64, 3]."""
    picture = np.full((48, 64, 3), 132, np.uint8)
    picture[::6] = 104
    picture[::12, ::5] = 112
    return Texture(picture)
