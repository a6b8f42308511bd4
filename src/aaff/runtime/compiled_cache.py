"""Compiled models on disk, so that the second start of a program answers its first frame at once.

OpenVINO needs some seconds to turn a graph into code for this processor; what it made can be written
down and read back.  The cache only ever saves time: where it cannot be read or written, nothing fails.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from pathlib import Path

from aaff.errors import AaffError
from aaff.files import replacing

KEPT = 32
"""Compiled models that stay; the ones unused for longest go first."""

_DIGEST = hashlib.sha256().digest_size


def cache_folder() -> Path:
    """Where compiled models lie: ``AAFF_CACHE``, else a folder ``aaff`` where this system keeps caches."""
    if named := os.environ.get("AAFF_CACHE"):
        return Path(named).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "aaff"


def key_of(*parts: object) -> str:
    """One name for everything that a compiled model depends on."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def load_compiled(key: str) -> bytes | None:
    """What :func:`store_compiled` kept under this key; None when there is nothing, or it is damaged."""
    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: there is no home folder
        path = _path(key)
        data = path.read_bytes()
        blob = data[_DIGEST:]
        if data[:_DIGEST] == hashlib.sha256(blob).digest():
            with contextlib.suppress(OSError):
                os.utime(path)  # used now
            return blob
    return None


def store_compiled(key: str, blob: bytes) -> None:
    """Keep a compiled model, where that is possible."""
    with contextlib.suppress(OSError, AaffError, RuntimeError):
        path = _path(key)
        with replacing(path) as temporary:
            temporary.write_bytes(hashlib.sha256(blob).digest() + blob)
        by_age = sorted(path.parent.glob("*.compiled"), key=lambda p: p.stat().st_mtime, reverse=True)
        for old in by_age[KEPT:]:
            old.unlink()


def _path(key: str) -> Path:
    return cache_folder() / f"{key[:40]}.compiled"
