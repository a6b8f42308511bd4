"""Text that a user or a stranger wrote: YAML, JSON, tables and lists, read with limits.

Every reader of such text goes through this module, so that whatever a file holds ends in values of plain
types or in one sentence: text in UTF-8 of a bounded size, YAML without aliases (they expand to gigabytes),
tags and dates, JSON without NaN, both without deep nesting and without equal keys.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import yaml

from aaff.errors import AaffError, DataError, brief, shown

MAX_LIST = 64_000_000
"""Bytes of a list or table: a million frames."""
MAX_JSON = 16_000_000
"""Bytes of a JSON file."""
MAX_YAML = 256_000
"""Bytes of a YAML file; people write them by hand, and parsing takes about 5 seconds a megabyte."""
MAX_DEPTH = 20
"""Lists and mappings inside one another."""
MAX_DIGITS = 18
"""Digits of a whole number, so that it fits 64 bits."""


def read_text(path: str | Path, *, limit: int = MAX_LIST, kind: type[AaffError] = DataError) -> str:
    """The text of a file, in UTF-8 with or without a byte order mark.

    Args:
        path: the file.
        limit: refuse more bytes than this.
        kind: the error that is raised.

    Raises:
        AaffError: of ``kind``; there is no such file, it is too large, binary or not in UTF-8.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "names.txt")
    ...     _ = path.write_bytes("Gr\u00e4ser".encode("latin-1"))
    ...     read_text(path)
    Traceback (most recent call last):
    aaff.errors.DataError: .../names.txt is not a text file in UTF-8 (byte 2); save it as UTF-8
    """
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError as error:
        raise kind(f"there is no file {path}") from error
    except (OSError, ValueError) as error:
        raise kind(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > limit:
        raise kind(f"{path} is larger than {limit:,} bytes; is it the right file?")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise kind(f"{path} is not a text file in UTF-8 (byte {error.start}); save it as UTF-8") from error
    if "\0" in text:
        raise kind(f"{path} is not a text file (it has a zero byte at character {text.index(chr(0))})")
    return text


def read_json(path: str | Path, *, kind: type[AaffError] = AaffError) -> Any:
    """Read a JSON file, see ``parse_json``.

    Raises:
        AaffError: of ``kind``; the message names the file.
    """
    return parse_json(read_text(path, limit=MAX_JSON, kind=kind), str(path), kind=kind)


def parse_json(text: str, where: str, *, kind: type[AaffError] = AaffError) -> Any:
    """JSON as values of plain types.

    Args:
        text: the JSON.
        where: named in the error message, such as the file's path.
        kind: the error that is raised.

    Raises:
        AaffError: of ``kind``; it is not JSON, nests deeper than ``MAX_DEPTH``, or has equal keys, NaN or
            numbers beyond 64 bits.

    >>> parse_json('{"size": "480x360"}', "card.json")
    {'size': '480x360'}
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_int=_whole, parse_float=_real, parse_constant=_no_constant
        )
    except RecursionError as error:
        raise kind(_too_deep(where)) from error
    except ValueError as error:
        raise kind(f"{where} is not complete, valid JSON: {brief(error)}") from error
    if _depth(value) > MAX_DEPTH:
        raise kind(_too_deep(where))
    return value


def to_json(value: Any) -> str:
    """One line of JSON that UTF-8 can hold: a file name that is not UTF-8 is escaped, and is the same when read.

    >>> to_json({"file": "caf\\udce9.png"})
    '{"file": "caf\\\\udce9.png"}'
    """
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def to_yaml(value: Any) -> str:
    """YAML that ``parse_yaml`` reads back, letters of all languages as they are.

    >>> to_yaml({"name": "Stra\u00dfe"})
    'name: Stra\u00dfe\\n'
    """
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    # PyYAML leaves the line breaks of Unicode as they are, and reads the first of them as a space.
    breaks = any(sign in text for sign in "\x85\u2028\u2029")
    return yaml.safe_dump(value, sort_keys=False) if breaks else text


def read_yaml(path: str | Path, *, kind: type[AaffError] = DataError) -> Any:
    """Read a YAML file, see ``parse_yaml``.

    Raises:
        AaffError: of ``kind``; the message names the file.
    """
    return parse_yaml(read_text(path, limit=MAX_YAML, kind=kind), str(path), kind=kind)


def parse_yaml(text: str, where: str, *, kind: type[AaffError] = DataError) -> Any:
    """YAML as values of plain types: None, bool, int, float, str, list and dict.

    An unquoted scalar is null, a boolean (``yes`` and ``no`` too, as in YAML 1.1), a decimal number, or else text;
    dates, times, numbers of other bases and ``5e-4`` (as in YAML 1.1) are text.  An empty document is None.

    Args:
        text: the YAML.
        where: named in the error message, such as the file's path.
        kind: the error that is raised.

    Raises:
        AaffError: of ``kind``; it is not YAML, has aliases, tags or several documents, equal keys in one mapping,
            keys that are not scalars, or nests deeper than ``MAX_DEPTH``.

    >>> parse_yaml("{epochs: 60, lr: 0.01, from: 2024-01-01, flip: yes}", "a.yaml")
    {'epochs': 60, 'lr': 0.01, 'from': '2024-01-01', 'flip': True}
    """
    try:
        return _Yaml(text).document()
    except _Refused as error:
        raise kind(f"{where} cannot be used as YAML: {error}") from error
    except yaml.YAMLError as error:
        said = str(error).replace('in "<unicode string>", ', "")
        raise kind(f"{where} is not valid YAML: {brief(said)}") from error


class _Refused(Exception):  # noqa: N818  # the callers turn it into a sentence that names the file
    """Valid YAML that no data set or recipe needs."""


class _Yaml:
    """Builds values from PyYAML's events: its own constructors know dates, merge keys and objects, and recurse."""

    def __init__(self, text: str) -> None:
        self._events = yaml.parse(text, yaml.SafeLoader)

    def document(self) -> Any:
        value: Any = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Refused(f"it has a second document{_at(event)}")
                value = self._value(next(self._events), 0)
        return value

    def _value(self, event: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise _Refused(f"it nests deeper than {MAX_DEPTH} levels{_at(event)}")
        if isinstance(event, yaml.AliasEvent):
            raise _Refused(f"the alias *{brief(event.anchor)} is not allowed{_at(event)}; write the value out")
        tag = event.tag
        if tag is not None and tag not in ("!", _STR, _SEQ, _MAP):
            raise _Refused(f"the tag {shown(tag)} is not allowed{_at(event)}; write the value without it")
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event) if event.implicit[0] and tag is None else event.value
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
                items.append(self._value(event, depth + 1))
            return items
        found: dict[Any, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._value(event, depth + 1)
            if isinstance(key, list | dict):
                raise _Refused(f"a key must be a name or a number{_at(event)}")
            if key in found:  # plain YAML takes the later one in silence, which would shift the ids of classes
                raise _Refused(f"the key {shown(key)} occurs twice{_at(event)}")
            found[key] = self._value(next(self._events), depth + 1)
        return found


_STR, _SEQ, _MAP = (f"tag:yaml.org,2002:{name}" for name in ("str", "seq", "map"))
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null"), None),
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
}
# Not wider than PyYAML's, so that what it writes without quotes is text here too.
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_REAL = re.compile(r"([-+]?[0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]+)?")


def _scalar(event: Any) -> bool | int | float | str | None:
    text = str(event.value)
    if text in (text.lower(), text.upper(), text.capitalize()) and text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        if _WHOLE.fullmatch(text):
            return _whole(text)
        if _REAL.fullmatch(text):
            return _real(text)
    except ValueError as error:
        raise _Refused(f"{error}{_at(event)}") from error
    return text


def _whole(text: str) -> int:
    if len(text) > MAX_DIGITS + 1:
        raise ValueError(f"the number {brief(text)} has more than {MAX_DIGITS} digits")
    return int(text)


def _real(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {brief(text)} is too large")
    return value


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not a number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {shown(next(n for n in names if names.count(n) > 1))} occurs twice")
    return found


def _depth(value: Any) -> int:
    """How deep lists and mappings nest, without recursion."""
    depth, level = 0, [value]
    while level and depth <= MAX_DEPTH:
        inside = [v for v in level if isinstance(v, list | dict) and v]
        level = [item for v in inside for item in (v.values() if isinstance(v, dict) else v)]
        depth += bool(inside)
    return depth


def _too_deep(where: str) -> str:
    return f"{where} nests deeper than {MAX_DEPTH} levels; is it the right file?"


def _at(event: Any) -> str:
    mark = event.start_mark
    return f" (line {mark.line + 1}, column {mark.column + 1})"
