"""A disk cache of compiled models, which makes the second start of a program fast.

OpenVINO takes seconds to compile a graph for this CPU; the result is stored and loaded again.  The cache is optional:
if it cannot be read or written, nothing fails.

OpenVINO's own ``CACHE_DIR`` is as fast, but loads a blob whose weights have changed on disk, accepts files of other
users, and hangs on a named pipe (OpenVINO 2026.4).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path

from aaff.errors import AaffError
from aaff.files import replacing
from aaff.privacy import cache_folder

KEPT = 32
"""Maximum number of compiled models; the least recently used ones are removed first."""

_DIGEST_SIZE = hashlib.sha256().digest_size
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def key_of(*parts: object) -> str:
    """A cache key for everything that a compiled model depends on."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def load_compiled(key: str) -> bytes | None:
    """Load what ``store_compiled`` stored under this key; None if there is nothing that can be trusted.

    A file is trusted if only this user can have written it and its content belongs to ``key``.
    """
    path = _path(key)
    if path is None:
        return None
    with contextlib.suppress(OSError):
        with open(os.open(path, _FLAGS), "rb") as file:
            if not _private(os.fstat(file.fileno())):
                return None
            data = file.read()
        blob = data[_DIGEST_SIZE:]
        if data[:_DIGEST_SIZE] == _digest(key, blob):
            with contextlib.suppress(OSError):
                os.utime(path)  # used now
            return blob
    return None


def store_compiled(key: str, blob: bytes) -> None:
    """Store a compiled model, if possible."""
    path = _path(key)
    if path is None:
        return
    with contextlib.suppress(OSError, AaffError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
            path.unlink()  # a link or a pipe: it must be replaced and not written to
        with replacing(path, mode=0o600) as temporary:
            temporary.write_bytes(_digest(key, blob) + blob)
        by_age = sorted(path.parent.glob("*.compiled"), key=lambda p: p.stat().st_mtime, reverse=True)
        for old in by_age[KEPT:]:
            old.unlink()


def _path(key: str) -> Path | None:
    folder = cache_folder()
    return folder / f"{key}.compiled" if folder else None


def _digest(key: str, blob: bytes) -> bytes:
    digest = hashlib.sha256(key.encode() + b"\n")
    digest.update(blob)
    return digest.digest()


def _private(status: os.stat_result) -> bool:
    """Whether it is a regular file that belongs to this user and that nobody else may write."""
    if not stat.S_ISREG(status.st_mode):
        return False
    if not hasattr(os, "geteuid"):  # Windows: the folder lies in the user's profile
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
