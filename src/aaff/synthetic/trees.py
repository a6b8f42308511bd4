"""Trees along the street."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aaff.synthetic.canvas import RAW, Canvas
from aaff.synthetic.furniture import FRONT, Foot, Upright, thin_shadow
from aaff.synthetic.looks import kept
from aaff.synthetic.street import Color
from aaff.synthetic.textures import bare_crown, crown

_LEAVES: tuple[tuple[Color, ...], ...] = (
    ((74.0, 104.0, 44.0), (58.0, 88.0, 42.0), (92.0, 118.0, 52.0)),
    ((96.0, 104.0, 48.0), (72.0, 92.0, 40.0), (112.0, 108.0, 50.0)),
    ((160.0, 104.0, 46.0), (132.0, 72.0, 42.0), (146.0, 122.0, 52.0), (88.0, 92.0, 44.0)),
    ((128.0, 150.0, 66.0), (196.0, 170.0, 176.0), (104.0, 132.0, 60.0)),
)
_RING = tuple((0.8 * float(np.cos(t)), 0.8 * float(np.sin(t))) for t in np.linspace(0, 2 * np.pi, 9)[:-1])


class _Look(NamedTuple):
    variant: int
    shade: float
    tint: float
    evergreen: bool


@kept
def _look(rng: np.random.Generator) -> _Look:
    return _Look(
        int(rng.integers(0, 12)), float(rng.random()), float(rng.uniform(0.8, 1.15)), bool(rng.random() < 0.15)
    )


@dataclass(frozen=True)
class Tree(Upright):
    """A tree ``height`` metres high with a crown of ``radius`` metres; leafless in winter."""

    s: float
    u: float
    height: float
    radius: float
    seed: int

    def _bare(self, canvas: Canvas) -> bool:
        return canvas.street.weather.season == 4 and not _look(self.seed).evergreen

    def shadow(self, canvas: Canvas) -> None:
        r, middle = self.radius, self.height - self.radius
        thin_shadow(canvas, self.s, self.u, middle, 0.3)
        x, z, _ = canvas.camera.place(self.s, self.u)
        strength = 0.35 if self._bare(canvas) else 0.78
        for lift in (0.5, -0.4):
            canvas.cast([(x + r * a, middle + lift * r, z + r * b) for a, b in _RING], strength)

    def draw(self, canvas: Canvas) -> None:
        x, z, _ = canvas.camera.place(self.s, self.u)
        if not canvas.camera.sees(x, z, self.radius + 0.5):
            return
        depth = canvas.camera.pixel(x, 0.0, z)[2]
        if depth > 1.5:
            self._draw(canvas, Foot(canvas, x, z, depth))

    def _draw(self, canvas: Canvas, foot: Foot) -> None:
        look, raw, scale = _look(self.seed), RAW["Tree"], foot.scale
        bark = foot.paint((88.0, 74.0, 60.0))
        middle = self.height - self.radius
        fork = max(1.4, middle - 0.5 * self.radius)
        (x0, y0), (x1, y1), (cx, cy) = foot.at(0.0), foot.at(fork), foot.at(middle)
        wide = max(0.6, 0.026 * self.height * scale)
        canvas.polygon(
            ((x0 - wide * 1.25, y0), (x1 - wide * 0.7, y1), (x1 + wide * 0.7, y1), (x0 + wide * 1.25, y0)), bark, raw
        )
        r = self.radius * scale * 1.12
        if self._bare(canvas):
            _, y2 = foot.at(self.height)
            high = (y1 - y2) * 1.02
            box = (x1 - high / 2, y2, x1 + high / 2, y1 + 2)
            # Annotators draw around the twigs, not between them.
            canvas.sprite(bare_crown(look.variant % 6), box, bark, raw, 0.0, least=30)
            return
        for bend in (-0.5, 0.45):
            canvas.line((x1, y1), (cx + bend * self.radius * scale, cy), wide, bark, raw)
        colors = _LEAVES[0] if look.evergreen else _LEAVES[canvas.street.weather.season % 4]
        color = colors[int(look.shade * len(colors))]
        light = canvas.light(FRONT)
        lit = tuple(look.tint * c * (part + 0.12) for c, part in zip(color, light, strict=True))
        from_right = canvas.street.weather.sun[0] > 0
        box = (cx - r, cy - r * 1.02, cx + r, cy + r * 0.98)
        canvas.sprite(crown(look.variant, from_right), box, (lit[0], lit[1], lit[2]), raw, foot.distance)
