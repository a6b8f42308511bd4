"""Image files in and out: the edge where pictures become RGB uint8 arrays.

Reading goes through Pillow (it keeps the ids of palette PNGs, says when a file is truncated and
knows every mode a camera or a drawing program writes); arrays go out as PNG or JPEG, atomically.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from aaff.errors import DataError
from aaff.files import replacing
from aaff.labels import UInt8Array

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm")
"""What counts as an image when a folder is searched, lower case."""


def _open(path: str | Path) -> Image.Image:
    """The decoded picture.

    Raises:
        DataError: there is no such file, it is no image, or it is cut off.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"there is no image file {path}")
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture
    except UnidentifiedImageError as error:
        raise DataError(f"{path} is not an image (its content is of no known image format)") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot read the image {path}: {error}; is the file complete?") from error


def read_image(path: str | Path) -> UInt8Array:
    """A picture as RGB uint8 [H, W, 3].

    Greyscale, palette, RGBA and CMYK pictures are converted, 16-bit ones scaled to 8 bits, and a
    photograph is turned upright as its EXIF tag says.  Transparent pixels keep their colour.

    Raises:
        DataError: no such file, no image, a truncated one, or one of floating-point values.
    """
    return to_rgb(_open(path), str(path))


def to_rgb(picture: Image.Image, where: str = "the picture") -> UInt8Array:
    """A Pillow picture of any mode as RGB uint8 [H, W, 3], as :func:`read_image` says.

    Args:
        where: names the picture in an error message.

    Raises:
        DataError: it holds floating-point values, or whole numbers outside 16 bits.
    """
    picture = ImageOps.exif_transpose(picture) or picture
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
    """An index image (8-bit greyscale or palette) as it is: uint8 [H, W], ids not colours.

    Raises:
        DataError: the file is no index image; a colour mask needs a colour table instead.
    """
    picture = _open(path)
    if picture.mode in ("L", "P"):
        return np.array(picture, np.uint8)
    if picture.mode in ("1",):
        return np.array(picture.convert("L"), np.uint8) // 255
    if picture.mode.startswith("I"):
        values = np.asarray(picture).astype(np.int64)
        if values.size and values.min() >= 0 and values.max() <= 255:
            return values.astype(np.uint8)
        raise DataError(f"{path} has label ids up to {int(values.max())}; ids go from 0 to 255")
    raise DataError(
        f"{path} is a picture in {picture.mode}, not an index image of one channel; "
        "colour masks need a layout with a table of colours"
    )


def read_size(path: str | Path) -> tuple[int, int]:
    """Width and height from the header alone, without decoding, before any EXIF rotation.

    Raises:
        DataError: no such file or no image.
    """
    try:
        with Image.open(path) as picture:
            return picture.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot read the image {path}: {error}") from error


def write_image(path: str | Path, image: UInt8Array) -> None:
    """Write RGB uint8 [H, W, 3] or ids uint8 [H, W] atomically, in the format of the suffix."""
    with replacing(path) as temporary:
        Image.fromarray(image).save(temporary)


def write_indexed(path: str | Path, label: UInt8Array, palette: UInt8Array) -> None:
    """Write ids uint8 [H, W] as a palette PNG: the ids survive and any viewer shows colours.

    Args:
        palette: uint8 [256, 3], such as :attr:`aaff.labels.LabelMap.palette`.
    """
    picture = Image.fromarray(label)
    picture.putpalette(palette.tobytes())
    with replacing(path) as temporary:
        picture.save(temporary)
