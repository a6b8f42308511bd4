"""Read image files as RGB uint8 arrays, and write arrays as image files.

Images are read with Pillow, which keeps the ids of palette PNGs, detects truncated files and supports every mode that
cameras and image editors write.  Files are written atomically.
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
"""Suffixes of the formats for saving images, lower case; for reading see ``aaff.folders.IMAGE_SUFFIXES``."""

MAX_PIXELS = 178_956_970
"""Default limit on the number of pixels, that of Pillow; a small file can decode to gigabytes."""
MAX_PIXELS_VARIABLE = "AAFF_MAX_PIXELS"
"""Environment variable that overrides the limit; worker processes inherit it."""

# Pillow supports more formats, but some start other programs (EPS and PDF: Ghostscript), whatever the file name.
_FORMATS: tuple[str, ...] = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "DIB", "GIF", "PPM", "JPEG2000", "TGA")
if importlib.util.find_spec("PIL.AvifImagePlugin") is not None:  # since Pillow 11.3
    _FORMATS += ("AVIF",)
_LONG = 16_383
"""Pixels of the longest side beyond which formats begin to fail: WebP; JPEG at 65,500."""
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
"""EXIF orientation → transposition that turns the image upright; 1 and unknown values leave it unchanged."""

# These warnings are either harmless (unused metadata) or replaced by an error of our own (the size).
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings(
    "ignore", message="(Corrupt EXIF|Possibly corrupt EXIF|Metadata Warning|Truncated File Read|Tag data larger)"
)


class _Decoded(NamedTuple):
    """A decoded image, turned upright.

    Attributes:
        picture: the pixels.
        format: Pillow's name of the file format.
        raw: Pillow's name of the pixel type in the file, such as ``"L;4"``; empty if unknown.
    """

    picture: Image.Image
    format: str
    raw: str


def pixel_limit() -> int:
    """Largest number of pixels of an image: ``MAX_PIXELS``, or the environment variable ``AAFF_MAX_PIXELS``.

    Raises:
        OptionError: the variable is not a positive whole number.
    """
    text = os.environ.get(MAX_PIXELS_VARIABLE, "")
    if not text:
        return MAX_PIXELS
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and int(text) > 0):
        raise OptionError(f"{MAX_PIXELS_VARIABLE} is {text[:40]!r}; it must be a number of pixels, such as 500000000")
    return int(text)


@contextlib.contextmanager
def allowing_pixels(most: int | None) -> Iterator[None]:
    """Set ``pixel_limit`` during a block, also for processes started in it; None changes nothing."""
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
    """Check that an image has at most ``limit`` pixels (default: ``pixel_limit``).

    Raises:
        TooLargeError: it has more; the message names ``where`` and says how to allow it.
    """
    if limit is not None and width * height > limit:
        raise TooLargeError(
            f"{where} has {width * height:,} pixels; at most {limit:,} are accepted here, so make it smaller"
        )
    if width * height > pixel_limit():
        raise TooLargeError(
            f"{where} has {width * height:,} pixels, more than the limit of {pixel_limit():,}; if you trust the file, "
            f"set the environment variable {MAX_PIXELS_VARIABLE}={width * height} (aaff predict: --max-pixels)"
        )


@contextlib.contextmanager
def _decoding(where: str) -> Iterator[None]:
    """Turn errors of an image decoder into a DataError with a readable message."""
    named = where if where.startswith("the image") else f"the image {where}"
    try:
        yield
    except (AaffError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"{where} is not an image (or not in a format that aaff reads)") from error
    except OSError as error:
        hint = "" if error.errno else "; is the file complete?"
        raise DataError(f"cannot read {named}: {brief(error.strerror or error)}{hint}") from error
    except Exception as error:  # on a damaged file, Pillow's decoders raise errors of many types
        raise DataError(f"cannot read {named}: {brief(error)}; is the file complete?") from error


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[Image.Image]:
    """Open an image, reading only its header.

    Raises:
        DataError: there is no such file, it is not an image, or it is too large.
    """
    where = str(path)
    if not os.path.isfile(path):
        raise DataError(f"there is no image file {where}")
    if Image.MAX_IMAGE_PIXELS is not None and pixel_limit() > 2 * Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = pixel_limit()  # the user set a limit, and Pillow has one per process
    # A file object, not a name: Pillow would memory-map a named file, and then decodes TIFFs that are rotated by 90°
    # with the wrong width (13.0), and crashes if the file is truncated meanwhile.
    with _decoding(where), open(path, "rb") as file, _header(file, where) as picture:
        yield picture


def _header(file: BinaryIO, where: str, limit: int | None = None) -> Image.Image:
    """Open an image, reading only its header, and check its number of pixels."""
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
    """Decode the bytes of an image file to RGB uint8 [H, W, 3], as ``read_image`` does.

    Args:
        data: the bytes of the file.
        where: name of the image in error messages.
        max_pixels: limit on the number of pixels, checked before decoding; default: ``pixel_limit``.

    Raises:
        DataError: it is not an image, is truncated or too large.
    """
    with _decoding(where), _header(io.BytesIO(data), where, max_pixels) as picture:
        return _rgb(_turned(picture), where)


def _decode(path: str | Path) -> _Decoded:
    with _opened(path) as picture:
        # The raw type is listed in the tiles, which are gone after loading.
        tiles = getattr(picture, "tile", None)
        args = tiles[0][3] if tiles else ""
        raw = args if isinstance(args, str) else next((a for a in args or () if isinstance(a, str)), "")
        return _Decoded(_turned(picture), picture.format or "", raw)


def _orientation(picture: Image.Image) -> int:
    """The EXIF orientation; only this tag is read, since others may be of any type and could fail when rewritten."""
    try:
        value = picture.getexif().get(_ORIENTATION)
    except Exception:  # damaged metadata; only the pixels matter
        return 1
    return value if isinstance(value, int) else 1


def _turned(picture: Image.Image) -> Image.Image:
    picture.load()  # Pillow rotates a TIFF while decoding it, and then drops its orientation tag
    method = _UPRIGHT.get(_orientation(picture))
    return picture if method is None else picture.transpose(method)


def read_image(path: str | Path) -> UInt8Array:
    """Read an image file as RGB uint8 [H, W, 3].

    Greyscale, palette, RGBA and CMYK images are converted, 16-bit images are scaled to 8 bits, and the EXIF orientation
    is applied.  Transparent pixels keep their colour.

    Raises:
        DataError: there is no such file, it is not an image, is truncated or too large, or has floating-point values.
    """
    decoded = _decode(path)
    with _decoding(str(path)):
        return _rgb(decoded.picture, str(path))


def to_rgb(picture: Image.Image, where: str = "the picture") -> UInt8Array:
    """Convert a Pillow image of any mode to RGB uint8 [H, W, 3], as ``read_image`` does.

    Args:
        picture: the image.
        where: name of the image in error messages.

    Raises:
        DataError: it cannot be decoded, or has floating-point values or integers outside 16 bits.
    """
    with _decoding(where):
        return _rgb(_turned(picture), where)


def _rgb(picture: Image.Image, where: str) -> UInt8Array:
    if picture.mode.startswith("I"):
        values = np.asarray(picture).astype(np.int64)
        if values.size and (values.min() < 0 or values.max() > 65535):
            raise DataError(f"{where} has values outside 16 bits; save it as an 8-bit RGB image")
        grey = (values // 257).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if picture.mode == "F":
        raise DataError(f"{where} holds floating-point values; save it as an 8-bit RGB image")
    return np.ascontiguousarray(np.asarray(picture.convert("RGB"), np.uint8))


def read_ids(path: str | Path) -> UInt8Array:
    """Read an index image (greyscale of 1 to 16 bits, or palette) as uint8 [H, W]: the stored ids, not colours.

    Raises:
        DataError: the file is not an index image (a colour mask needs a colour table), has ids above 255, or is in a
            lossy format.
    """
    picture, _, raw = _lossless(path)
    if picture.mode == "1":
        return np.array(picture.convert("L"), np.uint8) // 255
    if picture.mode in ("L", "P"):
        ids = np.array(picture, np.uint8)
        # Pillow scales 2-bit and 4-bit grey values to 0–255.
        return ids // {"L;2": 85, "L;4": 17}[raw] if raw in ("L;2", "L;4") else ids
    if picture.mode.startswith("I"):
        values = np.asarray(picture).astype(np.int64)
        if values.size and values.min() >= 0 and values.max() <= 255:
            return values.astype(np.uint8)
        raise DataError(f"{path} has label ids from {int(values.min())} to {int(values.max())}; they must be in 0–255")
    raise DataError(
        f"{path} is an image of mode {picture.mode}, not an index image with one channel; "
        "colour masks need a layout with a table of colours"
    )


def read_mask(path: str | Path) -> UInt8Array:
    """Read a colour mask as RGB uint8 [H, W, 3].

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
            f"{path} is a {decoded.format} file, which is lossy: pixels at class borders get values of other classes; "
            "save labels as PNG"
        )
    return decoded


def read_size(path: str | Path) -> tuple[int, int]:
    """Width and height from the header, without decoding and without applying the EXIF orientation.

    Raises:
        DataError: there is no such file, it is not an image, or it is too large.
    """
    with _opened(path) as picture:
        return picture.size


def is_image(path: str | Path) -> bool:
    """Whether a file is an image, judged by its first bytes and not by its name."""
    try:
        read_size(path)
    except DataError:
        return False
    return True


def is_animated(path: str | Path) -> bool:
    """Whether a file is an animated GIF, judged by its content and not by its name."""
    try:
        with _opened(path) as picture, _decoding(str(path)):
            return picture.format == "GIF" and bool(getattr(picture, "is_animated", False))
    except DataError:
        return False


def write_image(path: str | Path, image: UInt8Array, *, mark: str = "") -> None:
    """Write RGB uint8 [H, W, 3] or ids uint8 [H, W] atomically, in the format of the suffix.

    ``mark`` is a text for ``read_mark``, stored in PNG files only.
    """
    _save(path, Image.fromarray(image), mark)


def write_indexed(path: str | Path, label: UInt8Array, palette: UInt8Array, *, mark: str = "") -> None:
    """Write ids as a palette PNG, which keeps the ids and looks coloured in any viewer.

    Args:
        path: the file to write.
        label: ids, uint8 [H, W].
        palette: RGB colours, uint8 [256, 3], such as ``aaff.labels.LabelMap.palette``.
        mark: a text for ``read_mark``.
    """
    picture = Image.fromarray(label)
    picture.putpalette(palette.tobytes())
    _save(path, picture, mark)


def _save(path: str | Path, picture: Image.Image, mark: str) -> None:
    with replacing(path) as temporary:
        if mark and temporary.suffix.lower() == ".png":
            picture.save(temporary, pnginfo=png_mark(mark))
            return
        try:
            picture.save(temporary)
        except (ValueError, OSError) as error:
            if getattr(error, "errno", None) is not None or max(picture.size) <= _LONG:
                raise  # for another reason, such as a full disk
            size = "x".join(map(str, picture.size))
            raise OptionError(f"cannot write {path}: {size} is too large for this format; use .png") from error


def png_mark(mark: str) -> PngInfo:
    """The PNG text chunk with a mark, for ``Image.save(pnginfo=…)``."""
    info = PngInfo()
    info.add_text("Software", mark)
    return info


def read_mark(path: str | Path) -> str | None:
    """The mark of a PNG file; None if it has none or the file is not a PNG."""
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            mark = picture.info.get("Software")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    return mark if isinstance(mark, str) else None
