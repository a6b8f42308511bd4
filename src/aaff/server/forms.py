"""The forms of a prediction that clients can request with ``Accept`` and ``form``."""

from __future__ import annotations

import io
import json
import zlib
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from PIL import Image

from aaff.labels import UInt8Array
from aaff.preprocess import Size, resize_label
from aaff.runtime import Prediction
from aaff.server.problems import Refusal

Form = Literal["json", "index", "map", "overlay", "side", "maps"]
"""Summary; palette PNG of the class ids; class colours; overlay on the image; image and class colours side by side;
class ids and confidence for clients that render themselves (``pack``)."""

JSON, PNG, JPEG, WEBP, MAPS = "application/json", "image/png", "image/jpeg", "image/webp", "application/vnd.aaff.maps"

TYPES: dict[Form, tuple[str, ...]] = {
    "json": (JSON,),
    "index": (PNG,),
    "map": (PNG,),
    "overlay": (PNG, JPEG, WEBP),
    "side": (PNG, JPEG, WEBP),
    "maps": (MAPS,),
}
"""Form → its media types, the default first.  JPEG is only for overlays, since it would destroy class ids."""

_FORM_OF: dict[str, Form] = {JSON: "json", PNG: "index", JPEG: "overlay", WEBP: "overlay", MAPS: "maps"}
"""Media type → the form it means if none is named."""


@dataclass(frozen=True)
class Wanted:
    """The form of a prediction that a client requested.

    Attributes:
        form: see ``Form``.
        media_type: one of its ``TYPES``.
        alpha, legend, classes, conf: options of an overlay, see ``aaff.Prediction.overlay``.
        confidence: include the confidence of every pixel in ``maps``.
    """

    form: Form = "json"
    media_type: str = JSON
    alpha: float = 0.5
    legend: bool = True
    classes: tuple[str, ...] = ()
    conf: float = 0.0
    confidence: bool = False


def choose(accept: str, form: Form | None) -> tuple[Form, str]:
    """Choose form and media type of a response.

    Args:
        accept: the ``Accept`` header; empty: anything.
        form: the requested form, if any.

    Raises:
        Refusal: no acceptable media type is available (406).

    >>> choose("image/png", None), choose("*/*", None), choose("image/webp, image/jpeg;q=0.5", "overlay")
    (('index', 'image/png'), ('json', 'application/json'), ('overlay', 'image/webp'))
    """
    offers = [JSON, PNG, JPEG, WEBP, MAPS] if form is None else list(TYPES[form])
    best, most = "", 0.0
    for offer in offers:
        quality = _quality(accept or "*/*", offer)
        if quality > most:
            best, most = offer, quality
    if not best:
        raise Refusal(406, f"{form or 'a prediction'} is available as {' or '.join(offers)}; accept one of them")
    return form or _FORM_OF[best], best


def encode(prediction: Prediction, wanted: Wanted) -> bytes:
    """The body of a response.

    Raises:
        AaffError: there is no such class, or the model does not output the confidence.
    """
    if wanted.form == "json":
        return prediction.to_json(indent=None).encode()
    if wanted.form == "maps":
        return pack(prediction, confidence=wanted.confidence)
    if wanted.form == "index":
        return _palette_png(prediction)
    if wanted.form == "map":
        return _picture(prediction.color_map(), PNG)
    if wanted.form == "side":
        return _picture(prediction.side_by_side(wanted.legend), wanted.media_type)
    painted = prediction.overlay(wanted.alpha, wanted.legend, classes=wanted.classes, conf=wanted.conf)
    return _picture(painted, wanted.media_type)


def pack(prediction: Prediction, *, confidence: bool = False) -> bytes:
    """Summary, class map and confidence in one compact message that a browser decodes quickly.

    Returns:
        Length of the summary (4 bytes, little endian), the summary (JSON, with ``map`` = ``{"width", "height",
        "planes"}``), and the concatenated planes, uint8 [height, width], compressed by zlib.  They have the size of the
        network's map if the frame is larger.
    """
    small = prediction.class_map if prediction.network_map is None else prediction.network_map
    planes = {"class_map": small}
    if confidence and prediction.confidence is not None:
        planes["confidence"] = resize_label(prediction.confidence, Size.of(small))
    summary = prediction.to_dict() | {
        "map": {"width": small.shape[1], "height": small.shape[0], "planes": list(planes)},
    }
    head = json.dumps(summary, ensure_ascii=False, allow_nan=False).encode()
    body = zlib.compress(b"".join(np.ascontiguousarray(plane).tobytes() for plane in planes.values()), 1)
    return len(head).to_bytes(4, "little") + head + body


def _palette_png(prediction: Prediction) -> bytes:
    picture = Image.fromarray(prediction.class_map)
    picture.putpalette(prediction.labels.palette.tobytes())
    data = io.BytesIO()
    picture.save(data, "png")
    return data.getvalue()


_CODING = {
    PNG: [cv2.IMWRITE_PNG_COMPRESSION, 3],
    JPEG: [cv2.IMWRITE_JPEG_QUALITY, 90],
    WEBP: [cv2.IMWRITE_WEBP_QUALITY, 90],
}


_LONGEST = {JPEG: 65_500, WEBP: 16_383}
"""Pixels of the longest side that an encoder accepts."""


def _picture(picture: UInt8Array, media_type: str) -> bytes:
    suffix = f".{media_type.rpartition('/')[2]}"
    longest = _LONGEST.get(media_type)
    if longest is not None and max(picture.shape) > longest:
        raise Refusal(406, f"{media_type} cannot hold pictures longer than {longest:,} pixels; accept {PNG}")
    _, data = cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), _CODING[media_type])
    return bytes(data.tobytes())


def _quality(accept: str, offer: str) -> float:
    """Quality value of a media type, 0 to 1, from the most specific range that includes it."""
    kind = offer.partition("/")[0]
    found: dict[int, float] = {}
    for part in accept.lower().split(",")[:50]:
        name, *parameters = (word.strip() for word in part.split(";"))
        level = {offer: 2, f"{kind}/*": 1, "*/*": 0}.get(name)
        if level is not None:
            found[level] = next((_number(p[2:]) for p in parameters if p.startswith("q=")), 1.0)
    return found[max(found)] if found else 0.0


def _number(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0
