"""Overwrite protection: a command may replace its own earlier results, but never its inputs or unrelated files."""

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
    """Check that writing the results replaces no source, and no file that was not made from the same sources.

    Args:
        results: files, and folders of frames, that are about to be written; they need not exist.
        sources: what the results are made from.
        overwrite: allow replacing other files, but still no source.

    Raises:
        OptionError: a file would be lost; the message names the first one.
    """
    from aaff.provenance import origin

    inputs = {os.path.realpath(source) for source in sources}
    existing = [path for path in results if path.is_file() or path.is_dir()]
    for path in existing:
        if os.path.realpath(path) in inputs:
            raise OptionError(f"the result {path} would overwrite its own source; name another --out")
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
    """Check, before long work, that a ``--json`` file is writable, is not an input and replaces only a JSON file.

    Raises:
        OptionError: the path is a folder, an input, or an existing file that is not JSON.
        AaffError: the file cannot be written.
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
    """The numbered frames in a folder, which a new result would replace."""
    return [path for path in sorted(folder.iterdir()) if re.fullmatch(r"\d{6,}\.png", path.name)]


def is_result(path: Path) -> bool:
    """Whether aaff wrote this image or video as a result, according to the mark in the file."""
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
