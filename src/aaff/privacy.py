"""aaff sends nothing, and what it keeps for itself lies in one folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def switch_off_telemetry() -> None:
    """Keep OpenVINO and NNCF from reporting their use and from leaving a user id in the home directory.

    Both import ``openvino_telemetry`` and use a stub where it is not installed; None in ``sys.modules`` is Python's way
    of saying so.  Importing ``aaff`` calls this, so it comes before any import of theirs.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]


def cache_folder() -> Path | None:
    """``AAFF_CACHE``, else a folder ``aaff`` where this system keeps caches; None for a user without a home."""
    try:
        if named := os.environ.get("AAFF_CACHE"):
            return Path(named).expanduser()
        if sys.platform == "win32":
            base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        elif sys.platform == "darwin":
            base = Path.home() / "Library" / "Caches"
        else:
            base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # no HOME, and no entry in the password file
        return None
    return Path(base) / "aaff"


def share_cache_folder() -> None:
    """Let matplotlib keep its list of fonts in aaff's cache folder; for processes that are aaff's own."""
    if folder := cache_folder():
        os.environ.setdefault("MPLCONFIGDIR", str(folder / "matplotlib"))
