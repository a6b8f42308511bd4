"""``/v2``: the Open Inference Protocol (KServe v2, Triton), for clients that exchange tensors.

The input is ``frames`` uint8 [N, H, W, 3] RGB of any size; the outputs are ``class_map`` and, if the model has it,
``confidence``, both uint8 [N, H, W].  Data are JSON numbers, or raw bytes after the JSON (binary data extension, header
``Inference-Header-Content-Length``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from aaff import __version__
from aaff.errors import shown
from aaff.labels import UInt8Array
from aaff.runtime import Prediction
from aaff.server.context import Context
from aaff.server.problems import RESPONSES, Refusal
from aaff.server.uploads import read_upload, unless_gone

_LENGTH = "inference-header-content-length"
_BODY = {
    "required": True,
    "content": {"application/json": {"schema": {"type": "object"}}, "application/octet-stream": {}},
}


@dataclass(frozen=True)
class _Asked:
    """A request: frames uint8 [N, H, W, 3], its id, the outputs (empty: all), and whether they are raw bytes."""

    frames: UInt8Array
    id: str | None
    outputs: tuple[str, ...]
    binary: bool


def make_routes(context: Context) -> APIRouter:
    """The routes of the protocol."""
    router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"], responses=RESPONSES)
    limits = context.limits

    @router.get("")
    async def server() -> dict[str, Any]:
        """Name, version and extensions of the server."""
        return {"name": "aaff", "version": __version__, "extensions": ["binary_tensor_data"]}

    @router.get("/health/live")
    async def live() -> dict[str, bool]:
        """Whether the server is running."""
        return {"live": True}

    @router.get("/health/ready")
    async def ready() -> dict[str, bool]:
        """Whether the first model is loaded."""
        if context.models.default not in context.models.loaded:
            raise Refusal(503, "the model is still loading", retry=2)
        return {"ready": True}

    @router.get("/models/{name}")
    async def model(name: str) -> dict[str, Any]:
        """Inputs and outputs of a model."""
        loaded = await context.models.get(name)
        parts = ("class_map", "confidence") if loaded.segmenter.engine.confidence else ("class_map",)
        maps = [{"name": part, "datatype": "UINT8", "shape": [-1, -1, -1]} for part in parts]
        return {
            "name": name,
            "versions": ["1"],
            "platform": f"aaff_{loaded.segmenter.engine.name}",
            "inputs": [{"name": "frames", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}],
            "outputs": maps,
        }

    @router.get("/models/{name}/ready")
    async def model_ready(name: str) -> dict[str, Any]:
        """Whether a model is loaded; this request loads it."""
        await context.models.get(name)
        return {"name": name, "ready": True}

    @router.post("/models/{name}/infer", openapi_extra={"requestBody": _BODY}, response_class=Response)
    async def infer(request: Request, name: str) -> Response:
        """Class maps of a tensor of frames."""
        with context.admit():
            loaded = await context.models.get(name)
            data = await read_upload(request, megabytes=limits.image_mb, seconds=limits.seconds)
            length = request.headers.get(_LENGTH)
            asked = await context.in_thread(_read, data, length, limits.pixels)

            async def work() -> list[Prediction]:
                return [await loaded.batcher(frame) for frame in asked.frames]

            predictions = await unless_gone(request, work(), limits.seconds)
            return await context.in_thread(_write, name, asked, predictions)

    return router


def _read(data: bytes, length: str | None, pixels: int) -> _Asked:
    """Parse the body of a request.

    Raises:
        Refusal: it is not a valid request (400), or has too many pixels (413).
    """
    try:
        end = len(data) if length is None else int(length[:12])
        head: Any = json.loads(data[:end])
        [tensor] = head["inputs"]
        shape = [int(side) for side in tensor["shape"]]
        kind, given = tensor["datatype"], (tensor["name"], len(shape), shape[-1])
        parameters = head.get("parameters", {})
        binary = bool(parameters.get("binary_data_output", False))
        name = head.get("id")
        outputs = tuple(str(output["name"]) for output in head.get("outputs", ()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError, IndexError) as error:
        raise Refusal(400, "the body is not an inference request with one input") from error
    if kind != "UINT8" or given != ("frames", 4, 3) or min(shape) < 1:
        said = f"{shown(given[0])} {shown(kind)} {shown(shape)}"
        raise Refusal(400, f"the input must be frames, UINT8 [N, H, W, 3], not {said}")
    count = shape[0] * shape[1] * shape[2]
    if count > pixels:
        raise Refusal(413, f"the frames have {count:,} pixels; at most {pixels:,} are accepted")
    try:
        raw = data[end:] if end < len(data) else np.asarray(tensor["data"])
        values = np.frombuffer(raw, np.uint8) if isinstance(raw, bytes) else raw
        if values.dtype.kind not in "iu":
            raise ValueError
        if values.size != 3 * count or values.min() < 0 or values.max() > 255:
            raise Refusal(400, f"the data are not {3 * count} values in 0–255")
        frames = np.ascontiguousarray(values.reshape(shape), np.uint8)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise Refusal(400, "the data of the input are not a regular array of integers") from error
    return _Asked(frames, name if isinstance(name, str) and len(name) <= 200 else None, outputs, binary)


def _write(model: str, asked: _Asked, predictions: list[Prediction]) -> Response:
    maps = {"class_map": np.stack([prediction.class_map for prediction in predictions])}
    certain = [prediction.confidence for prediction in predictions if prediction.confidence is not None]
    if len(certain) == len(predictions):
        maps["confidence"] = np.stack(certain)
    if unknown := [name for name in asked.outputs if name not in maps]:
        raise Refusal(400, f"the model has no output {shown(unknown[0])}; it has {' and '.join(maps)}")
    maps = {name: maps[name] for name in asked.outputs or maps}
    outputs: list[dict[str, Any]] = []
    for name, array in maps.items():
        entry: dict[str, Any] = {"name": name, "datatype": "UINT8", "shape": list(array.shape)}
        extra = {"parameters": {"binary_data_size": array.nbytes}} if asked.binary else {"data": array.ravel().tolist()}
        outputs.append(entry | extra)
    head: dict[str, Any] = {"model_name": model, "model_version": "1", "outputs": outputs}
    if asked.id is not None:
        head["id"] = asked.id
    text = json.dumps(head).encode()
    if not asked.binary:
        return Response(text, media_type="application/json")
    body = b"".join([text, *(array.tobytes() for array in maps.values())])
    return Response(body, media_type="application/octet-stream", headers={_LENGTH: str(len(text))})
