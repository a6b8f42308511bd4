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
    """Serve a web page that shows predictions live: drop an image or a video on it, or open the camera.

    Programs can use the HTTP API of the same server: POST /v1/segment, POST /v1/video and the WebSocket /v1/live,
    documented in /openapi.json. By default only this machine can reach the server (see --host). Stop it with Ctrl-C.
    """

    media: tyro.conf.Positional[Path | None] = None
    """An image or video to show when the page opens."""
    model: tuple[str, ...] = ()
    """Models to offer: exported files (.onnx), checkpoints, run folders or model names (see: aaff models).
    The first one is selected when the page opens. Default: the bundled models."""
    host: str = LOOPBACK
    """Address to listen on; use 0.0.0.0 to accept connections from other machines, preferably with --token."""
    port: int = 8000
    """Port to listen on; 0 picks a free port."""
    token: str = ""
    """Access token; clients send it as "Authorization: Bearer TOKEN", and the page is opened as /#token=TOKEN.
    Default: the environment variable AAFF_TOKEN, which other users of this machine cannot see."""
    open: bool = False
    """Open the page in the browser."""
    example: bool = False
    """Show the example video, a short drive, when the page opens."""
    allow_host: tuple[str, ...] = ()
    """Further host names to accept in requests, such as demo.example.org; IP addresses are always accepted."""
    allow_origin: tuple[str, ...] = ()
    """Other web sites whose pages may use the server (CORS), such as https://example.org."""
    limits: Limits = Limits()
    """Limits on requests, videos and memory."""
    engine: str = "auto"
    """Inference engine: openvino (used by auto) or onnxruntime for an exported file, torch for a checkpoint."""
    precision: str | None = None
    """fp32 or bf16; for int8 files int8 or int8-bf16 (unquantised layers in bf16). Default: the file's own."""
    threads: int | None = None
    """CPU threads; default: all cores."""


def run(args: Args) -> int:
    """Serve until Ctrl-C; status 0."""
    return serve_page(args, fragment="media" if args.media else "example" if args.example else "")


def serve_page(args: Args, *, fragment: str) -> int:
    """Start the server and print the URL of the page.

    Args:
        args: options of the command.
        fragment: what the page shows first: ``media``, ``example`` or ``camera=0``; may be empty.

    Raises:
        MissingExtraError: the extra ``server`` is not installed.
        AaffError: there is no such file or model, or the address is in use.
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
        print(f"warning: anyone who reaches {args.host} can use this server; restrict it with --token", file=sys.stderr)

    def tell(page: str) -> None:
        print(f"page: {page} (models: {', '.join(loaders)}; press Ctrl-C to stop)", flush=True)

    serve(create_app(loaders, settings, media=args.media), settings, fragment=fragment, browser=args.open, tell=tell)
    return 0


def find_loaders(args: Args) -> dict[str, Callable[[], Segmenter]]:
    """Name of each model → function that loads it; whether each model exists is checked now.

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
    """Load a model and run one batch, so that nothing is left to compile when clients connect."""
    import numpy as np

    from aaff.loading import load
    from aaff.provenance import usable_cores

    segmenter = load(word, engine=args.engine, precision=args.precision, threads=args.threads)
    size = segmenter.card.size
    segmenter.batch([np.zeros((size.height, size.width, 3), np.uint8)] * min(args.threads or usable_cores(), 8))
    return segmenter
