"""What every frame has behind its things: sky, the far end of the town, and the ground with its markings."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from aaff.data.scenes.canvas import RAW, Canvas
from aaff.data.scenes.street import generator
from aaff.data.scenes.textures import TILE, Float32Array, noise_tile
from aaff.data.scenes.world import RESOLUTION, Strip

_GRASS = (86.0, 104.0, 52.0)
_GRAVEL = (150.0, 138.0, 118.0)


def paint_sky(canvas: Canvas) -> None:
    """Sky with clouds, and the skyline of trees and houses where the street ends."""
    camera, street = canvas.camera, canvas.street
    weather = street.weather
    x, y, z = (a.astype(np.float32) for a in camera.rays())
    slope = y / np.sqrt(x * x + z * z)
    rows = int(np.nonzero(slope.max(1) > -0.02)[0].max(initial=0)) + 1
    x, y, z, slope = x[:rows], y[:rows], z[:rows], slope[:rows]
    height = np.clip(slope, 0.0, 1.0)
    blend = np.sqrt(height)[:, :, None]
    sky = np.float32(weather.horizon) * (1 - blend) + np.float32(weather.zenith) * blend

    turn = camera.base_heading
    east = x * math.cos(turn) + z * math.sin(turn)
    north = z * math.cos(turn) - x * math.sin(turn)
    sun = weather.sun
    near_sun = (east * sun[0] + y * sun[1] + north * sun[2]) / np.sqrt(east**2 + y**2 + north**2)
    glow = np.exp((np.clip(near_sun, 0, 1) - 1) * 14)[:, :, None]
    if weather.sun_strength > 0:
        sky += glow * np.float32((120, 105, 70))
    plane = np.float32(70.0) / (height + np.float32(0.12))
    offset = street.drive * 97 % TILE
    drift = camera.time * 1.5
    cloud = cv2.remap(
        noise_tile(5, first=4, octaves=6, fall=0.5),
        np.mod(east * plane + offset + drift, TILE).astype(np.float32),
        np.mod(north * plane + offset, TILE).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    density = np.clip((cloud + 2.2 * weather.cloud - 1.3) * 0.9, 0, 1) * np.clip(height * 8, 0.25, 1)
    if weather.sun_strength > 0:
        white = 250 - 34 * np.clip(cloud, 0, 2)
        tone = white[:, :, None] * np.float32((1.0, 0.99, 0.98))
        sky += (tone - sky) * (0.85 * density)[:, :, None]
    else:
        sky += (cloud * 9 * np.clip(height * 4 + 0.2, 0, 1))[:, :, None]
    canvas.image[:rows] = np.clip(sky, 0, 255).astype(np.uint8)
    canvas.raw[:rows] = RAW["Sky"]

    azimuth = np.arctan2(x[-1], z[-1]) + turn
    _skyline(canvas, slope, azimuth.astype(np.float64), rows)


def _skyline(canvas: Canvas, slope: Float32Array, azimuth: npt.NDArray[np.float64], rows: int) -> None:
    """Far houses and, before them, far trees, as heights over the compass."""
    street = canvas.street
    rng = generator(street.drive, 2)
    offset = int(rng.integers(0, TILE))
    blocks = np.floor(azimuth * 40).astype(np.int64)
    roofs = 0.03 + 0.025 * np.clip(noise_tile(8, first=64, octaves=2)[offset, blocks % TILE], -1, 2)
    place = azimuth * 260
    i = np.floor(place).astype(np.int64)
    part = (place - i).astype(np.float32)
    row = noise_tile(9, first=16, octaves=6)[offset]
    crowns = 0.028 + 0.016 * (row[i % TILE] * (1 - part) + row[(i + 1) % TILE] * part)
    first = int(np.nonzero(slope.min(1) < 0.1)[0].min(initial=rows))
    part_of = slope[first:]
    for top, color, raw in (
        (roofs, (132.0, 118.0, 108.0), RAW["Building"]),
        (crowns, (72.0, 84.0, 52.0), RAW["Tree"]),
    ):
        here = part_of < top
        canvas.image[first:rows][here] = np.array(canvas.paint(color, (0, 0.6, -0.8), 240.0, 0.6)).astype(np.uint8)
        canvas.raw[first:rows][here] = raw


def paint_ground(canvas: Canvas, strip: Strip) -> None:
    """Road, markings, pavements and what lies beyond them; uses the shadows in ``canvas.shade``."""
    camera, street = canvas.camera, canvas.street
    x, y, z = camera.rays()
    below = y < -0.004
    rows = np.nonzero(below.any(1))[0]
    if len(rows) == 0:
        return
    top = int(rows.min())
    down = np.minimum(y[top:], -0.004)
    distance = camera.height / -down
    gx, gz = x[top:] * distance, z[top:] * distance
    s, u = (a.astype(np.float32) for a in camera.ground(gx, gz))
    far = distance.astype(np.float32)
    # Width of a pixel on the ground, across and along: markings fade into it instead of breaking up.
    across = far / np.float32(camera.focal)
    along = across * np.maximum(1.0, far / np.float32(camera.height))

    surface = _surfaces(canvas, strip, s, u)
    color = _PALETTE(canvas)[surface.kind]
    fine = np.clip(1.0 / (1.0 + along * 9.0), 0, 1)
    grit = noise_tile(1, first=128, octaves=3)[
        np.mod(s * 36, TILE).astype(np.int32), np.mod(u * 36, TILE).astype(np.int32)
    ]
    stain = cv2.remap(
        noise_tile(2, first=4, octaves=6, fall=0.6),
        np.mod(s * 14, TILE).astype(np.float32),
        np.mod(u * 22, TILE).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    rough = _ROUGH[surface.kind]
    color += (rough * (grit * fine * 9 + stain * 5))[:, :, None]
    slabs = surface.paved & (along < street.slab * 0.5)
    if slabs.any():
        joint = np.minimum(
            np.abs(np.mod(s / street.slab, 1) - 0.5) * (street.slab / np.maximum(along, 0.02)),
            np.abs(np.mod(u / street.slab, 1) - 0.5) * (street.slab / np.maximum(across, 0.02)),
        )
        color *= (1 - 0.22 * slabs * np.clip(1.2 - joint, 0, 1))[:, :, None]
    tracks = np.exp(-(((np.abs(np.abs(u) - street.half_road / 2) - 0.75) / 0.3) ** 2))
    color *= (1 + 0.05 * tracks * (surface.kind == 0))[:, :, None]

    ids = _RAW_OF[surface.kind]
    for cover, tint, raw in _markings(canvas, strip, s, u, along, across, surface.road):
        worn = cover * np.clip(0.9 + 0.12 * stain, 0.35, 1.0)
        color += (np.float32(tint) - color) * worn[:, :, None]
        ids = np.where(cover > 0.5, np.uint8(raw), ids)

    shade = cv2.GaussianBlur(canvas.shade[top:], (5, 5), 0).astype(np.float32) / 255
    lit = np.float32(canvas.light((0.0, 1.0, 0.0)))
    dim = np.float32(canvas.light((0.0, 1.0, 0.0), 0.0))
    if street.weather.sun_strength == 0:
        dim = lit * np.float32(0.55)
    color *= lit + (dim - lit) * shade[:, :, None]
    veil = (1 - np.exp(-far / street.weather.haze))[:, :, None].astype(np.float32)
    color += (np.float32(street.weather.horizon) - color) * veil
    seen = below[top:]
    canvas.image[top:][seen] = np.clip(color, 0, 255).astype(np.uint8)[seen]
    canvas.raw[top:][seen] = ids[seen]


class _Surface:
    """Kind of ground of each pixel: an index into :data:`_RAW_OF`."""

    def __init__(self, kind: npt.NDArray[np.uint8]) -> None:
        self.kind = kind
        self.road = kind == 0
        self.paved = (kind == 1) | (kind == 5)


_RAW_OF = np.array(
    [
        RAW["Road"],
        RAW["Sidewalk"],
        RAW["Sidewalk"],  # kerb
        RAW["VegetationMisc"],
        RAW["RoadShoulder"],
        RAW["ParkingBlock"],
    ],
    np.uint8,
)
_ROUGH = np.array([1.0, 0.8, 0.5, 2.2, 1.8, 1.0], np.float32)


def _PALETTE(canvas: Canvas) -> Float32Array:
    street = canvas.street
    kerb = np.clip(np.array(street.pavement_color) * 1.18, 0, 235)
    parking = np.array(street.pavement_color) * (0.9, 0.82, 0.78)
    return np.array(
        [street.road_color, street.pavement_color, kerb, _GRASS, _GRAVEL, parking],
        np.float32,
    )


def _surfaces(canvas: Canvas, strip: Strip, s: Float32Array, u: Float32Array) -> _Surface:
    street = canvas.street
    i = np.clip((s - np.float32(strip.begin)) / np.float32(RESOLUTION), 0, strip.beyond.shape[1] - 1).astype(np.int32)
    side = (u > 0).astype(np.int32)
    beside = np.abs(u) - np.float32(street.half_road)
    walk = np.float32(street.pavement)[side]
    kind = np.where(beside > walk, strip.beyond[side, i], strip.walk[side, i])
    kind = np.where(beside < 0.16, np.uint8(2), kind)
    open_road = (beside < 0) | strip.junction[side, i]
    return _Surface(np.where(open_road, np.uint8(0), kind).astype(np.uint8))


def _band(value: Float32Array, width: float, pixel: Float32Array) -> Float32Array:
    """Cover 0–1 of a line ``width`` metres wide at value 0, smoothed over a pixel."""
    wide = np.maximum(pixel, np.float32(0.01))
    return np.clip((width / 2 - np.abs(value)) / wide + 0.5, 0, 1) * np.minimum(1, width / wide)


def _markings(
    canvas: Canvas,
    strip: Strip,
    s: Float32Array,
    u: Float32Array,
    along: Float32Array,
    across: Float32Array,
    road: npt.NDArray[np.bool_],
) -> list[tuple[Float32Array, tuple[float, float, float], int]]:
    """Cover, colour and raw id of each kind of marking."""
    street = canvas.street
    dash, gap = street.center_dash
    length = len(strip.junction[0])
    i = np.clip((s - np.float32(strip.begin)) / np.float32(RESOLUTION), 0, length - 1).astype(np.int32)
    crossing = (strip.junction[0] | strip.junction[1])[i]
    zebra = strip.zebra[i]
    period = dash + gap
    dashes = _band(np.mod(s, period) - dash / 2, dash, along)
    open_road = road & ~zebra
    driven = _band(u, 0.16, across) * dashes * (open_road & ~crossing)
    bound = np.abs(u) - np.float32(street.half_road)
    tint = street.line_color
    result = []
    if street.edge_lines:
        side = (u > 0).astype(np.int32)
        edge = _band(bound + 0.3, 0.12, across)
        if street.edge_lines == 2:
            edge = np.maximum(edge, _band(bound + 0.55, 0.12, across))
        edge = edge * (open_road & ~strip.junction[side, i])
        result.append((edge, (212.0, 184.0, 78.0), RAW["LaneMkgsDriv"]))
    stop = strip.stop[i]
    own = u * street.lane_side > 0.1
    driven = np.maximum(driven, (stop & own & (bound < -0.3) & road).astype(np.float32))
    result.append((driven, tint, RAW["LaneMkgsDriv"]))
    stripes = _band(np.mod(u, 1.2) - 0.6, 0.6, across) * (zebra & road)
    result.append((stripes, (230.0, 230.0, 226.0), RAW["LaneMkgsNonDriv"]))
    hatch = strip.hatch[i] & (np.abs(u) < 1.0) & road
    diagonal = _band(np.mod(s + u * 1.2, 2.0) - 1.0, 0.45, across + along * 0.5)
    border = _band(np.abs(u) - 0.95, 0.14, across)
    result.append((np.maximum(diagonal, border) * hatch, tint, RAW["LaneMkgsNonDriv"]))
    return result
