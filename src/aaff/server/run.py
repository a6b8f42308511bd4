"""Run the web application: socket, uvicorn and browser."""

from __future__ import annotations

import contextlib
import socket
import webbrowser
from collections.abc import Callable
from urllib.parse import quote

import uvicorn
from fastapi import FastAPI

from aaff.errors import AaffError
from aaff.server.connections import HttpProtocol
from aaff.server.settings import Settings

_GRACE = 30
"""Grace period in seconds for running requests when the server stops."""


def serve(
    app: FastAPI, settings: Settings, *, fragment: str = "", browser: bool = False, tell: Callable[[str], None] = print
) -> None:
    """Serve until Ctrl-C or SIGTERM; running requests are finished.

    Args:
        app: an application made by ``aaff.server.create_app``.
        settings: address and limits.
        fragment: what the page shows first, such as ``"camera"``.
        browser: open the page in the user's browser.
        tell: called with the URL of the page.

    Raises:
        AaffError: the address is in use, or does not belong to this machine.
    """
    listening = listen(settings)
    page = _address(settings.host, listening.getsockname()[1])
    tell(page + (f"#{fragment}" if fragment else ""))
    if browser:
        parts = [fragment, f"token={quote(settings.token, safe='')}" if settings.token else ""]
        webbrowser.open(page + "#" + "&".join(part for part in parts if part))
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn has shut down cleanly and re-raises the signal
        make_server(app, settings).run(sockets=[listening])


def make_server(app: FastAPI, settings: Settings) -> uvicorn.Server:
    """A uvicorn server for an application, with connection limits."""
    config = uvicorn.Config(
        app,
        http=HttpProtocol,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here depends on a proxy's headers about its clients
        timeout_keep_alive=15,
        timeout_graceful_shutdown=_GRACE,
        limit_concurrency=2 * settings.limits.requests + 64,  # the server's own limits apply first
        backlog=256,
        ws="websockets-sansio",
        ws_max_size=settings.limits.image_mb * 10**6 + 1024,
        ws_max_queue=4,
        ws_ping_interval=20,
        ws_ping_timeout=20,
        ws_per_message_deflate=False,
    )
    return uvicorn.Server(config)


def listen(settings: Settings) -> socket.socket:
    """A listening socket.

    Raises:
        AaffError: the address is in use, or does not belong to this machine.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=256)
    except OSError as error:
        raise AaffError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}; "
            "choose another --port, or 0 for a free one"
        ) from error


def _address(host: str, port: int) -> str:
    """The URL of the page for a browser on this machine.

    >>> _address("0.0.0.0", 80), _address("::1", 80)
    ('http://localhost:80/', 'http://[::1]:80/')
    """
    if host in ("0.0.0.0", "::"):
        return f"http://localhost:{port}/"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
