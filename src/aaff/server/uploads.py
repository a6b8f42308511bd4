"""Read request bodies with size and time limits, as a raw file or as the file of a form."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from aaff.server.problems import Refusal

T = TypeVar("T")

_MB = 10**6
_BLOCK = 1 << 20


async def read_upload(request: Request, *, megabytes: int, seconds: float) -> bytes:
    """Read the file of a request: its body, or the only file of a ``multipart/form-data`` body.

    Raises:
        Refusal: it is too large (413), arrives too slowly (408), or is missing (400).
    """
    body = bytearray()
    async for chunk in _received(request, megabytes, seconds, seconds):
        body += chunk
    if _is_form(request):
        file = await _file_of_form(request, _once(bytes(body)))
        return await file.read()
    if not body:
        raise Refusal(400, "the body is empty; send the file as the body, or as the file of a form")
    return bytes(body)


async def save_upload(request: Request, path: Path, *, megabytes: int, seconds: float) -> None:
    """Write the file of a request to a path chosen by the server, block by block.

    Raises:
        Refusal: as ``read_upload``.
    """
    chunks = _received(request, megabytes, seconds, 10 * seconds)
    with open(path, "wb") as target:
        if _is_form(request):
            file = await _file_of_form(request, chunks)
            while block := await file.read(_BLOCK):
                await asyncio.to_thread(target.write, block)
            await file.close()
        else:
            async for chunk in chunks:
                await asyncio.to_thread(target.write, chunk)
        if not target.tell():
            raise Refusal(400, "the body is empty; send the video as the body, or as the file of a form")


async def unless_gone(request: Request, work: Coroutine[Any, Any, T], seconds: float) -> T:
    """Wait for some work, which is cancelled if its client disconnects or it takes too long.

    Raises:
        Refusal: it takes too long (503), or the client has disconnected (408).
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({task, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if gone.done():
            raise Refusal(408, "the client has left")
        raise Refusal(503, f"this took longer than {seconds:g} seconds; try again, or send less", retry=5)
    finally:
        task.cancel()
        gone.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _received(request: Request, megabytes: int, pause: float, seconds: float) -> AsyncIterator[bytes]:
    """The body in chunks: at most ``pause`` seconds between two of them, and ``seconds`` in total."""
    most = megabytes * _MB
    too_large = Refusal(413, f"the body is larger than {megabytes} MB; make the file smaller")
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length[:20]) > most:
        raise too_large
    chunks, received = request.stream(), 0
    loop = asyncio.get_running_loop()
    latest = loop.time() + seconds
    while True:
        try:
            async with asyncio.timeout_at(min(loop.time() + pause, latest)):
                chunk = await anext(chunks, None)
        except TimeoutError:
            raise Refusal(408, "the body arrived too slowly") from None
        except ClientDisconnect:
            raise Refusal(408, "the client has left") from None
        if chunk is None:
            return
        received += len(chunk)
        if received > most:
            raise too_large
        yield chunk


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


async def _file_of_form(request: Request, chunks: AsyncIterator[bytes]) -> UploadFile:
    """The first file of a form.  The client's file name is never used."""
    try:
        form = await MultiPartParser(request.headers, chunks, max_files=1, max_fields=10).parse()  # type: ignore[arg-type]
    except (MultiPartException, HTTPException, KeyError, ValueError, AssertionError) as error:
        raise Refusal(400, "the form cannot be read; send one file as multipart/form-data") from error
    for value in form.values():
        if isinstance(value, UploadFile):
            return value
    raise Refusal(400, "the form has no file; send one as multipart/form-data")


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
