"""House fronts: walls, windows, doors, shops with their names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from aaff.labels import UInt8Array
from aaff.synthetic.street import Color
from aaff.synthetic.textures import TILE, Float32Array, Texture, noise_tile

_WORDS = (
    "CAFE BOOKS BANK BAKERY HOTEL PHARMACY FLOWERS SHOES MARKET BARBER PIZZA TOYS TAILOR MUSIC OPTICIAN GROCER INN"
).split()


@dataclass(frozen=True)
class Facade:
    """A drawn front.

    Attributes:
        texture: RGB, without holes.
        boards: rectangles (left, top, right, bottom, as shares 0–1) that hold writing.
        wall: RGB of the plain wall.
    """

    texture: Texture
    boards: tuple[tuple[float, float, float, float], ...]
    wall: Color


TEXELS = 14
"""Texture pixels per metre of a house front."""


@lru_cache(maxsize=512)
def facade(seed: int, width: float, height: float, storeys: int, style: int, shop: bool) -> Facade:
    """A house front.

    Args:
        width, height: metres.
        style: 0 brick, 1 render, 2 stone, 3 glass and concrete.
        shop: shop windows and a name board on the ground floor.

    Returns:
        The front; the same seed gives the same wall at another width, for the ends of the house.
    """
    rng = np.random.default_rng([0xFACADE, seed])
    w, h = max(8, int(width * TEXELS)), max(8, int(height * TEXELS))
    base = _wall_color(rng, style)
    top, left = rng.integers(0, TILE, 2).tolist()
    tone = noise_tile(3)[(np.arange(h) + top) % TILE][:, (np.arange(w) * 2 + left) % TILE] * np.float32(0.05) + 1
    tone *= np.linspace(1.04, 0.9, h, dtype=np.float32)[:, None]
    if style == 0:
        tone[::3] *= 0.9
        tone[:, ::5] *= 0.96
    elif style == 2:
        tone[:: max(2, TEXELS // 2)] *= 0.86
    front = np.asarray(cv2.merge([cv2.convertScaleAbs(tone, alpha=float(part)) for part in base]), np.uint8)

    storey = h / storeys
    trim = tuple(float(c) for c in np.clip(base * rng.uniform(0.7, 1.5), 20, 240))
    frame = (232, 230, 224) if rng.random() < 0.6 else (60, 54, 50)
    bays = max(1, round(width / float(rng.uniform(2.2, 3.4))))
    share = float(rng.uniform(0.38, 0.6)) if style != 3 else 0.86
    tall = float(rng.uniform(0.5, 0.66)) if style != 3 else 0.74
    sky = (150, 170, 190)
    for level in range(storeys):
        top = h - (level + 1) * storey
        if level == 0 and shop:
            continue
        if rng.random() < 0.5 and style != 3:
            cv2.rectangle(front, (0, int(top + storey - 2)), (w, int(top + storey)), trim, -1)
        door = int(rng.integers(0, bays)) if level == 0 else -1
        for bay in range(bays):
            x0 = (bay + 0.5 - share / 2) * w / bays
            x1 = x0 + share * w / bays
            y0, y1 = top + storey * (0.86 - tall) + 1, top + storey * 0.86
            if bay == door:
                _door(front, rng, x0, min(x1, x0 + TEXELS * 1.3), y0, h)
            else:
                _window(front, rng, x0, y0, x1, y1, frame, sky)
    if style != 3:
        cv2.rectangle(front, (0, 0), (w, max(2, int(0.22 * TEXELS))), trim, -1)
    boards: tuple[tuple[float, float, float, float], ...] = ()
    if shop:
        boards = (_shop(front, rng, h - storey, storey),)
    wall = (float(base[0]), float(base[1]), float(base[2]))
    return Facade(Texture(front), boards, wall)


def _wall_color(rng: np.random.Generator, style: int) -> Float32Array:
    palettes = (
        ((142, 86, 66), (158, 104, 74), (120, 74, 62), (176, 140, 98), (98, 70, 62)),
        ((222, 214, 196), (206, 186, 158), (190, 198, 204), (216, 170, 140), (168, 184, 168), (232, 228, 222)),
        ((174, 164, 144), (150, 146, 138), (196, 184, 158), (128, 122, 114)),
        ((132, 140, 146), (170, 172, 172), (110, 116, 120), (188, 182, 172)),
    )
    choices = palettes[style]
    color = np.array(choices[int(rng.integers(0, len(choices)))], np.float32)
    return np.clip(color * rng.uniform(0.85, 1.1) + rng.normal(0, 6, 3), 20, 245).astype(np.float32)


def _window(
    front: UInt8Array,
    rng: np.random.Generator,
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    frame: tuple[int, int, int],
    sky: tuple[int, int, int],
) -> None:
    a, b, c, d = round(x0), round(y0), round(x1), round(y1)
    if c - a < 3 or d - b < 3:
        return
    cv2.rectangle(front, (a, b), (c, d), frame, -1)
    reflect = float(rng.uniform(0.1, 0.75))
    glass = tuple(int(28 + reflect * (s - 28)) for s in sky)
    cv2.rectangle(front, (a + 1, b + 1), (c - 1, d - 1), glass, -1)
    low = tuple(int(v * 0.7) for v in glass)
    cv2.rectangle(front, (a + 1, (b + d) // 2), (c - 1, d - 1), low, -1)
    if rng.random() < 0.4:
        curtain = tuple(int(v) for v in rng.uniform(120, 220, 3))
        inset = max(1, int((c - a) * 0.22))
        cv2.rectangle(front, (a + 1, b + 1), (a + inset, d - 1), curtain, -1)
        cv2.rectangle(front, (c - inset, b + 1), (c - 1, d - 1), curtain, -1)
    cv2.line(front, ((a + c) // 2, b), ((a + c) // 2, d), frame, 1)
    if d - b > 14:
        cv2.line(front, (a, (b + d) // 2), (c, (b + d) // 2), frame, 1)
    cv2.line(front, (a - 1, d + 1), (c + 1, d + 1), (190, 186, 178), 1)


def _door(front: UInt8Array, rng: np.random.Generator, x0: float, x1: float, y0: float, bottom: int) -> None:
    color = tuple(int(v) for v in rng.uniform(20, 150, 3))
    cv2.rectangle(front, (round(x0) - 1, round(y0) - 1), (round(x1) + 1, bottom), (206, 202, 194), -1)
    cv2.rectangle(front, (round(x0), round(y0)), (round(x1), bottom), color, -1)
    middle = round(y0 + 0.25 * (bottom - y0))
    cv2.rectangle(front, (round(x0) + 2, round(y0) + 2), (round(x1) - 2, middle), (70, 80, 90), -1)


def _shop(front: UInt8Array, rng: np.random.Generator, top: float, storey: float) -> tuple[float, float, float, float]:
    h, w = front.shape[:2]
    hue = rng.uniform(20, 190, 3)
    color = tuple(int(v) for v in hue)
    cv2.rectangle(front, (0, int(top)), (w, h), tuple(int(v * 0.6) for v in hue), -1)
    board = int(top + 0.26 * storey)
    panes = max(1, round(w / TEXELS / 2.6))
    for pane in range(panes):
        x0, x1 = int(pane * w / panes) + 2, int((pane + 1) * w / panes) - 2
        y0 = board + 3
        deep = tuple(int(v) for v in rng.uniform(30, 80, 3))
        cv2.rectangle(front, (x0, y0), (x1, h - int(0.14 * storey)), deep, -1)
        for _ in range(6):  # goods in the window
            gx, gy = (
                int(rng.integers(x0, max(x0 + 1, x1 - 4))),
                int(rng.uniform(y0 + 0.35 * (h - y0), h - 0.24 * storey)),
            )
            goods = tuple(int(v) for v in rng.uniform(60, 230, 3))
            cv2.rectangle(front, (gx, gy), (min(x1, gx + 5), gy + 6), goods, -1)
        cv2.line(front, (x0, y0 + 6), (x0 + 12, y0), (150, 165, 178), 2)
    cv2.rectangle(front, (0, int(top) + 1), (w, board), color, -1)
    bright = tuple(int(255 - 0.4 * v) if sum(hue) < 330 else int(0.2 * v) for v in hue)
    word = _WORDS[int(rng.integers(0, len(_WORDS)))]
    scale = 0.8 * (board - top) / 22.0
    (tw, th), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_DUPLEX, scale, 1)
    cv2.putText(
        front,
        word,
        ((w - tw) // 2, int((top + board + th) / 2)),
        cv2.FONT_HERSHEY_DUPLEX,
        scale,
        bright,
        1,
        cv2.LINE_AA,
    )
    left, right = max(0.0, (w - tw) / 2 / w - 0.04), min(1.0, (w + tw) / 2 / w + 0.04)
    return left, (top + 1) / h, right, board / h
