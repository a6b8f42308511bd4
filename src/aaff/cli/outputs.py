"""What a command may write over: its own earlier results, and never its inputs or a file that is somebody else's."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from aaff.errors import OptionError


def keep_others(results: Iterable[Path], sources: Iterable[str | Path], *, overwrite: bool) -> None:
    """Refuse to replace what was not made from the same source.

    Args:
        results: files and folders of frames that are about to be written; those that do not exist yet are fine.
        sources: what they are made from.
        overwrite: replace other files too, but no source.

    Raises:
        OptionError: names the first file that would be lost.
    """
    from aaff.provenance import origin

    inputs = {os.path.realpath(source) for source in sources}
    existing = [path for path in results if path.is_file() or path.is_dir()]
    for path in existing:
        if os.path.realpath(path) in inputs:
            raise OptionError(f"the result {path} would overwrite what it is made from; name another --out")
    if overwrite:
        return
    marks = {origin(source) for source in sources}
    for path in existing:
        for file in _frames(path) if path.is_dir() else [path]:
            if not _made_from(file, marks):
                raise OptionError(
                    f"{file} exists and is not an earlier result of the same source; name another --out, or add "
                    "--overwrite to replace it"
                )


def check_json(path: Path | None, *inputs: str | Path | None) -> None:
    """Make sure, before long work, that a ``--json`` file can be written, is no input and replaces nothing but JSON.

    Raises:
        OptionError: names the file.
        AaffError: it cannot be written.
    """
    from aaff.files import check_writable

    if path is not None and path.is_dir():
        raise OptionError(f"--json {path} is a folder; name a file")
    if path is None:
        return
    check_writable(path)
    if not path.is_file():
        return
    for source in inputs:
        if source is not None and os.path.realpath(source) == os.path.realpath(path):
            raise OptionError(f"--json {path} would overwrite an input of this command; name another file")
    with open(path, "rb") as file:
        start = file.read(64).lstrip()
    if start and start[:1] not in (b"{", b"["):
        raise OptionError(f"--json {path} exists and is not a JSON file; name another file")


def _frames(folder: Path) -> list[Path]:
    """The numbered frames of a folder, which a new result would replace."""
    return [path for path in sorted(folder.iterdir()) if re.fullmatch(r"\d{6,}\.png", path.name)]


def is_result(path: Path) -> bool:
    """Whether aaff wrote this picture or video as a result, by its mark."""
    from aaff.provenance import is_origin

    return is_origin(_mark(path))


def _mark(path: Path) -> str | None:
    from aaff.images import read_mark
    from aaff.video.writer import read_comment

    suffix = path.suffix.lower()
    return read_mark(path) if suffix == ".png" else read_comment(path) if suffix == ".mp4" else None


def _made_from(path: Path, marks: Collection[str]) -> bool:
    from aaff.provenance import origin

    suffix = path.suffix.lower()
    if suffix in (".png", ".mp4"):
        return _mark(path) in marks
    found = _first_object(path, lines=suffix == ".jsonl")
    source = found.get("source")
    return isinstance(source, str) and "\0" not in source and origin(source) in marks


def _first_object(path: Path, *, lines: bool) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            value = json.loads("".join(islice(file, 1 if lines else None)))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
