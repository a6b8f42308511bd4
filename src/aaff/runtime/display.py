"""Show an image on the screen: in a notebook, or in the system's image viewer."""

from __future__ import annotations

import os
import sys
from typing import Any

from PIL import Image, ImageShow

from aaff.errors import AaffError
from aaff.labels import UInt8Array


class DisplayError(AaffError):
    """There is no display to show an image on."""


def show_picture(picture: UInt8Array, title: str = "aaff") -> None:
    """Show RGB uint8 [H, W, 3]: below the cell of a notebook, else in the system's image viewer.

    Raises:
        DisplayError: there is no display, or no program that shows images.
    """
    shown = Image.fromarray(picture)
    notebook = _notebook()
    if notebook is not None:
        notebook.display.display(shown)
        return
    if not has_display():
        raise DisplayError("there is no display here; save the image and open it elsewhere")
    if not ImageShow.show(shown, title):
        raise DisplayError("no image viewer was found; save the image and open it yourself")


def has_display() -> bool:
    """Whether windows can be opened."""
    return sys.platform in ("win32", "darwin") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _notebook() -> Any:
    """The IPython that runs this code in a notebook, None elsewhere."""
    found: Any = sys.modules.get("IPython")
    return found if found is not None and type(found.get_ipython()).__name__ == "ZMQInteractiveShell" else None
