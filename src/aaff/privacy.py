"""aaff sends nothing, and what it keeps for itself lies in one folder."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path


def switch_off_telemetry() -> None:
    """Keep OpenVINO, NNCF and ONNX Runtime from reporting their use and from leaving a user id in the home directory.

    Importing ``aaff`` calls this, so it comes before any import of theirs.
    """
    # The first two use a stub where this package is not installed; None in sys.modules is Python's way of saying so.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    for name in ("ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED"):  # it differs between versions of ONNX Runtime
        os.environ[name] = "1"


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


@contextlib.contextmanager
def some_home() -> Iterator[None]:
    """During the block a user without a home has the temporary folder as one; NNCF asks for it when it is imported."""
    try:
        Path.home()
    except RuntimeError:  # no HOME, and no entry in the password file
        os.environ["HOME"] = tempfile.gettempdir()
        try:
            yield
        finally:
            os.environ.pop("HOME", None)
    else:
        yield


def share_cache_folder() -> None:
    """Let matplotlib keep its list of fonts in aaff's cache folder; for processes that are aaff's own."""
    if folder := cache_folder():
        os.environ.setdefault("MPLCONFIGDIR", str(folder / "matplotlib"))
