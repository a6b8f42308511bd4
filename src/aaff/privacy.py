"""Privacy: aaff sends no data, and keeps its caches in one folder."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path


def switch_off_telemetry() -> None:
    """Switch off the telemetry of OpenVINO, NNCF and ONNX Runtime, and the user id they write to the home directory.

    Importing ``aaff`` calls this function, so it runs before these packages are imported.
    """
    # OpenVINO and NNCF use a stub if this package is not installed, which None in sys.modules simulates.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    for name in ("ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED"):  # it differs between versions of ONNX Runtime
        os.environ[name] = "1"


def cache_folder() -> Path | None:
    """The folder ``AAFF_CACHE``, else ``aaff`` in the system's cache folder; None if the user has no home directory."""
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
    """Use the temporary folder as home directory during the block if the user has none; NNCF needs it at import."""
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
    """Let matplotlib keep its font cache in aaff's cache folder; only for processes started by aaff's commands."""
    if folder := cache_folder():
        os.environ.setdefault("MPLCONFIGDIR", str(folder / "matplotlib"))
