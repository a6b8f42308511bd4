"""``POST /v1/segment``: segment one image, and return the prediction in the form that the client accepts."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from aaff.errors import TooLargeError
from aaff.images import decode_image
from aaff.labels import UInt8Array
from aaff.server.context import Context
from aaff.server.forms import MAPS, TYPES, Form, Wanted, choose, encode
from aaff.server.problems import RESPONSES, Refusal
from aaff.server.uploads import read_upload, unless_gone

_FILE: dict[str, Any] = {"type": "string", "format": "binary"}
_BODY = {
    "required": True,
    "description": "the image (PNG, JPEG, WebP, TIFF, …) as the body, or as the file of a form",
    "content": {
        "image/*": {"schema": _FILE},
        "application/octet-stream": {"schema": _FILE},
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {"file": _FILE}, "required": ["file"]},
        },
    },
}
_GIVEN: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The prediction",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            **{kind: {"schema": _FILE} for kind in (*TYPES["overlay"], MAPS)},
        },
    }
}


def make_routes(context: Context) -> APIRouter:
    """The route that segments one image."""
    router = APIRouter(tags=["images"], responses=RESPONSES)
    limits = context.limits

    @router.post("/v1/segment", responses=_GIVEN, openapi_extra={"requestBody": _BODY}, response_class=Response)
    async def segment(
        request: Request,
        model: Annotated[str | None, Query(max_length=200, description="default: the first of /v1/models")] = None,
        form: Annotated[Form | None, Query(description="default: by Accept; JSON for anything")] = None,
        alpha: Annotated[float, Query(ge=0, le=1, description="opacity of the colours in an overlay")] = 0.5,
        legend: Annotated[bool, Query(description="draw a legend in an overlay")] = True,
        classes: Annotated[list[str], Query(max_length=255, description="colour only these in an overlay")] = [],  # noqa: B006
        conf: Annotated[float, Query(ge=0, le=1, description="minimum confidence to colour in an overlay")] = 0.0,
        confidence: Annotated[bool, Query(description="add the confidence to form=maps")] = False,
    ) -> Response:
        """Predict the class of every pixel of an image.

        `Accept` selects the form: `application/json` (class shares, confidence and speed), `image/png` (palette PNG of
        the class ids, or with `form` the class colours or the overlay), `image/jpeg` or `image/webp` (the overlay).
        """
        chosen, media_type = choose(request.headers.get("accept", ""), form)
        wanted = Wanted(chosen, media_type, alpha, legend, tuple(classes), conf, confidence)
        with context.admit():
            loaded = await context.models.get(model)
            data = await read_upload(request, megabytes=limits.image_mb, seconds=limits.seconds)
            work = context.predict(
                loaded, lambda: read_frame(data, limits.pixels), lambda prediction: encode(prediction, wanted)
            )
            prediction, body = await unless_gone(request, work, limits.seconds)
        timing = ", ".join(f"{step};dur={milliseconds:.2f}" for step, milliseconds in prediction.speed.items())
        return Response(body, media_type=media_type, headers={"Server-Timing": timing, "Vary": "Accept"})

    return router


def read_frame(data: bytes, pixels: int) -> UInt8Array:
    """Decode an uploaded image to RGB uint8 [H, W, 3]; its size is checked before decoding.

    Raises:
        Refusal: it has too many pixels (413).
        DataError: it is not an image, or damaged.
    """
    try:
        return decode_image(data, max_pixels=pixels)
    except TooLargeError as error:
        raise Refusal(413, str(error).partition("; if you trust")[0]) from error
