"""Paint and truth together: whatever colours a pixel also says what it is.

The picture is RGB uint8, the truth holds ids of :data:`aaff.labels.CAMVID32`, 255 = void.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from aaff.data.scenes.camera import NEAR, Camera
from aaff.data.scenes.street import Color, Street
from aaff.data.scenes.textures import FloatArray
from aaff.labels import CAMVID32, IGNORE, UInt8Array

_SUB = 4
_LIMIT = 8000.0

RAW: dict[str, int] = {name: i for i, name in enumerate(CAMVID32.names)} | {"Void": IGNORE}
"""Raw id of each class name of original CamVid."""


class Canvas:
    """One frame while it is painted, back to front.

    Attributes:
        image: RGB uint8 [H, W, 3].
        raw: uint8 [H, W].
        shade: uint8 [H, W], how much of the sun is taken from the ground, 255 = all.
    """

    def __init__(self, street: Street, camera: Camera) -> None:
        self.street = street
        self.camera = camera
        self.width, self.height = camera.size
        self.image: UInt8Array = np.zeros((self.height, self.width, 3), np.uint8)
        self.raw: UInt8Array = np.full((self.height, self.width), IGNORE, np.uint8)
        self.shade: UInt8Array = np.zeros((self.height, self.width), np.uint8)
        weather = street.weather
        x, y, z = weather.sun
        turn = camera.base_heading
        self.sun = (x * math.cos(turn) - z * math.sin(turn), y, z * math.cos(turn) + x * math.sin(turn))
        self.haze = np.array(weather.horizon)

    # Light

    def light(self, normal: tuple[float, float, float], sunlit: float = 1.0) -> FloatArray:
        """RGB factors of the light on a surface; the normal is a unit vector in camera-street axes."""
        weather = self.street.weather
        facing = max(0.0, sum(n * s for n, s in zip(normal, self.sun, strict=True)))
        ambient = np.array(weather.ambient) * (0.78 + 0.22 * normal[1])
        direct = weather.sun_strength * sunlit * facing
        return np.asarray(ambient + direct * np.array((1.06, 1.0, 0.88)))

    def veil(self, distance: float) -> float:
        """Share of the haze at a distance in metres, 0–1."""
        return 1.0 - math.exp(-max(0.0, distance) / self.street.weather.haze)

    def paint(
        self, color: Color | FloatArray, normal: tuple[float, float, float], distance: float, sunlit: float = 1.0
    ) -> Color:
        """Colour of a matt surface as the camera sees it."""
        veil = self.veil(distance)
        seen = np.clip(np.asarray(color) * self.light(normal, sunlit), 0, 255) * (1 - veil) + self.haze * veil
        return float(seen[0]), float(seen[1]), float(seen[2])

    def sunlit(self, x: float, z: float) -> float:
        """How much sun the ground has at a place, 0–1; 1 where it is out of the picture."""
        pixels, depth = self.camera.project(np.array([[x, 0.0, z]]))
        px, py = pixels[0]
        if depth[0] < NEAR or not (0 <= px < self.width and 0 <= py < self.height):
            return 1.0
        return 1.0 - float(self.shade[int(py), int(px)]) / 255.0

    # Shapes

    def polygon(self, pixels: FloatArray, color: Color, raw: int) -> None:
        """Fill a convex polygon [N, 2]."""
        points = _fixed(pixels)
        cv2.fillConvexPoly(self.image, points, color, cv2.LINE_AA, _SUB)
        cv2.fillConvexPoly(self.raw, points, raw, cv2.LINE_8, _SUB)

    def line(self, start: Sequence[float], end: Sequence[float], thickness: float, color: Color, raw: int) -> None:
        """Draw a thick line between two pixels."""
        a, b = _fixed(np.array([start, end]))
        wide = max(1, round(thickness))
        cv2.line(self.image, a.tolist(), b.tolist(), color, wide, cv2.LINE_AA, _SUB)
        cv2.line(self.raw, a.tolist(), b.tolist(), raw, wide, cv2.LINE_8, _SUB)

    def face(self, points: FloatArray, color: Color, raw: int) -> None:
        """Fill a convex polygon of points [N, 3], cut at the near plane."""
        pixels, depth = self.camera.project(points)
        if depth.min() < NEAR:
            cut = clip_near(points, depth)
            if len(cut) < 3:
                return
            pixels, _ = self.camera.project(cut)
        self.polygon(pixels, color, raw)

    def cast(self, points: FloatArray, strength: float = 1.0) -> None:
        """Cast the shadow of the convex hull of points [N, 3] onto the ground."""
        if self.street.weather.sun_strength == 0.0:
            return
        sx, sy, sz = self.sun
        ground = np.stack([points[:, 0] - sx / sy * points[:, 1], points[:, 2] - sz / sy * points[:, 1]], 1)
        hull = cv2.convexHull(ground.astype(np.float32))[:, 0].astype(np.float64)
        flat = np.stack([hull[:, 0], np.zeros(len(hull)), hull[:, 1]], 1)
        pixels, depth = self.camera.project(flat)
        if depth.max() < NEAR:
            return
        if depth.min() < NEAR:
            flat = clip_near(flat, depth)
            if len(flat) < 3:
                return
            pixels, _ = self.camera.project(flat)
        self._darken(pixels, int(255 * strength))

    def contact(self, points: FloatArray, strength: float) -> None:
        """Darken the ground under a thing (footprint [N, 3]), whatever the weather."""
        pixels, depth = self.camera.project(points)
        if depth.min() >= NEAR:
            self._darken(pixels, int(255 * strength))

    def _darken(self, pixels: FloatArray, value: int) -> None:
        points = _fixed(pixels)
        x0, y0 = np.maximum(np.floor(pixels.min(0)).astype(int) - 1, 0)
        x1, y1 = np.minimum(np.ceil(pixels.max(0)).astype(int) + 2, (self.width, self.height))
        if x1 <= x0 or y1 <= y0:
            return
        patch = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.fillConvexPoly(patch, points - np.array([x0, y0], np.int32) * (1 << _SUB), value, cv2.LINE_AA, _SUB)
        region = self.shade[y0:y1, x0:x1]
        np.maximum(region, patch, out=region)

    def texture(
        self,
        picture: UInt8Array,
        corners: FloatArray,
        gain: FloatArray,
        raw: int,
        cover: UInt8Array | None = None,
    ) -> FloatArray | None:
        """Hang a flat picture into the scene.

        Args:
            picture: RGB uint8 [h, w, 3].
            corners: its upper left, upper right, lower right and lower left corner, [4, 3].
            gain: RGB factors of the light.
            raw: id of the whole quadrilateral.
            cover: uint8 [h, w], 0 where one sees through; the truth ignores such holes, as annotators do.

        Returns:
            The homography from shares of the picture (0–1, 0–1) to pixels, or None when nothing was drawn.
        """
        prepared = self._quad(corners)
        if prepared is None:
            return None
        pixels, begin, end, distance = prepared
        h, w = picture.shape[:2]
        left, right = int(begin * w), max(int(begin * w) + 1, math.ceil(end * w))
        picture = picture[:, left:right]
        cover = cover[:, left:right] if cover is not None else None
        # Shrink first, in each direction by itself: a plain warp would skip texels on far and slanted walls.
        wide = max(np.hypot(*(pixels[1] - pixels[0])), np.hypot(*(pixels[2] - pixels[3])))
        tall = max(np.hypot(*(pixels[3] - pixels[0])), np.hypot(*(pixels[2] - pixels[1])))
        target = (
            min(picture.shape[1], max(1, math.ceil(wide * 1.3))),
            min(h, max(1, math.ceil(tall * 1.3))),
        )
        if target != (picture.shape[1], h):
            picture = cv2.resize(picture, target, interpolation=cv2.INTER_AREA)
            cover = cv2.resize(cover, target, interpolation=cv2.INTER_AREA) if cover is not None else None
        veil = self.veil(distance)
        mix = np.zeros((3, 4))
        mix[[0, 1, 2], [0, 1, 2]] = gain * (1 - veil)
        mix[:, 3] = self.haze * veil
        picture = cv2.transform(picture, mix)
        x0, y0 = np.maximum(np.floor(pixels.min(0)).astype(int) - 1, 0)
        x1, y1 = np.minimum(np.ceil(pixels.max(0)).astype(int) + 2, (self.width, self.height))
        ph, pw = picture.shape[:2]
        source = np.array([[0, 0], [pw, 0], [pw, ph], [0, ph]], np.float32) - 0.5
        shares = np.array([[begin, 0], [end, 0], [end, 1], [begin, 1]], np.float32)
        matrix = cv2.getPerspectiveTransform(source, (pixels - (x0, y0)).astype(np.float32))
        window = (int(x1 - x0), int(y1 - y0))
        warped = cv2.warpPerspective(picture, matrix, window, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        shape = _fixed(pixels - (x0, y0))
        mask = np.zeros(window[::-1], np.uint8)
        cv2.fillConvexPoly(mask, shape, 255, cv2.LINE_AA, _SUB)
        if cover is not None:
            holes = cv2.warpPerspective(cover, matrix, window, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            mask = cv2.multiply(mask, holes, scale=1 / 255)
        blend(self.image[y0:y1, x0:x1], warped, mask)
        cv2.fillConvexPoly(self.raw, _fixed(pixels), raw, cv2.LINE_8, _SUB)
        return np.asarray(cv2.getPerspectiveTransform(shares, pixels.astype(np.float32)), np.float64)

    def _quad(self, corners: FloatArray) -> tuple[FloatArray, float, float, float] | None:
        """Pixels of a quadrilateral cut at the near plane, the shares where it begins and ends, its distance."""
        _, depth = self.camera.project(corners)
        begin, end = 0.0, 1.0
        near, limit = depth.min(), NEAR * 1.5
        if depth.max() < limit:
            return None
        if near < limit:
            left, right = min(depth[0], depth[3]), min(depth[1], depth[2])
            if left < limit and right < limit:
                return None
            part = (limit - left) / (right - left)
            begin, end = (part, 1.0) if left < right else (0.0, part)
        top, bottom = corners[1] - corners[0], corners[2] - corners[3]
        cut = np.stack(
            [corners[0] + begin * top, corners[0] + end * top, corners[3] + end * bottom, corners[3] + begin * bottom]
        )
        pixels, depth = self.camera.project(cut)
        low, high = pixels.min(0), pixels.max(0)
        if high[0] < 0 or high[1] < 0 or low[0] >= self.width or low[1] >= self.height or (high - low).min() < 0.3:
            return None
        return pixels, begin, end, float(depth.mean())

    def sprite(
        self,
        light: UInt8Array,
        cover: UInt8Array,
        box: tuple[float, float, float, float],
        color: Color,
        raw: int,
        distance: float,
    ) -> None:
        """Stand a see-through picture upright into the scene.

        Args:
            light: uint8 [h, w] or [h, w, 1], 128 = ``color``.
            cover: uint8 [h, w].
            box: left, top, right, bottom in pixels.
            color: RGB, already lit.
        """
        x0, y0 = math.floor(box[0]), math.floor(box[1])
        x1, y1 = max(x0 + 1, math.ceil(box[2])), max(y0 + 1, math.ceil(box[3]))
        cx0, cy0, cx1, cy1 = max(0, x0), max(0, y0), min(self.width, x1), min(self.height, y1)
        if cx1 <= cx0 or cy1 <= cy0 or (x1 - x0) > 12 * self.width:
            return
        h, w = cover.shape
        # Only the part inside the picture is resized: a near tree may be many pictures large.
        sx, sy = w / (x1 - x0), h / (y1 - y0)
        a, b = int((cx0 - x0) * sx), int((cy0 - y0) * sy)
        c, d = max(a + 1, math.ceil((cx1 - x0) * sx)), max(b + 1, math.ceil((cy1 - y0) * sy))
        window = (cx1 - cx0, cy1 - cy0)
        how = cv2.INTER_AREA if sx > 1 else cv2.INTER_LINEAR
        tone = cv2.resize(light[b:d, a:c], window, interpolation=how)
        mask = cv2.resize(cover[b:d, a:c], window, interpolation=how)
        veil = self.veil(distance)
        near = np.array(color) * (1 - veil) / 128.0
        mix = np.stack([near, self.haze * veil], 1)
        picture = cv2.transform(tone.reshape(*window[::-1], 1), mix)
        blend(self.image[cy0:cy1, cx0:cx1], picture, mask)
        self.raw[cy0:cy1, cx0:cx1][mask > 110] = raw


def blend(under: UInt8Array, over: UInt8Array, mask: UInt8Array) -> None:
    """Lay ``over`` onto ``under`` in place, by mask uint8 [H, W] (255 = over alone)."""
    weight = mask.astype(np.uint16)[:, :, None]
    mixed = over * weight + under * (255 - weight) + 127
    under[:] = (mixed // 255).astype(np.uint8)


def clip_near(points: FloatArray, depth: FloatArray) -> FloatArray:
    """The part of a polygon [N, 3] beyond the near plane, given the depth of its corners."""
    kept: list[npt.NDArray[np.float64]] = []
    limit = NEAR * 1.01
    for i in range(len(points)):
        j = (i + 1) % len(points)
        if depth[i] >= limit:
            kept.append(points[i])
        if (depth[i] >= limit) != (depth[j] >= limit):
            part = (limit - depth[i]) / (depth[j] - depth[i])
            kept.append(points[i] + part * (points[j] - points[i]))
    return np.array(kept)


def _fixed(pixels: FloatArray) -> npt.NDArray[np.int32]:
    """Pixels in the fixed point that OpenCV draws with."""
    return np.asarray(np.rint(np.clip(pixels, -_LIMIT, _LIMIT) * (1 << _SUB)), np.int32)
