"""Close connections that never send a complete request, which uvicorn would keep open indefinitely."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

_WAIT = 15.0
"""Seconds within which a connection must send complete request headers, or it is closed."""
_LARGEST_HEAD = 64 * 1024
"""Maximum size in bytes of request line and headers."""


class HttpProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """Uvicorn's HTTP protocol with a time and size limit on request headers."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Start the timer."""
        super().connection_made(transport)
        self._head = 0
        self._latest: tuple[bool, Any] = True, None
        self._timer = self.loop.call_later(_WAIT, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Close the connection if the headers are too large; the body has its own limits."""
        request = self.cycle
        of_body = request is not None and request.more_body
        super().data_received(data)
        if of_body or self.cycle is not request:
            self._head = 0
            return
        self._head += len(data)
        if self._head > _LARGEST_HEAD:
            self.transport.close()

    def _check(self) -> None:
        if self.transport.get_protocol() is not self:  # the connection became a WebSocket
            return
        now = self.cycle is None or self.cycle.response_complete, self.cycle
        if now[0] and now == self._latest:
            self.transport.close()
            return
        self._latest = now
        self._timer = self.loop.call_later(_WAIT, self._check)
