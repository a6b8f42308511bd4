"""Where everything lies along a street: the camera's drive, the bend of the road, light and weather.

A place on the street is (s, u): s metres along the centre line, u metres to the right of it.  A drive is a
whole number; everything about its street follows from it, so any frame can be drawn on its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from aaff.synthetic.textures import FloatArray

FPS = 30.0
"""Frames per second of a drive; CamVid was filmed at the same rate."""

Color = tuple[float, float, float]
"""RGB, 0–255, not rounded."""


def generator(*key: int) -> np.random.Generator:
    """Random numbers that depend on nothing but the key (whole numbers; negative ones are allowed)."""
    return np.random.default_rng([0x5CE4E5, *(k % (1 << 40) for k in key)])


@dataclass(frozen=True)
class Weather:
    """Light and air of one drive.

    Attributes:
        sun: unit vector to the sun in street axes (right, up, forward) where the drive begins.
        sun_strength: light of the direct sun; 0 when overcast.
        ambient: RGB factors of the light from the sky.
        zenith, horizon: RGB of the sky.
        cloud: share of the sky under cloud, 0–1.
        haze: distance in metres at which 63 % of the contrast is gone.
        season: 0 summer, 1 late summer, 2 autumn, 3 spring, 4 winter.
    """

    sun: tuple[float, float, float]
    sun_strength: float
    ambient: Color
    zenith: Color
    horizon: Color
    cloud: float
    haze: float
    season: int


@dataclass(frozen=True)
class Lens:
    """The camera of one drive: focal length in image widths, mounting, exposure, colour cast, noise."""

    focal: float
    height: float
    pitch: float
    yaw: float
    exposure: float
    contrast: float
    cast: Color
    noise: float
    softness: float
    vignette: float


class Street:
    """All that stays the same during one drive; ``street`` keeps the last few."""

    def __init__(self, drive: int) -> None:
        rng = generator(drive, 1)
        self.drive = drive
        self.left_hand = bool(rng.random() < 0.6)
        self.lane_side = -1.0 if self.left_hand else 1.0
        self.half_road = float(rng.uniform(3.4, 6.2))
        self.pavement = (float(rng.uniform(1.8, 4.2)), float(rng.uniform(1.8, 4.2)))
        self.kind = int(rng.integers(0, 4))  # 0 terrace, 1 town, 2 suburb, 3 park road
        self.masts = bool(rng.random() < 0.25)  # wooden poles instead of lamps
        self.tree_density = float(rng.uniform(0.25, 1.0))
        self.parked = (float(rng.uniform(0.0, 0.8)), float(rng.uniform(0.0, 0.8)))
        self.speed = float(rng.uniform(6.5, 11.0))
        self.start = float(rng.uniform(0.0, 400.0))
        self.camera_u = self.lane_side * self.half_road * float(rng.uniform(0.3, 0.55))
        self.amplitude = (float(rng.uniform(0.05, 0.3)), float(rng.uniform(0.02, 0.1)))
        self.wavelength = (float(rng.uniform(70.0, 130.0)), float(rng.uniform(30.0, 50.0)))
        self.phase = (float(rng.uniform(0.0, 6.28)), float(rng.uniform(0.0, 6.28)))
        self.center_dash = (float(rng.uniform(2.0, 5.0)), float(rng.uniform(2.0, 6.0)))
        self.edge_lines = int(rng.integers(0, 3))  # 0 none, 1 single, 2 double
        self.line_color: Color = (226.0, 226.0, 220.0) if rng.random() < 0.75 else (214.0, 190.0, 90.0)
        grey = float(rng.uniform(72.0, 118.0))
        self.road_color: Color = (grey * float(rng.uniform(0.97, 1.05)), grey, grey * float(rng.uniform(0.96, 1.06)))
        grey += float(rng.uniform(14.0, 58.0))
        warm = float(rng.uniform(0.97, 1.1))
        self.pavement_color: Color = (grey * warm, grey, grey * (1.96 - 0.98 * warm))
        self.slab = float(rng.uniform(0.5, 1.2))
        self.weather = _weather(rng)
        self.lens = _lens(rng)

    def heading(self, s: FloatArray) -> FloatArray:
        """Direction of the centre line in radians, to the right positive, at s metres [N]."""
        total = np.zeros_like(s)
        for amplitude, wavelength, phase in zip(self.amplitude, self.wavelength, self.phase, strict=True):
            total += amplitude * np.sin(s / wavelength + phase)
        return total

    def camera_s(self, time: float) -> float:
        """Where the camera is after ``time`` seconds."""
        return self.start + self.speed * time + 3.0 * math.sin(time * 0.35)


def _weather(rng: np.random.Generator) -> Weather:
    overcast = rng.random() < 0.35
    azimuth, elevation = float(rng.uniform(0.0, 2 * math.pi)), math.radians(float(rng.uniform(18.0, 60.0)))
    sun = (math.cos(elevation) * math.sin(azimuth), math.sin(elevation), math.cos(elevation) * math.cos(azimuth))
    warmth = 1.0 - elevation / math.radians(60.0)
    if overcast:
        grey = float(rng.uniform(168.0, 225.0))
        zenith, horizon = (grey * 0.9, grey * 0.93, grey * 0.98), (grey * 1.05, grey * 1.06, grey * 1.07)
        return Weather(sun, 0.0, (0.9, 0.92, 0.95), zenith, horizon, 0.9, float(rng.uniform(140, 320)), _season(rng))
    blue = float(rng.uniform(0.75, 1.1))
    zenith = (92.0 * blue, 138.0 * blue, 198.0 * blue)
    horizon = (205.0 + 30.0 * warmth, 216.0, 232.0 - 40.0 * warmth)
    strength = float(rng.uniform(0.55, 0.85))
    ambient = (0.5, 0.54, 0.6)
    cloud = float(rng.uniform(0.1, 0.65))
    return Weather(sun, strength, ambient, zenith, horizon, cloud, float(rng.uniform(250, 600)), _season(rng))


def _season(rng: np.random.Generator) -> int:
    return int(rng.choice(5, p=[0.36, 0.24, 0.16, 0.1, 0.14]))


def _lens(rng: np.random.Generator) -> Lens:
    cast = rng.uniform(-1.0, 1.0, 2)
    return Lens(
        focal=float(rng.uniform(0.78, 1.12)),
        height=float(rng.uniform(1.25, 2.1)),
        pitch=float(rng.uniform(-0.075, 0.085)),
        yaw=float(rng.uniform(-0.13, 0.13)),
        exposure=float(rng.uniform(0.6, 0.8) if rng.random() < 0.12 else rng.uniform(0.88, 1.25)),
        contrast=float(rng.uniform(0.85, 1.2)),
        cast=(1.0 + 0.08 * float(cast[0]), 1.0 + 0.03 * float(cast[1]), 1.0 - 0.09 * float(cast[0])),
        noise=float(rng.uniform(1.5, 6.0)),
        softness=float(rng.uniform(0.0, 0.8)),
        vignette=float(rng.uniform(0.0, 0.3)),
    )


@lru_cache(maxsize=64)
def street(drive: int) -> Street:
    """The street of a drive."""
    return Street(drive)
