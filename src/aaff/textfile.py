"""Read untrusted text files safely: YAML, JSON, tables and lists.

All such files are read through this module, so any content results in plain values or in a clear error.  Text must be
UTF-8 of bounded size; YAML must not use aliases (which can expand to gigabytes) or tags, and its dates are text; JSON
must not contain NaN; neither may nest deeply or repeat a key.
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
"""Maximum size of a list or table in bytes, enough for a million frames."""
MAX_JSON = 16_000_000
"""Maximum size of a JSON file in bytes."""
MAX_YAML = 256_000
"""Maximum size of a YAML file in bytes; these are written by hand, and parsing takes about 5 seconds per megabyte."""
MAX_DEPTH = 20
"""Maximum nesting depth of lists and mappings."""
MAX_DIGITS = 18
"""Maximum number of digits of a whole number, so that it fits into 64 bits."""


def read_text(path: str | Path, *, limit: int = MAX_LIST, kind: type[AaffError] = DataError) -> str:
    """Read a text file in UTF-8, with or without a byte order mark.

    Args:
        path: the file.
        limit: maximum size in bytes.
        kind: type of the error to raise.

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
        raise kind(f"{path} is not a text file (it has a null byte at character {text.index(chr(0))})")
    return text


def read_json(path: str | Path, *, kind: type[AaffError] = AaffError) -> Any:
    """Read a JSON file, see ``parse_json``.

    Raises:
        AaffError: of ``kind``; the message names the file.
    """
    return parse_json(read_text(path, limit=MAX_JSON, kind=kind), str(path), kind=kind)


def parse_json(text: str, where: str, *, kind: type[AaffError] = AaffError) -> Any:
    """Parse JSON to plain values.

    Args:
        text: the JSON.
        where: name of the source in error messages, such as the file's path.
        kind: type of the error to raise.

    Raises:
        AaffError: of ``kind``; it is not JSON, nests deeper than ``MAX_DEPTH``, or has repeated keys, NaN or numbers
            beyond 64 bits.

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
    """JSON in one line that can be encoded in UTF-8; file names that are not UTF-8 are escaped and survive reading.

    >>> to_json({"file": "caf\\udce9.png"})
    '{"file": "caf\\\\udce9.png"}'
    """
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def to_yaml(value: Any) -> str:
    """YAML that ``parse_yaml`` reads back, with non-ASCII letters unescaped.

    >>> to_yaml({"name": "Stra\u00dfe"})
    'name: Stra\u00dfe\\n'
    """
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    # PyYAML does not escape Unicode line breaks, and reads the first of them as a space.
    breaks = any(sign in text for sign in "\x85\u2028\u2029")
    return yaml.safe_dump(value, sort_keys=False) if breaks else text


def read_yaml(path: str | Path, *, kind: type[AaffError] = DataError) -> Any:
    """Read a YAML file, see ``parse_yaml``.

    Raises:
        AaffError: of ``kind``; the message names the file.
    """
    return parse_yaml(read_text(path, limit=MAX_YAML, kind=kind), str(path), kind=kind)


def parse_yaml(text: str, where: str, *, kind: type[AaffError] = DataError) -> Any:
    """Parse YAML to plain values: None, bool, int, float, str, list and dict.

    An unquoted scalar is null, a boolean (``yes`` and ``no`` too, as in YAML 1.1), a decimal number, or else text;
    dates, times, numbers of other bases and ``5e-4`` (as in YAML 1.1) are text.  An empty document is None.

    Args:
        text: the YAML.
        where: name of the source in error messages, such as the file's path.
        kind: type of the error to raise.

    Raises:
        AaffError: of ``kind``; it is not YAML, has aliases, tags or several documents, repeated keys in a mapping,
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
    """Valid YAML with a feature that is not allowed here."""


class _Yaml:
    """Builds values from PyYAML's events; its own constructors accept dates, merge keys and objects, and recurse."""

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
            if key in found:  # PyYAML silently keeps the later one, which would shift the class ids
                raise _Refused(f"the key {shown(key)} occurs twice{_at(event)}")
            found[key] = self._value(next(self._events), depth + 1)
        return found


_STR, _SEQ, _MAP = (f"tag:yaml.org,2002:{name}" for name in ("str", "seq", "map"))
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null"), None),
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
}
# Not broader than PyYAML's rules, so that text it writes without quotes is read as text here too.
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
    """Nesting depth of lists and mappings, computed without recursion."""
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
