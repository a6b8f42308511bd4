"""``aaff serve``: the live page and the HTTP API."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from aaff.server.settings import LOOPBACK, Limits

if TYPE_CHECKING:
    from aaff.runtime import Segmenter

TOKEN_VARIABLE = "AAFF_TOKEN"


@dataclass
class Args:
    """Open a page in the browser that shows what a model sees: drop an image or a video, or open the camera.

    Programs use the same server by HTTP: POST /v1/segment, POST /v1/video, WebSocket /v1/live; /openapi.json describes
    it. Only this machine can reach the server, unless --host says otherwise; Ctrl-C ends it.
    """

    media: tyro.conf.Positional[Path | None] = None
    """An image or video that the page begins with."""
    model: tuple[str, ...] = ()
    """Models to choose from, the first one at first: exported files (.onnx), checkpoints, folders of runs or names
    (see: aaff models); default: the bundled models."""
    host: str = LOOPBACK
    """Address to listen at; 0.0.0.0 for everyone who reaches this machine, best with --token."""
    port: int = 8000
    """Port to listen at; 0 takes a free one."""
    token: str = ""
    """Clients must send it as "Authorization: Bearer TOKEN"; the page takes it from its address, /#token=TOKEN.
    Default: the environment variable AAFF_TOKEN, which other users of this machine cannot see."""
    open: bool = False
    """Open the page in the browser."""
    example: bool = False
    """Let the page begin with its example, a short drive."""
    allow_host: tuple[str, ...] = ()
    """Names under which the server may be asked for, besides its own and addresses in digits, such as
    demo.example.org."""
    allow_origin: tuple[str, ...] = ()
    """Other sites whose pages may use the server, such as https://example.org."""
    limits: Limits = Limits()
    """What the server takes on at once."""
    engine: str = "auto"
    """As in aaff predict."""
    precision: str | None = None
    """As in aaff predict."""
    threads: int | None = None
    """CPU threads; default: all cores."""


def run(args: Args) -> int:
    """Serve until Ctrl-C; status 0."""
    return serve_page(args, fragment="media" if args.media else "example" if args.example else "")


def serve_page(args: Args, *, fragment: str) -> int:
    """Serve; says where the page is.

    Args:
        args: options of the command.
        fragment: what the page begins with: ``media``, ``example`` or ``camera=0``; may be empty.

    Raises:
        MissingExtraError: the extra ``server`` is not installed.
        AaffError: there is no such file or model, or the address is not free.
    """
    from aaff.errors import OptionError, require

    if args.media is not None and not args.media.is_file():
        raise OptionError(f"there is no image or video {args.media}")
    for module in ("fastapi", "uvicorn", "websockets", "python_multipart"):
        require(module, "server")
    from aaff.server import Settings, create_app, serve

    token = args.token or os.environ.get(TOKEN_VARIABLE, "")
    settings = Settings(args.host, args.port, token, args.allow_host, args.allow_origin, args.limits)
    loaders = find_loaders(args)
    if not settings.is_local and not token:
        print(f"warning: whoever reaches {args.host} can use this server; --token keeps others out", file=sys.stderr)

    def tell(page: str) -> None:
        print(f"page: {page} (models: {', '.join(loaders)}; Ctrl-C ends)", flush=True)

    serve(create_app(loaders, settings, media=args.media), settings, fragment=fragment, browser=args.open, tell=tell)
    return 0


def find_loaders(args: Args) -> dict[str, Callable[[], Segmenter]]:
    """Name of each model → function that loads it; that there is one is checked now.

    Raises:
        AaffError: there is no such model.
    """
    from aaff.loading import find_model
    from aaff.published import default_name, list_bundled, list_exported

    words = args.model or tuple(sorted(list_bundled(), key=lambda name: name != default_name()))
    loaders: dict[str, Callable[[], Segmenter]] = {}
    for word in words:
        find_model(word, precision=args.precision, engine=args.engine)
        path = Path(word)
        name = word if word in list_exported() else path.name if path.is_dir() else path.stem
        number, free = 1, name
        while free in loaders:
            number += 1
            free = f"{name}-{number}"
        loaders[free] = partial(_load, word, args)
    return loaders


def _load(word: str, args: Args) -> Segmenter:
    """A model that has seen a batch, so that nothing is left to compile when clients come."""
    import numpy as np

    from aaff.loading import load
    from aaff.provenance import usable_cores

    segmenter = load(word, engine=args.engine, precision=args.precision, threads=args.threads)
    size = segmenter.card.size
    segmenter.batch([np.zeros((size.height, size.width, 3), np.uint8)] * min(args.threads or usable_cores(), 8))
    return segmenter
