"""Access checks and security headers for every request.

A local server can be reached by every web page that its user opens.  Two checks keep other sites out: the Host must be
a name of this server (against DNS rebinding), and the Origin, which browsers send with every request of a page that
changes something or opens a WebSocket, must be the server itself.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import socket
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aaff.server.metrics import Metrics
from aaff.server.problems import Refusal, to_response
from aaff.server.settings import Settings, as_address, is_loopback

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), display-capture=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

OPEN = ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/")
"""Paths that need no token, since they reveal nothing and cost nothing, like everything below ``/page/``."""

_HOST = re.compile(r"[\w.-]+(:\d+)?|\[[0-9a-fA-F:.]+\](:\d+)?", re.ASCII)
"""A host name or IP address with an optional port; ``urlsplit`` alone accepts much more."""

BEARER = "bearer."
"""Prefix of the subprotocol with the token in base64url, since browsers cannot send headers with a WebSocket."""


class Guard:
    """ASGI middleware around the whole application.

    Args:
        app: the guarded application.
        settings: allowed host names, origins and token.
        metrics: counts requests by status.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        self._names = {name.lower() for name in (*settings.hosts, settings.host, socket.gethostname())}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reject the request or pass it on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            try:
                self._check(scope)
            except Refusal as refusal:
                if scope["type"] == "websocket":
                    await receive()
                    await send({"type": "websocket.close", "code": 1008, "reason": str(refusal)[:120]})
                else:
                    await to_response(refusal)(scope, receive, with_headers)
                return
            await self._app(scope, receive, with_headers)
        finally:
            if scope["type"] == "http":
                route = getattr(scope.get("route"), "path", "other")  # never the URL, since anyone can invent URLs
                self._metrics.count("aaff_requests_total", route=route, method=_method(scope), status=str(status))
                self._metrics.observe("aaff_request_seconds", time.perf_counter() - started, route=route)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        host = hosts[0] if len(hosts) == 1 else ""
        if not self._is_ours(host):
            raise Refusal(
                403, "this server is not known under that name; start it with --allow-host NAME to allow the name"
            )
        origin = headers.get("origin")
        own = (f"http://{host}", f"https://{host}")  # a proxy may add TLS
        if origin is not None and origin not in (*own, *self._settings.origins):
            raise Refusal(403, "a page of another site may not use this server; allow it with --allow-origin ORIGIN")
        if self._settings.token and not self._is_open(scope) and not self._has_token(scope, headers):
            raise Refusal(401, "this server needs a token; send it as Authorization: Bearer TOKEN")

    def _is_ours(self, host: str) -> bool:
        """Whether a Host header names this server.  IP addresses are accepted, since only names can be rebound."""
        if not _HOST.fullmatch(host):
            return False
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self._names or name == "localhost":
            return True
        return is_loopback(name) if self._settings.is_local else as_address(name) is not None

    def _is_open(self, scope: Scope) -> bool:
        path: str = scope["path"]
        return scope["type"] == "http" and (path in OPEN or path.startswith("/page/"))

    def _has_token(self, scope: Scope, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        candidates = [given] if scheme.lower() == "bearer" else []
        candidates += _tokens(scope.get("subprotocols", ()))
        wanted = self._settings.token.encode()
        return any(hmac.compare_digest(candidate.encode(), wanted) for candidate in candidates)


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS") else "other"


def _tokens(subprotocols: Iterable[str]) -> list[str]:
    """The tokens among the subprotocols of a WebSocket.

    >>> _tokens(["aaff.live", "bearer.c2VjcmV0"])
    ['secret']
    """
    found = []
    for name in subprotocols:
        if name.startswith(BEARER):
            text = name.removeprefix(BEARER)
            try:
                found.append(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
            except (binascii.Error, ValueError):
                continue
    return found
