"""The web page and HTTP API of ``aaff serve``: images, videos and cameras in, semantic maps out.

Needs the extra ``server``.  The API is described in ``docs/server.md``.
"""

from typing import TYPE_CHECKING, Any

from aaff.server.settings import Limits, Settings

if TYPE_CHECKING:
    from aaff.server.app import create_app
    from aaff.server.run import serve

__all__ = ["Limits", "Settings", "create_app", "serve"]


def __getattr__(name: str) -> Any:
    """Import lazily, so that the settings are available without the web framework, for the command line's help."""
    if name == "create_app":
        from aaff.server.app import create_app

        return create_app
    if name == "serve":
        from aaff.server.run import serve

        return serve
    raise AttributeError(f"module 'aaff.server' has no attribute {name!r}")
