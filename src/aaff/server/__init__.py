"""A page in the browser and an HTTP API: images, videos and cameras in, semantic maps out.

Needs the extra ``server``.  ``docs/server.md`` describes the API, and ``aaff serve`` starts it.
"""

from typing import TYPE_CHECKING, Any

from aaff.server.settings import Limits, Settings

if TYPE_CHECKING:
    from aaff.server.app import create_app
    from aaff.server.run import serve

__all__ = ["Limits", "Settings", "create_app", "serve"]


def __getattr__(name: str) -> Any:
    """Settings come without the web framework, which the command line's help has no use for."""
    if name == "create_app":
        from aaff.server.app import create_app

        return create_app
    if name == "serve":
        from aaff.server.run import serve

        return serve
    raise AttributeError(f"module 'aaff.server' has no attribute {name!r}")
