"""The ground: road with its markings, pavements, and what lies beyond them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from aaff.synthetic.canvas import RAW, Canvas
from aaff.synthetic.site import LEFT, RESOLUTION, RIGHT, Ground, Strip
from aaff.synthetic.street import Color
from aaff.synthetic.textures import TILE, Float32Array, noise_tile

_GRASS: Color = (86.0, 104.0, 52.0)
_GRAVEL: Color = (150.0, 138.0, 118.0)
_EDGE_LINE: Color = (212.0, 184.0, 78.0)
_ZEBRA: Color = (230.0, 230.0, 226.0)
_HORIZON = np.float32(-0.006)  # ground this near to eye level is left to the skyline

# In the order of Ground.
_RAW_OF = np.array(
    [RAW[n] for n in ("Road", "Sidewalk", "Sidewalk", "VegetationMisc", "RoadShoulder", "ParkingBlock")], np.uint8
)
_ROUGH = np.array([1.0, 0.8, 0.5, 2.2, 1.8, 1.0], np.float32)
_PAVED = np.array([False, True, False, False, False, True])


@dataclass(frozen=True)
class _Field:
    """The ground seen in the rows of a picture, each array [rows, W].

    Attributes:
        s, u: metres along the strip from its begin, and across.
        far: metres from the camera.
        along, across: size of a pixel on the ground in metres.
        cell: entry of the strip.
        beside: metres beyond the edge of the road, negative on it.
        kind: of ``Ground``.
    """

    s: Float32Array
    u: Float32Array
    far: Float32Array
    along: Float32Array
    across: Float32Array
    cell: npt.NDArray[np.int32]
    beside: Float32Array
    kind: npt.NDArray[np.uint8]


def paint_ground(canvas: Canvas, strip: Strip) -> None:
    """Paint everything below the horizon; uses the shadows in ``canvas.shade``."""
    street = canvas.street
    top, seen, field = _field(canvas, strip)
    if not seen.any():
        return
    grit = noise_tile(1, first=128, octaves=3)[_texel(field.s, 36), _texel(field.u, 36)]
    tile = noise_tile(2, first=4, octaves=6, fall=0.6)
    texels = _wrapped(field.s, 14), _wrapped(field.u, 22)
    stain = np.asarray(cv2.remap(tile, *texels, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32)
    gain, ids = _relief(canvas, field), _RAW_OF[field.kind]
    rough = _ROUGH[field.kind] * (grit * (9 / (1 + field.along * 9)) + stain * 5)
    shade = cv2.GaussianBlur(canvas.shade[top:], (5, 5), 0).astype(np.float32) * np.float32(1 / 255)
    lit = canvas.light((0.0, 1.0, 0.0))
    # Under a grey sky only what touches the ground darkens it.
    sunny = street.weather.sun_strength > 0
    dim = canvas.light((0.0, 1.0, 0.0), 0.0) if sunny else (lit[0] * 0.55, lit[1] * 0.55, lit[2] * 0.55)
    clear = np.exp(field.far * np.float32(-1 / street.weather.haze))
    markings = [
        (_worn(where, cover, stain), where, cover > 0.5, tint, raw)
        for where, cover, tint, raw in _markings(canvas, strip, field)
    ]
    palette = _palette(canvas)
    channels = []
    for c in range(3):
        color = palette[:, c][field.kind] * gain + rough
        flat = color.reshape(-1)
        for share, where, _, tint, _ in markings:
            flat[where] += (np.float32(tint[c]) - flat[where]) * share
        light = np.float32(lit[c]) - np.float32(lit[c] - dim[c]) * shade
        haze = np.float32(canvas.haze[c])
        channels.append((color * light - haze) * clear + haze)
    for _, where, half, _, raw in markings:
        ids.reshape(-1)[where[half]] = raw
    picture = np.clip(cv2.merge(channels), 0, 255).astype(np.uint8)
    mask = seen.astype(np.uint8)
    cv2.copyTo(picture, mask, canvas.image[top:])
    cv2.copyTo(ids, mask, canvas.raw[top:])


def _worn(where: npt.NDArray[np.intp], cover: Float32Array, stain: Float32Array) -> Float32Array:
    """Cover of a marking that is rubbed off in places."""
    return np.asarray(cover * np.clip(0.9 + 0.12 * stain.reshape(-1)[where], 0.35, 1), np.float32)


def _field(canvas: Canvas, strip: Strip) -> tuple[int, npt.NDArray[np.bool_], _Field]:
    """First row with ground, the pixels that show it, and what they show."""
    camera, street = canvas.camera, canvas.street
    corners = camera.rays(0, canvas.height)[1][:, [0, -1]].min(1)
    top = int(np.argmax(corners < _HORIZON)) if (corners < _HORIZON).any() else canvas.height - 1
    x, y, z = camera.rays(top, canvas.height)
    seen = y < _HORIZON
    far = np.asarray(np.float32(camera.height) / -np.minimum(y, _HORIZON), np.float32)
    s, u = camera.ground(np.asarray(x * far), np.asarray(z * far))
    s += np.float32(camera.origin - strip.begin)
    cell = np.clip(s * np.float32(1 / RESOLUTION), 0, len(strip.zebra) - 1).astype(np.int32)
    side = (u > 0).astype(np.int32)
    beside = np.abs(u) - np.float32(street.half_road)
    walk = np.array(street.pavement, np.float32)[side]
    entry = side * np.int32(len(strip.zebra)) + cell
    kind = np.where(beside > walk, strip.beyond.reshape(-1)[entry], strip.walk.reshape(-1)[entry])
    kind[beside < 0.16] = Ground.KERB
    kind[(beside < 0) | strip.junction.reshape(-1)[entry]] = Ground.ROAD
    across = far * np.float32(1 / camera.focal)
    along = across * np.maximum(np.float32(1), far * np.float32(1 / camera.height))
    return top, seen, _Field(s, u, far, along, across, cell, beside, kind)


def _palette(canvas: Canvas) -> Float32Array:
    """RGB of each kind of ground before light: float32 [6, 3]."""
    street = canvas.street
    kerb = [min(235.0, c * 1.18) for c in street.pavement_color]
    parking = [c * part for c, part in zip(street.pavement_color, (0.9, 0.82, 0.78), strict=True)]
    return np.array([street.road_color, street.pavement_color, kerb, _GRASS, _GRAVEL, parking], np.float32)


def _relief(canvas: Canvas, field: _Field) -> Float32Array:
    """Darker joints between slabs and brighter tracks of wheels, as a factor."""
    street = canvas.street
    slab = np.float32(street.slab)
    track = (np.abs(np.abs(field.u) - np.float32(street.half_road / 2)) - np.float32(0.75)) * np.float32(1 / 0.3)
    gain = 1 + np.where(field.kind == Ground.ROAD, np.float32(0.06), np.float32(0)) * np.exp(-track * track)
    here = np.flatnonzero(_PAVED[field.kind] & (field.along < slab * 0.5))
    s, u = field.s.ravel()[here] / slab, field.u.ravel()[here] / slab
    along, across = field.along.ravel()[here], field.across.ravel()[here]
    joint = np.minimum(
        np.abs(s - np.floor(s) - 0.5) * (slab / np.maximum(along, 0.02)),
        np.abs(u - np.floor(u) - 0.5) * (slab / np.maximum(across, 0.02)),
    )
    gain.ravel()[here] *= 1 - 0.22 * np.clip(1.2 - joint, 0, 1)
    return np.asarray(gain, np.float32)


_Marking = tuple[npt.NDArray[np.intp], Float32Array, Color, int]


def _markings(canvas: Canvas, strip: Strip, field: _Field) -> list[_Marking]:
    """Where each kind of marking lies (flat indices), how much it covers there (0–1), its colour and raw id."""
    street = canvas.street
    dash, gap = street.center_dash
    s, u, beside = field.s.reshape(-1), field.u.reshape(-1), field.beside.reshape(-1)
    cell = field.cell.reshape(-1)
    along, across = field.along.reshape(-1), field.across.reshape(-1)
    road = (field.kind == Ground.ROAD).reshape(-1)
    result: list[_Marking] = []

    def mark(where: npt.NDArray[np.intp], cover: Float32Array, tint: Color, name: str) -> None:
        some = cover > 0.03
        result.append((where[some], cover[some], tint, RAW[name]))

    if street.edge_lines:
        i = np.flatnonzero((np.abs(beside + 0.42) < 0.4) & road)
        i = i[~(strip.zebra[cell[i]] | strip.junction[(u[i] > 0).astype(np.intp), cell[i]])]
        edge = _band(beside[i] + 0.3, 0.12, across[i])
        if street.edge_lines == 2:
            edge = np.maximum(edge, _band(beside[i] + 0.55, 0.12, across[i]))
        mark(i, edge, _EDGE_LINE, "LaneMkgsDriv")
    i = np.flatnonzero((np.abs(u) < 0.3) & road)
    i = i[~(strip.zebra | strip.hatch | strip.junction[LEFT] | strip.junction[RIGHT])[cell[i]]]
    dashes = _band(_repeat(s[i], dash + gap) - np.float32(dash / 2), dash, along[i])
    mark(i, _band(u[i], 0.16, across[i]) * dashes, street.line_color, "LaneMkgsDriv")
    if strip.stop.any():
        i = np.flatnonzero(strip.stop[cell] & road & (beside < -0.3) & (u * np.float32(street.lane_side) > 0.1))
        mark(i, np.ones(len(i), np.float32), street.line_color, "LaneMkgsDriv")
    if strip.zebra.any():
        i = np.flatnonzero(strip.zebra[cell] & road)
        mark(i, _band(_repeat(u[i], 1.2) - np.float32(0.6), 0.6, across[i]), _ZEBRA, "LaneMkgsNonDriv")
    if strip.hatch.any():
        i = np.flatnonzero(strip.hatch[cell] & road & (np.abs(u) < 1.02))
        lean = _repeat(s[i] + u[i] * np.float32(1.2), 2.0) - np.float32(1)
        stripes = _band(lean, 0.45, across[i] + along[i] * np.float32(0.5))
        border = _band(np.abs(u[i]) - np.float32(0.95), 0.14, across[i])
        mark(i, np.maximum(stripes, border), street.line_color, "LaneMkgsNonDriv")
    return result


def _repeat(value: Float32Array, period: float) -> Float32Array:
    """Remainder in 0 … period."""
    share = value * np.float32(1 / period)
    return np.asarray((share - np.floor(share)) * np.float32(period), np.float32)


def _wrapped(metres: Float32Array, scale: float) -> Float32Array:
    """Coordinate in a noise tile, ``scale`` texels a metre."""
    return _repeat(metres * np.float32(scale), TILE)


def _texel(metres: Float32Array, scale: float) -> npt.NDArray[np.int32]:
    """Nearest texel of a noise tile."""
    return np.asarray(np.floor(metres * np.float32(scale)).astype(np.int32) & (TILE - 1), np.int32)


def _band(value: Float32Array, width: float, pixel: Float32Array) -> Float32Array:
    """Cover 0–1 of a line ``width`` metres wide at value 0, smoothed over a pixel."""
    wide = np.maximum(pixel, np.float32(0.01))
    cover = np.clip((width / 2 - np.abs(value)) / wide + 0.5, 0, 1) * np.minimum(1, width / wide)
    return np.asarray(cover, np.float32)
