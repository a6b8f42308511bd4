"""Atomic writes: a file is complete or absent, whatever interrupts the writer.

``replacing`` and ``new_folder`` write to a temporary path in the same folder and then move it into place.  Every
temporary name matches ``TEMPORARY``, and its writer holds a lock on it, so ``remove_stale`` can distinguish leftovers
of killed processes from files that are being written.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aaff.errors import AaffError, DataError
from aaff.locks import lock, release
from aaff.textfile import read_json as read_json  # beside write_json, where one looks for it

TEMPORARY = re.compile(r"\.aaff-[0-9a-f]{8}(\..+)?")
"""Pattern of the names of all temporary files and folders that aaff creates next to its results.  The names are short,
so they fit wherever the result's own name does."""

_cleaned: set[Path] = set()
"""Folders from which this process has removed leftovers of killed processes."""

_MOVING = "moving"
"""File in a temporary folder: names and inodes of the entries that move to the parent folder."""
_SUFFIX_LENGTH = 16
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")
_STANDARD = {"/dev/stdout": 1, "/dev/stderr": 2}
_UNSYNCABLE = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}


@contextlib.contextmanager
def replacing(path: str | Path, *, mode: int = 0o666) -> Iterator[Path]:
    """Yield a temporary path next to ``path``; if the block succeeds, it atomically replaces ``path``.

    If the block fails, the temporary file is removed and ``path`` is unchanged.  If ``path`` is a symbolic link, its
    target is replaced.  If it is a device, a named pipe or ``/dev/stdout``, it is written to.

    Args:
        path: the file to write; missing folders are created.
        mode: permissions before the umask.

    Raises:
        AaffError: the file cannot be written; the message names it.
        BrokenPipeError: ``path`` is a pipe without a reader.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "a.txt") as temporary:
    ...         _ = temporary.write_text("complete")
    ...     (Path(folder) / "a.txt").read_text()
    'complete'
    """
    path = Path(path)
    try:
        if _is_stream(path):
            with tempfile.TemporaryDirectory(prefix="aaff-") as folder:
                temporary = Path(folder) / f"result{_suffix(path)}"
                yield temporary
                _send(temporary, path)
            return
        target = Path(os.path.realpath(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        with _temporary(target.parent, _suffix(path), mode) as temporary:
            yield temporary
            _sync(temporary)
            os.replace(temporary, target)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise AaffError(f"cannot write {path}: {error.strerror or error}; any existing file is unchanged") from error


@contextlib.contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder; if the block succeeds, it becomes ``path``, which must be absent or empty.

    If the block fails, nothing remains.  Leftovers of killed processes in or next to ``path`` are removed first.

    Raises:
        DataError: ``path`` exists and is not an empty folder.
        AaffError: the folder cannot be written.
    """
    path = Path(path)
    root = Path(os.path.realpath(path))
    try:
        remove_stale(root)
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise DataError(f"{path} is not an empty folder; name a new one")
        exists = root.is_dir()
        place = root if exists else root.parent  # an existing empty folder is kept, with its permissions
        place.mkdir(parents=True, exist_ok=True)
        with _temporary(place, None, 0o777) as temporary:
            yield temporary
            if exists:
                _move_up(temporary)
            else:
                os.rename(temporary, root)
    except OSError as error:
        raise AaffError(f"cannot write {path}: {error.strerror or error}") from error


@contextlib.contextmanager
def temporary_folder(place: str | Path) -> Iterator[Path]:
    """Yield a new temporary folder in ``place``; after the block it is removed, unless it has been moved.

    Raises:
        AaffError: the folder cannot be created.
    """
    with contextlib.ExitStack() as held:
        try:
            Path(place).mkdir(parents=True, exist_ok=True)
            folder = held.enter_context(_temporary(Path(place), None, 0o777))
        except OSError as error:
            raise AaffError(f"cannot write {place}: {error.strerror or error}") from error
        yield folder


def check_writable(path: str | Path) -> None:
    """Check before long work that ``replacing`` can write ``path``; nothing is left behind.

    Raises:
        AaffError: the file cannot be written; the message names it.
    """
    try:
        if _is_stream(Path(path)):
            return
        if os.path.isdir(path):
            raise IsADirectoryError(None, "it is a folder")
        folder = Path(os.path.realpath(path)).parent
        while not os.path.lexists(folder):
            folder = folder.parent
        with _temporary(folder, "", 0o666):
            pass
    except OSError as error:
        raise AaffError(f"cannot write {path}: {error.strerror or error}") from error


def remove_stale(folder: str | Path) -> None:
    """Remove temporary files and folders left in ``folder`` by killed processes; those in use are kept."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if TEMPORARY.fullmatch(name):
                with contextlib.suppress(OSError):
                    _remove_unlocked(Path(folder) / name)


def is_unfinished(folder: str | Path) -> bool:
    """Whether ``new_folder`` is writing ``folder``, or was killed while writing it."""
    with contextlib.suppress(OSError):
        return any(TEMPORARY.fullmatch(name) and Path(folder, name, _MOVING).exists() for name in os.listdir(folder))
    return False


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with replacing(path) as temporary:
        # A file name that is not UTF-8 has lone surrogates; JSON escapes preserve them.
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON atomically, indented, with a final newline."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _suffix(path: Path) -> str:
    """The suffix of a temporary file: that of ``path``, which image and video writers need, unless it is too long."""
    return path.suffix if len(os.fsencode(path.suffix)) <= _SUFFIX_LENGTH else ""


@contextlib.contextmanager
def _temporary(place: Path, suffix: str | None, mode: int) -> Iterator[Path]:
    """A new, locked file in ``place`` (a folder if ``suffix`` is None), removed in the end if it still exists."""
    path, handle = _create(place, suffix, mode)
    try:
        yield path
    finally:
        _remove(path)
        release(handle)


def _create(place: Path, suffix: str | None, mode: int) -> tuple[Path, int | None]:
    """Create it with ``mode`` and the umask applied, since some file systems reject chmod."""
    if place not in _cleaned:
        _cleaned.add(place)
        remove_stale(place)
    while True:
        path = place / f".aaff-{secrets.token_hex(4)}{suffix or ''}"
        try:
            if suffix is None:
                path.mkdir(mode)
            else:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
        except FileExistsError:
            continue
        try:
            handle = lock(path)
        except FileNotFoundError:  # remove_stale of another process removed it meanwhile
            continue
        if handle is None or os.path.lexists(path):
            return path, handle
        release(handle)


def _remove_unlocked(path: Path) -> None:
    handle = lock(path, wait=False)
    if handle is not None:
        try:
            _take_back(path)
            _remove(path)
        finally:
            release(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    with open(path, "rb+") as file:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in _UNSYNCABLE:
                raise


def _move_up(folder: Path) -> None:
    """Move everything in ``folder`` to its parent, or nothing; the list of entries allows undoing a killed move."""
    entries = sorted(folder.iterdir())
    moving = folder / _MOVING
    lines = [b"%d %s\n" % (entry.lstat().st_ino, os.fsencode(entry.name)) for entry in entries]
    moving.write_bytes(b"".join(lines))
    try:
        for entry in entries:
            os.rename(entry, folder.parent / entry.name)
    except BaseException:
        _take_back(folder)
        raise
    moving.unlink()


def _take_back(folder: Path) -> None:
    """Remove the entries that ``_move_up`` has moved; the inodes prove that they are still the same files."""
    try:
        lines = (folder / _MOVING).read_bytes().splitlines()
    except OSError:  # there is no such list
        return
    for line in lines:
        inode, _, name = line.partition(b" ")
        target = folder.parent / os.path.basename(os.fsdecode(name))
        with contextlib.suppress(OSError):  # not moved yet
            if b"%d" % target.lstat().st_ino == inode:
                _remove(target)


def _is_stream(path: Path) -> bool:
    """Whether ``path`` is written to instead of being replaced."""
    if str(path) in _STANDARD or _DESCRIPTOR.fullmatch(str(path)):
        return True
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        return False
    return not stat.S_ISREG(kind) and not stat.S_ISDIR(kind)


def _send(source: Path, target: Path) -> None:
    """Copy a finished file into a device, a pipe or an open descriptor."""
    number = _STANDARD.get(str(target))
    if match := _DESCRIPTOR.fullmatch(str(target)):
        number = int(match[1])
    if number in (1, 2):
        (sys.stdout if number == 1 else sys.stderr).flush()
    # A duplicated descriptor shares its position, so later output follows.
    with open(source, "rb") as file, open(target if number is None else os.dup(number), "wb") as out:
        shutil.copyfileobj(file, out)
