"""Connections that never become a request: uvicorn keeps them, and counts them, for as long as the client likes."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

_WAIT = 15.0
"""Seconds in which a connection must bring a whole head of a request, or it is closed."""
_LARGEST_HEAD = 64 * 1024
"""Bytes that come before the body of a request."""


class HttpProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """Uvicorn's protocol, with limits of time and size for what comes before a body."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to watch."""
        super().connection_made(transport)
        self._head = 0
        self._latest: tuple[bool, Any] = True, None
        self._timer = self.loop.call_later(_WAIT, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left, or was sent away."""
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Close the connection when the head is too large; the body has limits of its own."""
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
        if self.transport.get_protocol() is not self:  # it is a WebSocket now
            return
        now = self.cycle is None or self.cycle.response_complete, self.cycle
        if now[0] and now == self._latest:
            self.transport.close()
            return
        self._latest = now
        self._timer = self.loop.call_later(_WAIT, self._check)
