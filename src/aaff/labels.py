"""Classes of a data set: ids, names and colours, and the id of ignored pixels.

In this package a label is uint8 [H, W] with ids 0 … num_classes−1, and 255 for ignored pixels.  Colours are RGB.  The
colours of CamVid are those of the data set's ``class_dict.csv``, its merge into 11 classes is that of the SegNet
release.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from aaff.errors import DataError, UnknownNameError, shown

RGB = tuple[int, int, int]
UInt8Array = npt.NDArray[np.uint8]

IGNORE = 255
"""Label id of ignored pixels, which no loss and no metric counts."""

_LONGEST_NAME = 100


@dataclass(frozen=True)
class LabelMap:
    """Names and colours of the classes, in the order of their ids.

    Attributes:
        name: short name of this set of labels, such as ``"camvid11"``.
        names: one name per class; unique.
        colors: one RGB colour (0–255) per class; unique.
        void_color: RGB colour of ignored pixels; not a class colour.

    Raises:
        DataError: lengths differ, names or colours repeat, more than 255 classes, a value outside 0–255, a name of
            more than 100 characters or with control characters.

    >>> CAMVID11.names[3], CAMVID11.num_classes
    ('road', 11)
    >>> CAMVID11.colorize(np.array([[0, 255]], np.uint8)).tolist()
    [[[128, 128, 128], [0, 0, 0]]]
    """

    name: str
    names: tuple[str, ...]
    colors: tuple[RGB, ...]
    void_color: RGB = (0, 0, 0)

    def __post_init__(self) -> None:
        where = f"label map {shown(self.name)}"
        for name in (self.name, *self.names[:256]):
            if len(name) > _LONGEST_NAME or any(unicodedata.category(sign) in ("Cc", "Cs") for sign in name):
                raise DataError(
                    f"{where} has the name {shown(name)}; a name has at most {_LONGEST_NAME} characters and no control "
                    "characters"
                )
        if not 1 <= len(self.names) <= 255:
            raise DataError(f"{where} has {len(self.names)} classes; it must have 1 to 255")
        if len(self.names) != len(self.colors):
            raise DataError(f"{where} has {len(self.names)} names but {len(self.colors)} colours")
        for what, values in (("name", self.names), ("colour", (*self.colors, self.void_color))):
            seen: set[object] = set()
            for value in values:
                if value in seen:
                    raise DataError(f"{where} uses the {what} {shown(value)} twice (void counts as one)")
                seen.add(value)
        for color in (*self.colors, self.void_color):
            if len(color) != 3 or not all(0 <= int(part) <= 255 for part in color):
                raise DataError(f"{where} has the colour {shown(color)}; a colour is three values of 0 to 255")

    @property
    def num_classes(self) -> int:
        """Number of classes, without void."""
        return len(self.names)

    @cached_property
    def palette(self) -> UInt8Array:
        """Colours as uint8 [256, 3], one row per id; ids that are not a class have the void colour."""
        table = np.empty((256, 3), np.uint8)
        table[:] = self.void_color
        table[: len(self.colors)] = self.colors
        table.setflags(write=False)
        return table

    def colorize(self, label: UInt8Array) -> UInt8Array:
        """Colour a label uint8 [H, W]; returns RGB uint8 [H, W, 3]."""
        return self.palette[label]

    def color_table(self) -> ColorTable:
        """The table for decoding colour masks, the inverse of ``colorize``."""
        entries = [ColorEntry(n, c, i) for i, (n, c) in enumerate(zip(self.names, self.colors, strict=True))]
        return ColorTable((*entries, ColorEntry("void", self.void_color, IGNORE)))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready form; ``from_dict`` reads it back."""
        return {
            "name": self.name,
            "names": list(self.names),
            "colors": [list(c) for c in self.colors],
            "void_color": list(self.void_color),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LabelMap:
        """Read the form that ``to_dict`` returns.

        Raises:
            DataError: a key is missing or a value has the wrong type.
        """
        if not isinstance(data, Mapping):
            raise DataError(f"a label map is a mapping with name, names and colors, not {shown(data)}")
        name, names, colors = (data.get(key) for key in ("name", "names", "colors"))
        if not isinstance(name, str):
            raise DataError(f"the name of a label map must be text, not {shown(name)}")
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            raise DataError(f"the names of label map {shown(name)} must be a list of texts, not {shown(names)}")
        if not isinstance(colors, list):
            raise DataError(f"the colors of label map {shown(name)} must be a list, not {shown(colors)}")
        void = data.get("void_color", [0, 0, 0])
        return cls(name, tuple(names), tuple(to_rgb(c) for c in colors), to_rgb(void))


def to_rgb(value: object, what: str = "a colour") -> RGB:
    """Check a colour read from a file.

    Args:
        value: a list or tuple.
        what: name of the value in the error message.

    Raises:
        DataError: it is not three whole numbers in [0, 255].
    """
    parts = list(value) if isinstance(value, list | tuple) and len(value) == 3 else []
    if len(parts) != 3 or not all(type(part) is int and 0 <= part <= 255 for part in parts):
        raise DataError(f"{what} is {shown(value)}; it must be three values of 0 to 255, such as [128, 64, 128]")
    return parts[0], parts[1], parts[2]


@dataclass(frozen=True)
class ColorEntry:
    """One colour of a colour-mask format: its own name, RGB, and the id it is read as (255 = ignored)."""

    name: str
    color: RGB
    id: int


@dataclass(frozen=True)
class ColorTable:
    """The class of each colour of a colour mask; several colours may share an id (merged classes).

    >>> table = CAMVID11.color_table()
    >>> ids, unknown = table.decode(np.array([[[128, 64, 128], [1, 2, 3]]], np.uint8))
    >>> ids.tolist(), unknown
    ([[3, 255]], {(1, 2, 3): 1})
    """

    entries: tuple[ColorEntry, ...]

    def __post_init__(self) -> None:
        seen: dict[RGB, ColorEntry] = {}
        for entry in self.entries:
            before = seen.setdefault(entry.color, entry)
            if before != entry:
                raise DataError(f"colour {entry.color} stands for both {shown(before.name)} and {shown(entry.name)}")

    @cached_property
    def _ids(self) -> npt.NDArray[np.uint16]:
        # A table with an entry for each of the 2^24 colours, ten times as fast as a search.  It holds id + 1, so that
        # entries of unknown colours are untouched zeros, which take no memory, and 0 − 1 is 255 in a byte.
        table = np.zeros(1 << 24, np.uint16)
        for entry in self.entries:
            table[_pack(np.array([[entry.color]], np.uint8))] = entry.id + 1
        return table

    def __reduce__(self) -> tuple[type[ColorTable], tuple[tuple[ColorEntry, ...]]]:
        # Pickle only the entries for worker processes, not the 32 MiB table.
        return ColorTable, (self.entries,)

    def decode(self, mask: UInt8Array) -> tuple[UInt8Array, dict[RGB, int]]:
        """Decode a colour mask to class ids.

        Args:
            mask: uint8 [H, W, 3], RGB.

        Returns:
            The label uint8 [H, W], and the pixel count of every colour that is not in the table.  Pixels of unknown
            colours have the id 255; the caller decides whether that is an error.
        """
        packed = _pack(mask)
        found = self._ids.take(packed)
        unknown: dict[RGB, int] = {}
        if not found.all():
            colors, counts = np.unique(packed[found == 0], return_counts=True)
            unknown = {
                (int(c) & 255, int(c) >> 8 & 255, int(c) >> 16): int(n) for c, n in zip(colors, counts, strict=True)
            }
        return (found - np.uint16(1)).astype(np.uint8), unknown


def _pack(colors: UInt8Array) -> npt.NDArray[np.uint32]:
    """One number per colour of [H, W, 3]: red + 256 green + 65536 blue."""
    packed = colors[..., 2].astype(np.uint32)
    for channel in (1, 0):
        packed <<= 8
        packed |= colors[..., channel]
    return packed


CAMVID11 = LabelMap(
    "camvid11",
    ("sky", "building", "pole", "road", "pavement", "tree", "sign symbol", "fence", "car", "pedestrian", "bicyclist"),
    (
        (128, 128, 128),
        (128, 0, 0),
        (192, 192, 128),
        (128, 64, 128),
        (0, 0, 192),
        (128, 128, 0),
        (192, 128, 128),
        (64, 64, 128),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
    ),
)
"""The 11 classes of the SegNet release of CamVid, ids 0–10."""

CAMVID_RAW: tuple[tuple[str, RGB, str], ...] = (
    ("Animal", (64, 128, 64), "pedestrian"),
    ("Archway", (192, 0, 128), "building"),
    ("Bicyclist", (0, 128, 192), "bicyclist"),
    ("Bridge", (0, 128, 64), "building"),
    ("Building", (128, 0, 0), "building"),
    ("Car", (64, 0, 128), "car"),
    ("CartLuggagePram", (64, 0, 192), "pedestrian"),
    ("Child", (192, 128, 64), "pedestrian"),
    ("Column_Pole", (192, 192, 128), "pole"),
    ("Fence", (64, 64, 128), "fence"),
    ("LaneMkgsDriv", (128, 0, 192), "road"),
    ("LaneMkgsNonDriv", (192, 0, 64), "road"),
    ("Misc_Text", (128, 128, 64), "sign symbol"),
    ("MotorcycleScooter", (192, 0, 192), "bicyclist"),
    ("OtherMoving", (128, 64, 64), "car"),
    ("ParkingBlock", (64, 192, 128), "pavement"),
    ("Pedestrian", (64, 64, 0), "pedestrian"),
    ("Road", (128, 64, 128), "road"),
    ("RoadShoulder", (128, 128, 192), "pavement"),
    ("Sidewalk", (0, 0, 192), "pavement"),
    ("SignSymbol", (192, 128, 128), "sign symbol"),
    ("Sky", (128, 128, 128), "sky"),
    ("SUVPickupTruck", (64, 128, 192), "car"),
    ("TrafficCone", (0, 0, 64), "pole"),
    ("TrafficLight", (0, 64, 64), "sign symbol"),
    ("Train", (192, 64, 128), "car"),
    ("Tree", (128, 128, 0), "tree"),
    ("Truck_Bus", (192, 128, 192), "car"),
    ("Tunnel", (64, 0, 64), "building"),
    ("VegetationMisc", (192, 192, 0), "tree"),
    ("Void", (0, 0, 0), "void"),
    ("Wall", (64, 192, 0), "building"),
)
"""The 32 colours of original CamVid: name, RGB, and the class of ``CAMVID11`` it merges into."""

CAMVID32 = LabelMap(
    "camvid32",
    tuple(name for name, _, merged in CAMVID_RAW if merged != "void"),
    tuple(color for _, color, merged in CAMVID_RAW if merged != "void"),
)
"""The 31 raw classes of original CamVid, in alphabetical order; void is ignored."""

CITYSCAPES19 = LabelMap(
    "cityscapes19",
    (
        "road",
        "sidewalk",
        "building",
        "wall",
        "fence",
        "pole",
        "traffic light",
        "traffic sign",
        "vegetation",
        "terrain",
        "sky",
        "person",
        "rider",
        "car",
        "truck",
        "bus",
        "train",
        "motorcycle",
        "bicycle",
    ),
    (
        (128, 64, 128),
        (244, 35, 232),
        (70, 70, 70),
        (102, 102, 156),
        (190, 153, 153),
        (153, 153, 153),
        (250, 170, 30),
        (220, 220, 0),
        (107, 142, 35),
        (152, 251, 152),
        (70, 130, 180),
        (220, 20, 60),
        (255, 0, 0),
        (0, 0, 142),
        (0, 0, 70),
        (0, 60, 100),
        (0, 80, 100),
        (0, 0, 230),
        (119, 11, 32),
    ),
)
"""The 19 training classes of Cityscapes in the order of their trainIds (github.com/mcordts/cityscapesScripts)."""

KITTI = LabelMap("kitti", CITYSCAPES19.names, CITYSCAPES19.colors)
"""KITTI's semantic benchmark: the classes, ids and colours of Cityscapes (cvlibs.net/datasets/kitti)."""

BDD100K = LabelMap("bdd100k", CITYSCAPES19.names, CITYSCAPES19.colors)
"""BDD100K's semantic segmentation: the classes, ids and colours of Cityscapes (arXiv:1805.04687)."""

LABEL_MAPS = {labels.name: labels for labels in (CAMVID11, CAMVID32, CITYSCAPES19, KITTI, BDD100K)}
"""The label maps that can be found by name."""


def find_labels(name: str) -> LabelMap:
    """Find a label map by name.

    Raises:
        UnknownNameError: there is no such label map; the message suggests the nearest name.

    >>> find_labels("bdd100k").names[:3]
    ('road', 'sidewalk', 'building')
    """
    if name not in LABEL_MAPS:
        raise UnknownNameError("label map", name, LABEL_MAPS)
    return LABEL_MAPS[name]
