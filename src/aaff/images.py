"""Image files in and out: the edge where pictures become RGB uint8 arrays.

Reading goes through Pillow (it keeps the ids of palette PNGs, says when a file is truncated and
knows every mode a camera or a paint program writes); arrays go out as PNG or JPEG, atomically.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from aaff.errors import AaffError, DataError, OptionError, TooLargeError, brief
from aaff.files import replacing
from aaff.labels import UInt8Array

WRITTEN_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm")
"""Formats that pictures are saved in, lower case.  What is read is in ``aaff.folders.IMAGE_SUFFIXES``."""

MAX_PIXELS = 178_956_970
"""Larger pictures are refused, since a small file can decode to gigabytes; the limit is Pillow's own."""
MAX_PIXELS_VARIABLE = "AAFF_MAX_PIXELS"
"""Environment variable with another limit.  Worker processes inherit it."""

# Pillow knows more formats.  Some start other programs (EPS, PDF: Ghostscript) whatever the file is called.
_FORMATS: tuple[str, ...] = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "DIB", "GIF", "PPM", "JPEG2000", "TGA")
if importlib.util.find_spec("PIL.AvifImagePlugin") is not None:  # since Pillow 11.3
    _FORMATS += ("AVIF",)
_LOSSY = ("JPEG", "MPO", "AVIF")

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation → what shows the picture upright; 1 and unknown values leave it as it is."""

# What these warn of is either harmless (metadata that nobody reads) or refused with a sentence (the size).
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings(
    "ignore", message="(Corrupt EXIF|Possibly corrupt EXIF|Metadata Warning|Truncated File Read|Tag data larger)"
)


class _Decoded(NamedTuple):
    """A picture in memory, upright.

    Attributes:
        picture: its pixels.
        format: Pillow's name of the file's format.
        raw: Pillow's name of the file's pixel type, such as ``"L;4"``; empty when it tells none.
    """

    picture: Image.Image
    format: str
    raw: str


def pixel_limit() -> int:
    """How many pixels a picture may have: ``MAX_PIXELS``, or the value of ``AAFF_MAX_PIXELS``.

    Raises:
        OptionError: that value is not a positive whole number.
    """
    text = os.environ.get(MAX_PIXELS_VARIABLE, "")
    if not text:
        return MAX_PIXELS
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and int(text) > 0):
        raise OptionError(f"{MAX_PIXELS_VARIABLE} is {text[:40]!r}; it must be a number of pixels, such as 500000000")
    return int(text)


@contextlib.contextmanager
def allowing_pixels(most: int | None) -> Iterator[None]:
    """Another ``pixel_limit`` while a block runs, in processes started from here too; None changes nothing."""
    before = os.environ.get(MAX_PIXELS_VARIABLE)
    if most is not None:
        os.environ[MAX_PIXELS_VARIABLE] = str(most)
    try:
        yield
    finally:
        if most is not None:
            os.environ.pop(MAX_PIXELS_VARIABLE)
            if before is not None:
                os.environ[MAX_PIXELS_VARIABLE] = before


def check_pixels(width: int, height: int, where: str, limit: int | None = None) -> None:
    """Refuse a picture above the limit: ``limit`` pixels where it is given, else ``pixel_limit``.

    Raises:
        TooLargeError: ``where`` names the file; says how to allow it.
    """
    if limit is not None and width * height > limit:
        raise TooLargeError(
            f"{where} has {width * height:,} pixels; at most {limit:,} are taken here, so make it smaller"
        )
    if width * height > pixel_limit():
        raise TooLargeError(
            f"{where} has {width * height:,} pixels, more than the limit of {pixel_limit():,}; if you trust the file, "
            f"set the environment variable {MAX_PIXELS_VARIABLE}={width * height} (aaff predict: --max-pixels)"
        )


@contextlib.contextmanager
def _decoding(where: str) -> Iterator[None]:
    """Turn what goes wrong inside a decoder into a sentence."""
    named = where if where.startswith("the image") else f"the image {where}"
    try:
        yield
    except (AaffError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"{where} is not an image (its content is in no format that aaff reads)") from error
    except OSError as error:
        hint = "" if error.errno else "; is the file complete?"
        raise DataError(f"cannot read {named}: {brief(error.strerror or error)}{hint}") from error
    except Exception as error:  # a dozen decoders, and each raises what it likes on a damaged file
        raise DataError(f"cannot read {named}: {brief(error)}; is the file complete?") from error


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[Image.Image]:
    """A picture of which only the header is read.

    Raises:
        DataError: there is no such file, it is not an image, or it is too large.
    """
    where = str(path)
    if not os.path.isfile(path):
        raise DataError(f"there is no image file {where}")
    if Image.MAX_IMAGE_PIXELS is not None and pixel_limit() > 2 * Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = pixel_limit()  # somebody asked for it, and Pillow has one limit for the process
    # A file object, not a name: Pillow would map a named file into memory, and then decodes TIFFs that are turned by
    # 90° with the wrong width (13.0), and dies of a file that gets shorter meanwhile.
    with _decoding(where), open(path, "rb") as file, _header(file, where) as picture:
        yield picture


def _header(file: BinaryIO, where: str, limit: int | None = None) -> Image.Image:
    """A picture of which only the header is read, its number of pixels checked."""
    try:
        picture = Image.open(file, formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise TooLargeError(
            f"{where} has more pixels than the limit ({brief(error)}); if you trust the file, set the environment "
            f"variable {MAX_PIXELS_VARIABLE} to a larger number (aaff predict: --max-pixels)"
        ) from error
    try:
        check_pixels(*picture.size, where, limit)
    except AaffError:
        picture.close()
        raise
    return picture


def decode_image(data: bytes, where: str = "the image", *, max_pixels: int | None = None) -> UInt8Array:
    """The content of an image file as RGB uint8 [H, W, 3], as ``read_image`` says.

    Args:
        data: the bytes of the file.
        where: names it in an error message.
        max_pixels: a limit of its own, checked before anything is decoded; default: ``pixel_limit``.

    Raises:
        DataError: it is not an image, truncated or too large.
    """
    with _decoding(where), _header(io.BytesIO(data), where, max_pixels) as picture:
        return _rgb(_turned(picture), where)


def _decode(path: str | Path) -> _Decoded:
    with _opened(path) as picture:
        # The raw type is told by the tiles, which loading uses up.
        tiles = getattr(picture, "tile", None)
        args = tiles[0][3] if tiles else ""
        raw = args if isinstance(args, str) else next((a for a in args or () if isinstance(a, str)), "")
        return _Decoded(_turned(picture), picture.format or "", raw)


def _orientation(picture: Image.Image) -> int:
    """The EXIF orientation, read alone: other tags may be of any type, and writing them back would fail on some."""
    try:
        value = picture.getexif().get(_ORIENTATION)
    except Exception:  # damaged metadata; the pixels are what was asked for
        return 1
    return value if isinstance(value, int) else 1


def _turned(picture: Image.Image) -> Image.Image:
    picture.load()  # Pillow turns a TIFF while it decodes it, and forgets its orientation then
    method = _UPRIGHT.get(_orientation(picture))
    return picture if method is None else picture.transpose(method)


def read_image(path: str | Path) -> UInt8Array:
    """A picture as RGB uint8 [H, W, 3].

    Greyscale, palette, RGBA and CMYK pictures are converted, 16-bit ones scaled to 8 bits, and a
    photograph is turned upright as its EXIF tag says.  Transparent pixels keep their colour.

    Raises:
        DataError: no such file, not an image, a truncated or too large one, or one of floating-point values.
    """
    decoded = _decode(path)
    with _decoding(str(path)):
        return _rgb(decoded.picture, str(path))


def to_rgb(picture: Image.Image, where: str = "the picture") -> UInt8Array:
    """A Pillow picture of any mode as RGB uint8 [H, W, 3], as ``read_image`` says.

    Args:
        where: names the picture in an error message.

    Raises:
        DataError: it cannot be decoded, or holds floating-point values or whole numbers outside 16 bits.
    """
    with _decoding(where):
        return _rgb(_turned(picture), where)


def _rgb(picture: Image.Image, where: str) -> UInt8Array:
    if picture.mode.startswith("I"):
        values = np.asarray(picture).astype(np.int64)
        if values.size and (values.min() < 0 or values.max() > 65535):
            raise DataError(f"{where} has values outside 16 bits; save it as an 8-bit RGB picture")
        grey = (values // 257).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if picture.mode == "F":
        raise DataError(f"{where} holds floating-point values; save it as an 8-bit RGB picture")
    return np.ascontiguousarray(np.asarray(picture.convert("RGB"), np.uint8))


def read_ids(path: str | Path) -> UInt8Array:
    """An index image (greyscale of 1 to 16 bits, or palette) as it is stored: uint8 [H, W], ids not colours.

    Raises:
        DataError: the file is not an index image (a colour mask needs a colour table instead), has ids above
            255, or is in a lossy format.
    """
    picture, _, raw = _lossless(path)
    if picture.mode == "1":
        return np.array(picture.convert("L"), np.uint8) // 255
    if picture.mode in ("L", "P"):
        ids = np.array(picture, np.uint8)
        # Pillow spreads grey values of 2 and 4 bits over 0–255.
        return ids // {"L;2": 85, "L;4": 17}[raw] if raw in ("L;2", "L;4") else ids
    if picture.mode.startswith("I"):
        values = np.asarray(picture).astype(np.int64)
        if values.size and values.min() >= 0 and values.max() <= 255:
            return values.astype(np.uint8)
        raise DataError(f"{path} has label ids from {int(values.min())} to {int(values.max())}; they must be in 0–255")
    raise DataError(
        f"{path} is a picture in {picture.mode}, not an index image of one channel; "
        "colour masks need a layout with a table of colours"
    )


def read_mask(path: str | Path) -> UInt8Array:
    """A colour mask as RGB uint8 [H, W, 3].

    Raises:
        DataError: as ``read_image``, or the file is in a lossy format.
    """
    decoded = _lossless(path)
    with _decoding(str(path)):
        return _rgb(decoded.picture, str(path))


def _lossless(path: str | Path) -> _Decoded:
    decoded = _decode(path)
    if decoded.format in _LOSSY:
        raise DataError(
            f"{path} is a {decoded.format} file, which is lossy: pixels where two classes meet get the values of "
            "others; save labels as PNG"
        )
    return decoded


def read_size(path: str | Path) -> tuple[int, int]:
    """Width and height from the header alone, without decoding, before any EXIF rotation.

    Raises:
        DataError: no such file, not an image, or a too large one.
    """
    with _opened(path) as picture:
        return picture.size


def is_image(path: str | Path) -> bool:
    """Whether the content of a file begins as an image does; the name does not count."""
    try:
        read_size(path)
    except DataError:
        return False
    return True


def is_animated(path: str | Path) -> bool:
    """Whether a file is a GIF that moves; the name does not count."""
    try:
        with _opened(path) as picture, _decoding(str(path)):
            return picture.format == "GIF" and bool(getattr(picture, "is_animated", False))
    except DataError:
        return False


def write_image(path: str | Path, image: UInt8Array, *, mark: str = "") -> None:
    """Write RGB uint8 [H, W, 3] or ids uint8 [H, W] atomically, in the format of the suffix.

    ``mark`` is for ``read_mark``; formats other than PNG leave it out.
    """
    _save(path, Image.fromarray(image), mark)


def write_indexed(path: str | Path, label: UInt8Array, palette: UInt8Array, *, mark: str = "") -> None:
    """Write ids uint8 [H, W] as a palette PNG: the ids survive and any viewer shows colours.

    Args:
        palette: uint8 [256, 3], such as ``aaff.labels.LabelMap.palette``.
        mark: for ``read_mark``.
    """
    picture = Image.fromarray(label)
    picture.putpalette(palette.tobytes())
    _save(path, picture, mark)


def _save(path: str | Path, picture: Image.Image, mark: str) -> None:
    with replacing(path) as temporary:
        if mark and temporary.suffix.lower() == ".png":
            picture.save(temporary, pnginfo=png_mark(mark))
        else:
            picture.save(temporary)


def png_mark(mark: str) -> PngInfo:
    """The part of a PNG that holds a mark, for ``Image.save(pnginfo=…)``."""
    info = PngInfo()
    info.add_text("Software", mark)
    return info


def read_mark(path: str | Path) -> str | None:
    """The mark that a PNG was written with; None without one, and for anything else."""
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            mark = picture.info.get("Software")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    return mark if isinstance(mark, str) else None
