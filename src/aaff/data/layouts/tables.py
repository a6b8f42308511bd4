"""Tables of the classes and their colours: ``class_dict.csv`` and ``label_colors.txt``.

The Kaggle release of CamVid has the first, the original data the second.  Both list the same 32 colours, in any order;
``table_meaning`` maps either to ids.  A table with other classes defines a protocol of its own, with ids in the order
of its rows.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from pathlib import Path

from aaff.data.layouts.base import ColorReader, Meaning
from aaff.data.protocols import PROTOCOLS, protocol_labels
from aaff.errors import DataError, OptionError, brief, shown
from aaff.files import write_text
from aaff.labels import CAMVID11, CAMVID32, CAMVID_RAW, IGNORE, RGB, ColorEntry, ColorTable, LabelMap
from aaff.textfile import read_text

Rows = Sequence[tuple[str, RGB]]
"""Name and colour of each row of a table."""

_HEADINGS = {
    "name": ("name", "class", "classname", "label", "labelname", "category"),
    "red": ("r", "red"),
    "green": ("g", "green"),
    "blue": ("b", "blue"),
}
_LARGEST = 1_000_000
"""Maximum size in bytes of a table with at most 255 classes and their colours."""
_VOID_NAMES = ("void", "unlabeled", "unlabelled", "ignore", "ignored")


def read_class_dict(path: Path) -> list[tuple[str, RGB]]:
    """Read the rows of a ``class_dict.csv``: one class per line, with its name and three colour values.

    Spaces around the values, other spellings of the headings (``Class``, ``red``), another order of the columns and
    additional columns are accepted.  Without headings, the columns are name, r, g, b.

    Raises:
        DataError: there is no such file, or a line is not a name and three values in [0, 255].
    """
    try:
        lines = csv.reader(_read_text(path).splitlines(), skipinitialspace=True)
        rows = [[cell.strip() for cell in row] for row in lines]
    except csv.Error as error:
        raise DataError(f"{path} is not a table of names and colours: {error}") from error
    numbered = [(number, row) for number, row in enumerate(rows, 1) if any(row)]
    if not numbered:
        raise DataError(f"{path} is empty; it needs a line 'name,r,g,b' and one line per class")
    columns = {"name": 0, "red": 1, "green": 2, "blue": 3}
    heading = [_plain(cell) for cell in numbered[0][1]]
    if not any(cell.isdecimal() for cell in heading):
        for what, spellings in _HEADINGS.items():
            place = next((i for i, cell in enumerate(heading) if cell in spellings), None)
            if place is None:
                raise DataError(f"{path} has no column for {what}; its headings are {shown(numbered[0][1])}")
            columns[what] = place
        numbered = numbered[1:]
    found = []
    for number, row in numbered:
        if len(row) <= max(columns.values()):
            raise DataError(f"{path}, line {number}: {len(row)} values, but name, r, g and b are needed")
        values = [row[columns[what]] for what in ("red", "green", "blue")]
        found.append((row[columns["name"]], _color(values, path, number)))
    return _checked(found, path)


def read_label_colors(path: Path) -> list[tuple[str, RGB]]:
    """Read the rows of a ``label_colors.txt``: three colour values and the name, separated by spaces or tabs.

    Raises:
        DataError: there is no such file, or a line does not have this form.
    """
    found = []
    for number, line in enumerate(_read_text(path).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        words = line.split(maxsplit=3)
        if len(words) < 4:
            raise DataError(f"{path}, line {number}: {shown(line.strip())} is not three colour values and a name")
        found.append((words[3].strip(), _color(words[:3], path, number)))
    return _checked(found, path)


def write_class_dict(path: Path, labels: LabelMap) -> None:
    """Write a table for ``read_class_dict``; an existing file with the same rows is not changed.

    Raises:
        DataError: the file has other classes, or a name cannot be written to it.
    """
    rows = _rows_to_write(path, labels)
    if path.is_file():
        _demand_same(path, read_class_dict(path), rows)
        return
    quoted = [('"' + name.replace('"', '""') + '"' if set(name) & set(',"') else name, color) for name, color in rows]
    write_text(path, "".join(["name,r,g,b\n", *(f"{name},{r},{g},{b}\n" for name, (r, g, b) in quoted)]))


def write_label_colors(path: Path, labels: LabelMap) -> None:
    """Write a table for ``read_label_colors``; an existing file with the same rows is not changed.

    Raises:
        DataError: the file has other classes, or a name cannot be written to it.
    """
    rows = _rows_to_write(path, labels)
    if path.is_file():
        _demand_same(path, read_label_colors(path), rows)
        return
    write_text(path, "".join(f"{r} {g} {b}\t{name}\n" for name, (r, g, b) in rows))


def table_meaning(root: Path, file: Path, rows: Rows, protocol: str | None) -> Meaning:
    """Label map and label reader of a table under a protocol.

    A table with the class names of CamVid, raw or merged, supports ``camvid11`` (the default), ``camvid11-drives`` and,
    if they are the raw ones, ``camvid32``.  Any other table has only its own protocol, named after the folder.

    Raises:
        OptionError: the table does not support that protocol.
        DataError: a colour is used for two classes.
    """
    own_name = _own_name(root)
    strange = [name for name, _ in rows if _plain(name) not in _CAMVID11_IDS]
    if strange and (protocol is None or protocol == own_name):
        labels, table = _own_classes(own_name, rows)
        return Meaning(own_name, labels, ColorReader(table))
    if strange and protocol in PROTOCOLS:
        raise OptionError(
            f"{file} has the class {shown(strange[0])}, which CamVid does not know, so it cannot give protocol "
            f"{protocol}; leave the protocol out or name its own, {own_name!r}"
        )
    labels = protocol_labels(protocol or CAMVID11.name)
    ids = {"camvid11": _CAMVID11_IDS, "camvid32": _CAMVID32_IDS}.get(labels.name)
    missing = [name for name, _ in rows if ids is None or _plain(name) not in ids]
    if ids is None or missing:
        raise OptionError(
            f"{file} cannot give protocol {protocol}: "
            + (
                f"its class {shown(missing[0])} is a merged one; use camvid11"
                if ids
                else "its classes are those of CamVid"
            )
        )
    table = ColorTable(tuple(ColorEntry(name, color, ids[_plain(name)]) for name, color in rows))
    return Meaning(protocol or labels.name, labels, ColorReader(table))


def unused_color(colors: Sequence[RGB]) -> RGB:
    """Black, or the first grey that is not among ``colors``: a void colour for data sets that define none."""
    return next((grey, grey, grey) for grey in range(256) if (grey, grey, grey) not in set(colors))


def _own_classes(name: str, rows: Rows) -> tuple[LabelMap, ColorTable]:
    classes = [(n, color) for n, color in rows if _plain(n) not in _VOID_NAMES]
    void = [(n, color) for n, color in rows if _plain(n) in _VOID_NAMES]
    colors = tuple(color for _, color in classes)
    labels = LabelMap(name, tuple(n for n, _ in classes), colors, void[0][1] if void else unused_color(colors))
    entries = [ColorEntry(n, color, i) for i, (n, color) in enumerate(classes)]
    return labels, ColorTable((*entries, *(ColorEntry(n, color, IGNORE) for n, color in void)))


def _own_name(root: Path) -> str:
    name = re.sub(r"\W+", "-", Path(os.path.realpath(root)).name).strip("-").lower() or "own"
    return f"{name}-own" if name in PROTOCOLS else name


def _plain(name: str) -> str:
    """``Column_Pole`` and ``column pole`` are the same class."""
    return re.sub(r"[\W_]", "", name).lower()


_CAMVID32_IDS = {_plain(name): i for i, name in enumerate(CAMVID32.names)} | {"void": IGNORE}
_CAMVID11_IDS = (
    {_plain(name): i for i, name in enumerate(CAMVID11.names)}
    | {_plain(raw): CAMVID11.names.index(merged) for raw, _, merged in CAMVID_RAW if merged != "void"}
    | {"void": IGNORE}
)


def _read_text(path: Path) -> str:
    if not path.is_file():
        raise DataError(f"there is no {path.name} in {path.parent}; it must list the classes of the mask colours")
    return read_text(path, limit=_LARGEST)


def _color(values: Sequence[str], path: Path, number: int) -> RGB:
    if not all(v.isascii() and v.isdecimal() and len(v) <= 3 and int(v) <= 255 for v in values):
        raise DataError(
            f"{path}, line {number}: the colour {brief(' '.join(values))} must be three whole numbers in [0, 255]"
        )
    red, green, blue = (int(v) for v in values)
    return red, green, blue


def _checked(rows: list[tuple[str, RGB]], path: Path) -> list[tuple[str, RGB]]:
    if not rows:
        raise DataError(f"{path} names no class")
    for what, place in (("class", 0), ("colour", 1)):
        seen = set()
        for row in rows:
            if row[place] in seen:
                raise DataError(f"{path} names the {what} {shown(row[place])} twice; each must be listed once")
            seen.add(row[place])
    if any(not name for name, _ in rows):
        raise DataError(f"{path} has a colour without a name")
    return rows


def _rows_to_write(path: Path, labels: LabelMap) -> list[tuple[str, RGB]]:
    for name in labels.names:
        if name != name.strip() or len(name.splitlines()) != 1 or _plain(name) in _VOID_NAMES or name.startswith("#"):
            raise DataError(f"the class name {name!r} cannot be written to {path}")
    return [*zip(labels.names, labels.colors, strict=True), ("Void", labels.void_color)]


def _demand_same(path: Path, found: Rows, wanted: Rows) -> None:
    if sorted(found) != sorted(wanted):
        raise DataError(f"{path} has other classes than those to be written; choose another folder")
