"""Locks between processes, held through an open file or folder and released when the process ends.

Windows cannot lock folders: there, ``only_process`` locks a file in the folder, and temporary files are not locked, so
those of killed processes remain.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from aaff.errors import AaffError, OptionError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_FILE = ".aaff-lock"
"""The file that is locked instead of its folder on Windows."""

_held: set[int] = set()


def lock(path: Path, *, wait: bool = True) -> int | None:
    """Lock a file or folder for this process alone.

    Returns:
        A handle for ``release``; None if the system or the file system has no such locks.

    Raises:
        FileNotFoundError: there is nothing at ``path``.
        BlockingIOError: another process holds the lock, and ``wait`` is false.
    """
    if sys.platform == "win32":
        return None
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(handle)
        raise
    except OSError:
        os.close(handle)
        return None
    _held.add(handle)
    return handle


def release(handle: int | None) -> None:
    """Release what ``lock`` returned."""
    if handle is not None and sys.platform != "win32":
        _held.discard(handle)
        fcntl.flock(handle, fcntl.LOCK_UN)  # a child that is just being forked may still have the handle
        os.close(handle)


@contextlib.contextmanager
def only_process(folder: Path, what: str) -> Iterator[None]:
    """Lock ``folder`` during the block, so that no second process works on it.

    Args:
        folder: created if missing, and removed if it is empty afterwards; the lock leaves no file in it.
        what: description of the folder in the error message.

    Raises:
        OptionError: another process has locked the folder.
        AaffError: the folder cannot be created.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _lock_folder(folder)
    except BlockingIOError:
        raise OptionError(f"{what} {folder} is in use by another process; wait for it or stop it first") from None
    except OSError as error:
        raise AaffError(f"cannot write {folder}: {error.strerror or error}") from error
    try:
        yield
    finally:
        _release_folder(handle, folder)
        with contextlib.suppress(OSError):  # not empty
            for path in made:
                path.rmdir()


def _lock_folder(folder: Path) -> int | None:
    if sys.platform == "win32":
        handle = os.open(folder / _FILE, os.O_RDWR | os.O_CREAT)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            os.close(handle)
            raise BlockingIOError(f"{folder} is locked") from error
        return handle
    return lock(folder, wait=False)


def _release_folder(handle: int | None, folder: Path) -> None:
    if sys.platform == "win32":
        if handle is not None:
            os.close(handle)  # and with it the lock
            with contextlib.suppress(OSError):  # another process has opened it by now
                (folder / _FILE).unlink()
    else:
        release(handle)


def _forget() -> None:
    """Close inherited locks in a forked child, since it may outlive its parent."""
    for handle in _held:
        with contextlib.suppress(OSError):
            os.close(handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
