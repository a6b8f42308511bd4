"""Data sets in any folders, described by a ``dataset.yaml``.

A full example:

    name: parking                      # also the name of the protocol
    classes:                           # in the order of their ids
      road: [128, 64, 128]             # a colour; its value in the files is its index in this list: 0
      car: {color: [64, 0, 128], values: [26, 27]}     # or other values, which are merged into one class
    encoding: ids                      # ids: index images; colors: colour masks
    ignore: [255]                      # ignored values: ids or colours
    void_color: [0, 0, 0]              # colour for drawing ignored pixels
    licence: CC BY 4.0                 # of the data; inherited by weights trained on it
    splits:
      train:
        images: images/train           # a folder, a pattern, or a list of them
        labels: labels/train
      val:
        images: frames/*.jpg           # the part matched by the star is the name of the frame
        labels: masks/*_mask.png
        names: lists/val.txt           # only these frames, one per line

A data set that labels only some classes of a protocol:

    name: street photos
    protocol: camvid11                 # whose ids and colours are used, unless a class defines its own
    classes: [road, car]               # or road: {values: [7]} and so on

All other values or colours in such files are ignored, so classes that a data set does not label are not learned as
background.

``encoding``, ``ignore``, ``void_color``, ``protocol``, ``licence`` and ``names`` are optional.  With
``encoding: colors``, a class is read from its own colour, ``values`` and ``ignore`` are colours, and black is ignored
unless it is a class.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from aaff.data.layouts.base import ColorReader, IdReader, Layout, Meaning, checked, ordered_splits
from aaff.data.layouts.lists import read_frame_list
from aaff.data.layouts.tables import unused_color
from aaff.data.pairing import Listing, image_files
from aaff.data.protocols import DRIVES, PROTOCOLS, protocol_labels
from aaff.data.sample import LabelReader, Sample
from aaff.errors import DataError, OptionError, UnknownNameError, brief, nearest, shown
from aaff.files import write_text
from aaff.folders import is_image_file
from aaff.images import read_mask, write_image
from aaff.labels import CAMVID11, IGNORE, RGB, ColorEntry, ColorTable, LabelMap, UInt8Array, to_rgb
from aaff.textfile import read_yaml, to_yaml

FILE = "dataset.yaml"

_KEYS = ("name", "protocol", "classes", "encoding", "ignore", "void_color", "licence", "license", "splits")
_CLASS_KEYS = ("color", "values")
_SPLIT_KEYS = ("images", "labels", "names")


@dataclass(frozen=True)
class Description:
    """The contents of a ``dataset.yaml``.

    Attributes:
        labels: names and colours of the classes.
        read_label: function that reads a label file as class ids.
        splits: for each split its ``images``, ``labels`` and optionally ``names``, as written.
    """

    labels: LabelMap
    read_label: LabelReader
    splits: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class PartialColorReader:
    """Reads colour masks in which only some colours are classes; all others are ignored."""

    table: ColorTable

    def __call__(self, path: Path) -> UInt8Array:
        return self.table.decode(read_mask(path))[0]


class Described(Layout):
    """The layout described by a ``dataset.yaml``."""

    name: ClassVar[str] = "yaml"
    looks_for: ClassVar[str] = f"a file {FILE} that names classes and splits"

    def detect(self, root: Path) -> bool:
        return (root / FILE).is_file()

    def splits(self, root: Path) -> list[str]:
        described = read_description(root / FILE).splits
        return ordered_splits(s for s, places in described.items() if not _missing(root, places))

    def listing(self, root: Path, split: str) -> Listing:
        places = read_description(root / FILE).splits[split]
        images, labels = (_files(root, places[key]) for key in ("images", "labels"))
        absent: tuple[str, ...] = ()
        if "names" in places:
            wanted = read_frame_list(root / str(places["names"]))
            absent = tuple(name for name in wanted if name not in images and name not in labels)
            images, labels = ({n: found[n] for n in wanted if n in found} for found in (images, labels))
        return Listing(f"split {split!r} of {root}", images, labels, absent)

    def meaning(self, root: Path, protocol: str | None) -> Meaning:
        described = read_description(root / FILE)
        possible = [described.labels.name, *([DRIVES] if described.labels.names == CAMVID11.names else [])]
        if protocol is not None and protocol not in possible:
            raise OptionError(f"{root / FILE} supports the protocol {' or '.join(possible)}, not {protocol}")
        return Meaning(protocol or described.labels.name, described.labels, described.read_label)

    def write(self, root: Path, split: str, samples: Iterable[Sample], labels: LabelMap) -> None:
        file = root / FILE
        plain: dict[str, Any] = {
            "name": labels.name,
            "classes": {name: list(color) for name, color in zip(labels.names, labels.colors, strict=True)},
            "void_color": list(labels.void_color),
        }
        splits: dict[str, Any] = {}
        if file.is_file():
            old = _mapping(read_yaml(file), "the file", file)
            if {**old, "splits": {}} != {**plain, "splits": {}}:
                raise DataError(f"{file} has other classes than those to be written; choose another folder")
            splits = dict(old["splits"])
        for sample in checked(samples, labels):
            write_image(root / "images" / split / f"{sample.name}.png", sample.image)
            write_image(root / "labels" / split / f"{sample.name}.png", sample.label)
        splits[split] = {"images": f"images/{split}", "labels": f"labels/{split}"}
        write_text(file, to_yaml({**plain, "splits": splits}))

    def licence(self, root: Path) -> str | None:
        data = read_yaml(root / FILE)
        found = data.get("licence", data.get("license")) if isinstance(data, dict) else None
        return brief(found) if found else None

    def missing_half(self, root: Path, split: str) -> str | None:
        places = read_description(root / FILE).splits.get(split)
        return f"{root / FILE} names {_missing(root, places)}, which is not there" if places else None


def read_description(path: Path) -> Description:
    """Read a ``dataset.yaml``.

    Raises:
        DataError: it is not YAML, a key is missing or unknown, a value has the wrong type, or values collide.
    """
    data = _mapping(read_yaml(path), "the file", path, _KEYS)
    for key in ("name", "classes", "splits"):
        if not data.get(key):
            raise DataError(f"{path} has no {key!r}; it needs name, classes and splits")
    if not isinstance(data["name"], str | int) or isinstance(data["name"], bool):
        raise DataError(f"{path}: the name of the data set must be text, not {shown(data['name'])}")
    encoding = data.get("encoding", "ids")
    if encoding not in ("ids", "colors"):
        raise DataError(f"{path}: encoding is {shown(encoding)}; it must be ids or colors")
    whole = _protocol(data.get("protocol"), path)
    colors: dict[str, RGB] = {}
    values: dict[str, list[Any]] = {}
    for name, described in _classes(data["classes"], whole, path).items():
        if not isinstance(name, str):
            raise DataError(f"{path}: the class name {shown(name)} is not text in YAML; put it in quotes")
        plain = {"color": described} if isinstance(described, list) else described
        plain = _mapping(plain, f"class {shown(name)}", path, _CLASS_KEYS)
        place = len(colors) if whole is None else whole.names.index(name)
        color = plain.get("color", None if whole is None else whole.colors[place])
        colors[name] = to_rgb(color, f"{path}: the colour of {shown(name)}")
        values[name] = _list(plain.get("values", [colors[name] if encoding == "colors" else place]))
    void = data.get("void_color")
    void_color = unused_color(list(colors.values())) if void is None else to_rgb(void, f"{path}: void_color")
    labels = LabelMap(str(data["name"]), tuple(colors), tuple(colors.values()), void_color)
    known = PROTOCOLS.get(labels.name)
    if known is not None and (known.names != labels.names or known.name != labels.name):
        raise DataError(f"{path}: {shown(labels.name)} is the name of other classes; give the data set another name")
    splits = {
        str(split): _split(places, str(split), path)
        for split, places in _mapping(data["splits"], "'splits'", path).items()
    }
    read_label = _reader(encoding, values, data.get("ignore"), whole or labels, path, partial=whole is not None)
    return Description(whole or labels, read_label, splits)


def _protocol(name: Any, path: Path) -> LabelMap | None:
    """The label map of the protocol of a partially labelled data set; None if the data set defines its own classes."""
    if name is None:
        return None
    try:
        return protocol_labels(str(name))
    except UnknownNameError as error:
        raise DataError(f"{path}: {error}") from error


def _classes(described: Any, whole: LabelMap | None, path: Path) -> Mapping[Any, Any]:
    """The classes by name; those of a partially labelled data set must be classes of the protocol."""
    if whole is None:
        return _mapping(described, "'classes'", path)
    if isinstance(described, list) and all(isinstance(name, str) for name in described):
        described = {name: {} for name in described}
    classes = _mapping(described, "'classes'", path)
    for name in classes:
        if name not in whole.names:
            close = nearest(str(name), whole.names)
            hint = f"did you mean {close!r}?" if close else f"it has {', '.join(whole.names)}"
            raise DataError(f"{path}: the class {shown(name)} is not in the protocol {whole.name}; {hint}")
    return classes


def _reader(
    encoding: str,
    values: Mapping[str, list[Any]],
    ignore: Any,
    labels: LabelMap,
    path: Path,
    *,
    partial: bool,
) -> LabelReader:
    """The label reader; for a partially labelled data set it ignores all other values."""
    ids = {name: i for i, name in enumerate(labels.names)}
    if encoding == "colors":
        if ignore is None:
            ignore = [] if (0, 0, 0) in labels.colors else [[0, 0, 0]]
        entries = [(name, value, ids[name]) for name, own in values.items() for value in own]
        entries += [("void", value, IGNORE) for value in _list(ignore)]
        table = [ColorEntry(name, to_rgb(value, f"{path}: a value of {shown(name)}"), i) for name, value, i in entries]
        reader = ColorReader(ColorTable(tuple(table)))
        return PartialColorReader(reader.table) if partial else reader
    meaning: dict[int, int] = {}
    pairs = [(value, ids[name]) for name, own in values.items() for value in own]
    ignored = [255] if ignore is None else _list(ignore)
    for value, label_id in [*pairs, *((value, IGNORE) for value in ignored)]:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 255:
            raise DataError(f"{path}: the value {shown(value)} is not an id; ids must be in [0, 255]")
        if meaning.setdefault(value, label_id) != label_id:
            raise DataError(f"{path}: the value {value} stands for two classes (or for one and for ignore)")
    return IdReader({value: meaning.get(value, IGNORE) for value in range(256)} if partial else meaning)


def _split(places: Any, split: str, path: Path) -> Mapping[str, Any]:
    found = _mapping(places, f"split {shown(split)}", path, _SPLIT_KEYS)
    for key in ("images", "labels"):
        if not all(isinstance(place, str) for place in _list(found.get(key))):
            raise DataError(f"{path}: split {shown(split)} needs {key!r}: a folder, a pattern or a list of them")
    if not isinstance(found.get("names", ""), str):
        raise DataError(f"{path}: 'names' of split {shown(split)} must be the name of a file")
    return found


def _files(root: Path, places: str | list[str]) -> dict[str, Path]:
    found: list[tuple[str, Path]] = []
    for place in _list(places):
        if "*" not in place:
            found += [(path.stem, path) for path in image_files(root / place)]
            continue
        before, star, after = place.rpartition("/")[2].partition("*")
        if not star or "*" in after or set("?[") & set(place):
            raise DataError(f"the pattern {shown(place)} needs exactly one *, in its last part, for the frame's name")
        name = re.compile(re.escape(before) + "(.*)" + re.escape(after))
        anchor = Path(place).anchor
        try:
            found_here = sorted((Path(anchor) if anchor else root).glob(place[len(anchor) :]))
        except (ValueError, NotImplementedError, OSError) as error:
            raise DataError(f"the pattern {shown(place)} cannot be used: {brief(error)}") from error
        for path in found_here:
            match = name.fullmatch(path.name)
            if match is not None and is_image_file(path):
                found.append((match[1] if "." in after else Path(match[1]).stem, path))
    names: dict[str, Path] = {}
    for frame, path in found:
        if names.setdefault(frame, path) != path:
            raise DataError(f"both {names[frame]} and {path} belong to the frame {shown(frame)}; remove one of them")
    return names


def _missing(root: Path, places: Mapping[str, Any]) -> str:
    """The first folder or list of a split that does not exist, or an empty string."""
    for key in ("images", "labels"):
        for place in _list(places[key]):
            fixed = root / place.partition("*")[0].rpartition("/")[0] if "*" in place else root / place
            if not os.path.isdir(fixed):
                return f"the {key} folder {fixed}"
    names = places.get("names")
    return f"the list {root / str(names)}" if names is not None and not os.path.isfile(root / str(names)) else ""


def _mapping(value: Any, what: str, path: Path, keys: tuple[str, ...] = ()) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{path}: {what} must be a mapping of keys to values, not {shown(value)}")
    for key in value:
        if keys and key not in keys:
            close = nearest(str(key), keys)
            hint = f"did you mean {close!r}?" if close else f"known: {', '.join(keys)}"
            raise DataError(f"{path}: {what} has the unknown key {shown(key)}; {hint}")
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
