"""Paint and label together: whatever colours a pixel also says what it is.

The picture is RGB uint8, the label holds ids of ``aaff.labels.CAMVID32``, 255 = void.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from cv2.typing import MatLike

from aaff.labels import CAMVID32, IGNORE, UInt8Array
from aaff.synthetic.camera import NEAR, Camera, Pixel, Point
from aaff.synthetic.street import Color, Street
from aaff.synthetic.textures import FloatArray, Texture

SUB = 4
"""Binary digits after the point in the coordinates that OpenCV draws with."""
_ONE = 1 << SUB
_LIMIT = 30000.0  # pixels; beyond it the fixed point of OpenCV could overflow
_SMALL = 90.0  # square pixels below which a texture is one colour
_CUT = NEAR * 1.01
_STEEP = np.clip((np.arange(256) - 110) * 2.5 + 127, 0, 255).astype(np.uint8)

RAW: dict[str, int] = {name: i for i, name in enumerate(CAMVID32.names)} | {"Void": IGNORE}
"""Raw id of each class name of original CamVid."""


class Canvas:
    """One frame while it is painted, back to front.

    Attributes:
        image: RGB uint8 [H, W, 3].
        raw: uint8 [H, W].
        shade: uint8 [H, W], how much of the sun is taken from the ground, 255 = all.
        sun: unit vector to the sun, axes of ``aaff.synthetic.camera.Point``.
        haze: RGB that far things fade to.
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
        c, s = math.cos(camera.base_heading), math.sin(camera.base_heading)
        self.sun: Point = (x * c - z * s, y, z * c + x * s)
        self.haze = weather.horizon
        self._shadows: list[tuple[int, list[Pixel]]] = []
        self._direct = tuple(weather.sun_strength * part for part in (1.06, 1.0, 0.88))

    # Light

    def light(self, normal: Point, sunlit: float = 1.0) -> Color:
        """RGB factors of the light on a matt surface; the normal is a unit vector."""
        sun = self.sun
        facing = normal[0] * sun[0] + normal[1] * sun[1] + normal[2] * sun[2]
        direct = sunlit * facing if facing > 0 else 0.0
        above = 0.78 + 0.22 * normal[1]
        a, d = self.street.weather.ambient, self._direct
        return a[0] * above + d[0] * direct, a[1] * above + d[1] * direct, a[2] * above + d[2] * direct

    def veil(self, distance: float) -> float:
        """Share of the haze at a distance in metres, 0–1."""
        return 1.0 - math.exp(-max(0.0, distance) / self.street.weather.haze)

    def paint(self, color: Sequence[float], normal: Point, distance: float, sunlit: float = 1.0) -> Color:
        """Colour of a matt surface as the camera sees it."""
        light, haze = self.light(normal, sunlit), self.haze
        veil = self.veil(distance)
        clear = 1.0 - veil
        return (
            min(255.0, color[0] * light[0]) * clear + haze[0] * veil,
            min(255.0, color[1] * light[1]) * clear + haze[1] * veil,
            min(255.0, color[2] * light[2]) * clear + haze[2] * veil,
        )

    def sunlit(self, x: float, z: float) -> float:
        """How much sun the ground has at a place, 0–1; 1 where it is out of the picture."""
        px, py, depth = self.camera.pixel(x, 0.0, z)
        if depth < NEAR or not (0 <= px < self.width and 0 <= py < self.height):
            return 1.0
        return 1.0 - float(self.shade[int(py), int(px)]) / 255.0

    # Shapes

    def polygon(self, pixels: Sequence[Pixel], color: Color, raw: int) -> None:
        """Fill a convex polygon."""
        points = fixed(pixels)
        cv2.fillConvexPoly(self.image, points, color, cv2.LINE_AA, SUB)
        cv2.fillConvexPoly(self.raw, points, raw, cv2.LINE_8, SUB)

    def line(self, start: Pixel, end: Pixel, thickness: float, color: Color, raw: int) -> None:
        """Draw a line with round ends between two pixels."""
        a, b = fixed((start, end)).tolist()
        wide = max(1, round(thickness))
        cv2.line(self.image, a, b, color, wide, cv2.LINE_AA, SUB)
        cv2.line(self.raw, a, b, raw, wide, cv2.LINE_8, SUB)

    def disc(self, center: Pixel, radius: float, color: Color, raw: int) -> None:
        """Fill a circle, radius in pixels."""
        where, r = fixed((center,)).tolist()[0], round(radius * _ONE)
        cv2.circle(self.image, where, r, color, -1, cv2.LINE_AA, SUB)
        cv2.circle(self.raw, where, r, raw, -1, cv2.LINE_8, SUB)

    def face(self, points: Sequence[Point], color: Color, raw: int) -> None:
        """Fill a convex polygon of points, cut at the near plane."""
        pixels = self.project(points)
        if len(pixels) > 2:
            self.polygon(pixels, color, raw)

    def project(self, points: Sequence[Point]) -> list[Pixel]:
        """Pixels of a convex polygon, cut at the near plane; empty when it lies behind."""
        seen = [self.camera.pixel(*p) for p in points]
        if all(p[2] >= NEAR for p in seen):
            return [(p[0], p[1]) for p in seen]
        kept: list[Pixel] = []
        for i, here in enumerate(points):
            j = (i + 1) % len(points)
            there, a, b = points[j], seen[i][2], seen[j][2]
            if a >= _CUT:
                kept.append((seen[i][0], seen[i][1]))
            if (a >= _CUT) != (b >= _CUT):
                t = (_CUT - a) / (b - a)
                cut = (h + t * (k - h) for h, k in zip(here, there, strict=True))
                x, y, _ = self.camera.pixel(*cut)
                kept.append((max(-_LIMIT, min(_LIMIT, x)), max(-_LIMIT, min(_LIMIT, y))))
        return kept

    # Shadows

    def cast(self, points: Sequence[Point], strength: float = 1.0) -> None:
        """Cast the shadow of the convex hull of points onto the ground."""
        if self.street.weather.sun_strength == 0.0:
            return
        sx, sy, sz = self.sun
        slope_x, slope_z = sx / sy, sz / sy
        flat = np.array([(x - slope_x * y, z - slope_z * y) for x, y, z in points], np.float32)
        hull = cv2.convexHull(flat)[:, 0].tolist()
        self.contact([(x, 0.0, z) for x, z in hull], strength)

    def contact(self, points: Sequence[Point], strength: float) -> None:
        """Darken a convex piece of ground, whatever the weather."""
        pixels = self.project(points)
        if len(pixels) > 2:
            self._shadows.append((int(255 * strength), pixels))

    def settle_shadows(self) -> None:
        """Put all shadows into ``shade``, the weak ones first: shadows do not add up."""
        for value, pixels in sorted(self._shadows, key=lambda shadow: shadow[0]):
            cv2.fillConvexPoly(self.shade, fixed(pixels), value, cv2.LINE_AA, SUB)
        self._shadows.clear()

    def _window(self, pixels: Sequence[Pixel]) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the part of the picture that holds the pixels."""
        xs, ys = [p[0] for p in pixels], [p[1] for p in pixels]
        return (
            max(0, math.floor(max(min(xs), -1.0)) - 1),
            max(0, math.floor(max(min(ys), -1.0)) - 1),
            min(self.width, math.ceil(min(max(xs), self.width)) + 2),
            min(self.height, math.ceil(min(max(ys), self.height)) + 2),
        )

    # Textures

    def texture(
        self, texture: Texture, corners: tuple[Point, Point, Point, Point], gain: Color, raw: int
    ) -> FloatArray | None:
        """Hang a flat picture into the scene.

        Args:
            texture: where one can see through it the label still gets ``raw``, as annotators do with fences.
            corners: where its upper left, upper right, lower right and lower left corners are.
            gain: RGB factors of the light.
            raw: id of the whole quadrilateral.

        Returns:
            The homography [3, 3] from shares of the picture (0–1, 0–1) to pixels; None when nothing was drawn.
        """
        begin, end, corners = self._cut(corners)
        if begin >= end:
            return None
        seen = [self.camera.pixel(*c) for c in corners]
        quad: list[Pixel] = [(x, y) for x, y, _ in seen]
        x0, y0, x1, y1 = self._window(quad)
        wide = max(math.dist(quad[0], quad[1]), math.dist(quad[3], quad[2]))
        tall = max(math.dist(quad[0], quad[3]), math.dist(quad[1], quad[2]))
        if x1 <= x0 or y1 <= y0 or min(wide, tall) < 0.3:
            return None
        veil = self.veil(sum(depth for _, _, depth in seen) / 4)
        if wide * tall < _SMALL:
            mean, haze = texture.mean, self.haze
            r, g, b = (mean[i] * gain[i] * (1 - veil) + haze[i] * veil for i in range(3))
            self.polygon(quad, (r, g, b), raw)
            return None
        picture, cover = texture.level(wide / (end - begin), tall)
        lit = cv2.transform(picture, self._mix(gain, veil))
        h, w = lit.shape[:2]
        source = [[begin * w - 0.5, -0.5], [end * w - 0.5, -0.5], [end * w - 0.5, h - 0.5], [begin * w - 0.5, h - 0.5]]
        inside = [(x - x0, y - y0) for x, y in quad]
        matrix = cv2.getPerspectiveTransform(np.array(source, np.float32), np.array(inside, np.float32))
        window = (x1 - x0, y1 - y0)
        warped = _warp(lit, matrix, window)
        mask = np.zeros(window[::-1], np.uint8)
        shape = fixed(inside)
        cv2.fillConvexPoly(mask, shape, 255, cv2.LINE_AA, SUB)
        if cover is not None:
            mask = np.asarray(cv2.multiply(mask, _warp(cover, matrix, window), scale=1 / 255), np.uint8)
        blend(self.image[y0:y1, x0:x1], warped, mask)
        cv2.fillConvexPoly(self.raw, fixed(quad), raw, cv2.LINE_8, SUB)
        shares = np.array([[begin, 0], [end, 0], [end, 1], [begin, 1]], np.float32)
        return np.asarray(cv2.getPerspectiveTransform(shares, np.array(quad, np.float32)), np.float64)

    def _cut(
        self, corners: tuple[Point, Point, Point, Point]
    ) -> tuple[float, float, tuple[Point, Point, Point, Point]]:
        """Cut a quadrilateral upright at the near plane: the shares where it begins and ends, and its corners."""
        limit = NEAR * 1.5
        depth = [self.camera.pixel(*c)[2] for c in corners]
        left, right = min(depth[0], depth[3]), min(depth[1], depth[2])
        if min(left, right) >= limit:
            return 0.0, 1.0, corners
        if max(left, right) < limit:
            return 0.0, 0.0, corners
        part = (limit - left) / (right - left)
        begin, end = (part, 1.0) if left < right else (0.0, part)
        a, b, c, d = corners
        return begin, end, (between(a, b, begin), between(a, b, end), between(d, c, end), between(d, c, begin))

    def _mix(self, gain: Color, veil: float) -> FloatArray:
        """The affine map of colours that lights and fades a picture."""
        mix = np.zeros((3, 4))
        for i in range(3):
            mix[i, i], mix[i, 3] = gain[i] * (1 - veil), self.haze[i] * veil
        return mix

    def sprite(
        self,
        texture: Texture,
        box: tuple[float, float, float, float],
        color: Color,
        raw: int,
        distance: float,
        least: int = 127,
    ) -> None:
        """Stand a see-through picture upright into the scene.

        Args:
            texture: one channel of light, 128 = ``color``, and its cover.
            box: left, top, right, bottom in pixels.
            color: RGB, already lit.
            least: cover above which a pixel gets ``raw``.
        """
        x0, y0 = math.floor(box[0]), math.floor(box[1])
        x1, y1 = max(x0 + 1, math.ceil(box[2])), max(y0 + 1, math.ceil(box[3]))
        cx0, cy0, cx1, cy1 = max(0, x0), max(0, y0), min(self.width, x1), min(self.height, y1)
        if cx1 <= cx0 or cy1 <= cy0 or x1 - x0 > 12 * self.width:
            return
        light, cover = texture.level(x1 - x0, y1 - y0)
        assert cover is not None, "a sprite needs a cover"
        h, w = cover.shape
        # Only the part inside the picture is resized: a near tree may be many pictures large.
        sx, sy = w / (x1 - x0), h / (y1 - y0)
        a, b = int((cx0 - x0) * sx), int((cy0 - y0) * sy)
        c, d = max(a + 1, math.ceil((cx1 - x0) * sx)), max(b + 1, math.ceil((cy1 - y0) * sy))
        window = (cx1 - cx0, cy1 - cy0)
        tone = cv2.resize(light[b:d, a:c], window, interpolation=cv2.INTER_LINEAR)
        soft = cv2.resize(cover[b:d, a:c], window, interpolation=cv2.INTER_LINEAR)
        # Half covered counts as half; steeper around it, as blending is slow.
        mask = np.asarray(cv2.LUT(soft, _STEEP), np.uint8)
        veil = self.veil(distance)
        near = np.array(color) * (1 - veil) / 128.0
        picture = cv2.transform(tone[:, :, None], np.stack([near, np.array(self.haze) * veil], 1))
        blend(self.image[cy0:cy1, cx0:cx1], np.asarray(picture, np.uint8), mask)
        self.raw[cy0:cy1, cx0:cx1][soft > least] = raw


def blend(under: UInt8Array, over: UInt8Array, mask: UInt8Array) -> None:
    """Lay ``over`` onto ``under`` in place, by mask uint8 [H, W] (255 = over alone)."""
    partly = np.flatnonzero((mask > 8) & (mask < 247))
    cv2.copyTo(over, np.asarray(mask >= 247, np.uint8), under)
    if len(partly) == 0:
        return
    rows, columns = np.divmod(partly, mask.shape[1])
    weight = mask[rows, columns].astype(np.uint16)[:, None]
    mixed = over[rows, columns] * weight + under[rows, columns] * (255 - weight) + 127
    under[rows, columns] = mixed // 255


def _warp(picture: MatLike, matrix: MatLike, window: tuple[int, int]) -> UInt8Array:
    how = cv2.INTER_LINEAR
    return np.asarray(
        cv2.warpPerspective(picture, matrix, window, flags=how, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def between(a: Point, b: Point, share: float) -> Point:
    """The point at ``share`` of the way from a to b."""
    return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]), a[2] + share * (b[2] - a[2])


def raised(point: Point, height: float) -> Point:
    """The point ``height`` metres higher."""
    return point[0], point[1] + height, point[2]


def fixed(pixels: Sequence[Pixel]) -> npt.NDArray[np.int32]:
    """Pixels in the fixed point that OpenCV draws with: int32 [N, 2]."""
    return np.array([(int(x * _ONE), int(y * _ONE)) for x, y in pixels], np.int32)
