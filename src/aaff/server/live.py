"""``/v1/live``: a camera or a video over a WebSocket, of which only the newest frame is processed.

The client sends frames as image files (JPEG, WebP, PNG), one per message.  The server processes one frame at a time.
Of the frames that arrive meanwhile it keeps only the newest, so no queue builds up.  Every result is one binary
message: the index of the frame among those sent (4 bytes, little endian), then that of ``aaff.server.forms.pack``.
For an invalid frame, the server sends JSON text (a problem, with ``frame``).  To keep the delay small, a client sends
the next frame when a result arrives, with one or two frames in flight.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from aaff.errors import AaffError, UnknownNameError
from aaff.server.context import Context, Model
from aaff.server.forms import Wanted, encode
from aaff.server.problems import to_problem
from aaff.server.segment import read_frame

SUBPROTOCOL = "aaff.live"
_IDLE = 300.0
"""Seconds without a frame after which a connection is closed; a page reconnects when necessary."""
_SLOW = 10.0
"""Maximum time in seconds for a client to read a result."""
_TRY_LATER, _POLICY, _RESTART = 1013, 1008, 1012


def make_routes(context: Context) -> APIRouter:
    """The WebSocket route for live frames."""
    router = APIRouter()
    clients: set[WebSocket] = set()
    context.metrics.gauge("aaff_live_clients", lambda: len(clients))

    @router.websocket("/v1/live")
    async def live(socket: WebSocket, model: str | None = None) -> None:
        offered = socket.scope.get("subprotocols", ())
        await socket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        if len(clients) >= context.limits.live:
            await socket.close(_TRY_LATER, f"{len(clients)} live streams are already open; try again later")
            return
        clients.add(socket)
        try:
            loaded = await context.models.get(model)
            await _Watch(context, socket, loaded).run()
        except UnknownNameError as error:
            await _close(socket, _POLICY, str(error))
        except AaffError as error:
            await _close(socket, _TRY_LATER, str(error))
        except asyncio.CancelledError:
            await _close(socket, _RESTART, "the server is shutting down")
            raise
        finally:
            clients.discard(socket)

    return router


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # already closed
        await socket.close(code, reason.encode()[:120].decode(errors="ignore"))


class _Watch:
    """One client's connection."""

    def __init__(self, context: Context, socket: WebSocket, model: Model) -> None:
        self._context, self._socket, self._model = context, socket, model
        self._newest: tuple[int, bytes] | None = None
        self._came = asyncio.Event()

    async def run(self) -> None:
        """Serve the client until it disconnects."""
        reading = asyncio.create_task(self._read())
        working = asyncio.create_task(self._work())
        try:
            await asyncio.wait({reading, working}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reading, working):
                task.cancel()
            done = await asyncio.gather(reading, working, return_exceptions=True)
        gone = (asyncio.CancelledError, WebSocketDisconnect, TimeoutError)
        for error in done:
            if isinstance(error, BaseException) and not isinstance(error, gone):
                raise error
        await _close(self._socket, 1000, "")

    async def _read(self) -> None:
        number = 0
        most = self._context.limits.image_mb * 10**6
        while True:
            async with asyncio.timeout(_IDLE):
                message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            data: bytes | None = message.get("bytes")
            if not data or len(data) > most:
                await _close(self._socket, 1009 if data else 1003, "send images within the size limit of the server")
                return
            if self._newest is not None:
                self._context.metrics.count("aaff_live_dropped_total")
            self._newest, number = (number, data), number + 1
            self._came.set()

    async def _work(self) -> None:
        while True:
            await self._came.wait()
            self._came.clear()
            assert self._newest is not None
            (number, data), self._newest = self._newest, None
            began = time.perf_counter()
            try:
                result = await self._segment(data)
            except AaffError as error:
                problem = to_problem(error).model_dump() | {"frame": number}
                await self._send(json.dumps(problem, ensure_ascii=False))
                continue
            self._context.metrics.observe("aaff_live_seconds", time.perf_counter() - began)
            await self._send(number.to_bytes(4, "little") + result)

    async def _segment(self, data: bytes) -> bytes:
        pixels = self._context.limits.pixels
        wanted = Wanted(form="maps")
        _, result = await self._context.predict(
            self._model, lambda: read_frame(data, pixels), lambda prediction: encode(prediction, wanted)
        )
        return result

    async def _send(self, message: bytes | str) -> None:
        async with asyncio.timeout(_SLOW):  # disconnects a client that does not read
            if isinstance(message, bytes):
                await self._socket.send_bytes(message)
            else:
                await self._socket.send_text(message)
