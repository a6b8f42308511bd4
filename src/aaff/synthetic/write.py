"""Write synthetic scenes to disk: a data set in any layout, or a video."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from aaff.data import licence
from aaff.data.layouts import list_layouts, write_dataset
from aaff.data.sample import Sample
from aaff.errors import OptionError, UnknownNameError
from aaff.files import new_folder, write_text
from aaff.labels import CAMVID11, CAMVID32, CITYSCAPES19, IGNORE, LabelMap, UInt8Array
from aaff.preprocess import Size
from aaff.synthetic import Scene, frames, render
from aaff.synthetic.street import FPS
from aaff.video.writer import VideoWriter

SPACING = 30
"""Frame interval between written frames: one per second, as in CamVid."""

MOST_SECONDS = 3600.0
"""Maximum length of a video."""

_PER_DRIVE = 6
_SPLITS = ("train", "val", "test")
_ROOM = 10_000  # number of drives reserved for each split of each seed

_LABELS = {labels.name: labels for labels in (CAMVID11, CAMVID32, CITYSCAPES19)}
_USUAL = {"kaggle": "camvid32", "original": "camvid32", "cityscapes": "cityscapes19"}

_TO_CITYSCAPES = {
    "road": ("LaneMkgsDriv", "LaneMkgsNonDriv", "Road"),
    "sidewalk": ("ParkingBlock", "Sidewalk"),
    "building": ("Archway", "Bridge", "Building", "Tunnel"),
    "wall": ("Wall",),
    "fence": ("Fence",),
    "pole": ("Column_Pole",),
    "traffic light": ("TrafficLight",),
    "traffic sign": ("Misc_Text", "SignSymbol"),
    "vegetation": ("Tree",),
    "terrain": ("RoadShoulder", "VegetationMisc"),
    "sky": ("Sky",),
    "person": ("Child", "Pedestrian"),
    "rider": ("Bicyclist",),
    "car": ("Car", "SUVPickupTruck"),
    "truck": ("Truck_Bus",),
    "train": ("Train",),
    "motorcycle": ("MotorcycleScooter",),
}
"""Class of Cityscapes → the most similar raw classes; all others become void."""


def write_scenes(
    root: str | Path,
    *,
    layout: str = "segnet",
    size: Size = Size(480, 360),
    train: int = 300,
    val: int = 60,
    test: int = 60,
    seed: int = 0,
    labels: str | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> None:
    """Write a data set of synthetic streets, atomically.

    Each split has its own drives, and frames of a drive are one second apart, as in CamVid.

    Args:
        root: folder of the data set, created if missing.
        layout: one of ``aaff.data.layouts.list_layouts``.
        size: size of images and labels.
        train, val, test: number of frames; 0 omits a split.
        seed: random seed of the streets.
        labels: ``"camvid11"``, ``"camvid32"`` or ``"cityscapes19"``; None: those usual for the layout.
        progress: called with the split, the number of frames written and the total.

    Raises:
        OptionError: a count or the seed is negative, or no frames are requested.
        UnknownNameError: there is no such layout or label set.
        DataError: the folder is not empty, or the layout does not support these labels.
    """
    counts = dict(zip(_SPLITS, (train, val, test), strict=True))
    if min(counts.values()) < 0 or seed < 0:
        raise OptionError("the number of frames and the seed cannot be negative")
    if not any(counts.values()):
        raise OptionError("no frames are requested; give train, val or test")
    if layout not in list_layouts():
        raise UnknownNameError("layout", layout, list_layouts())
    chosen = labels if labels is not None else _USUAL.get(layout, "camvid11")
    if chosen not in _LABELS:
        raise UnknownNameError("label set", chosen, _LABELS)
    with new_folder(root) as folder:  # must be empty, since frames of another seed or size would mix with these
        for split, count in counts.items():
            if count:
                samples = _samples(split, count, size, seed, _LABELS[chosen], progress)
                write_dataset(layout, folder, split, samples, _LABELS[chosen])
        write_text(folder / licence.FILE, licence.SYNTHETIC + "\n")


def plan(split: str, count: int, seed: int = 0) -> list[tuple[int, int]]:
    """(drive, frame) of every frame in a split, in the order of ``write_scenes``.

    >>> plan("val", 3, seed=0)
    [(10000, 0), (10000, 30), (10000, 60)]
    """
    base = (len(_SPLITS) * seed + _SPLITS.index(split)) * _ROOM
    drives = max(1, min(count // 4, 4), -(-count // _PER_DRIVE))
    return [
        (base + drive, SPACING * i)
        for drive in range(drives)
        for i in range(count // drives + (1 if drive < count % drives else 0))
    ]


def _samples(
    split: str,
    count: int,
    size: Size,
    seed: int,
    labels: LabelMap,
    progress: Callable[[str, int, int], None] | None,
) -> Iterator[Sample]:
    for done, (drive, frame) in enumerate(plan(split, count, seed), 1):
        scene = render(drive, frame, size)
        yield Sample(f"D{drive:05d}_{frame:05d}", scene.image, _label(scene, labels))
        if progress is not None:
            progress(split, done, count)


def _label(scene: Scene, labels: LabelMap) -> UInt8Array:
    if labels is CAMVID11:
        return scene.label
    if labels is CAMVID32:
        return scene.raw
    return _CITYSCAPES[scene.raw]


_CITYSCAPES = np.full(256, IGNORE, np.uint8)
for _name, _raws in _TO_CITYSCAPES.items():
    for _raw in _raws:
        _CITYSCAPES[CAMVID32.names.index(_raw)] = CITYSCAPES19.names.index(_name)


def write_video(
    path: str | Path,
    *,
    seconds: float = 20.0,
    size: Size = Size(480, 360),
    drive: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> None:
    """Write one drive as an H.264 video of 30 frames per second.

    Args:
        path: the ``.mp4`` file; an existing file is replaced.
        seconds: length of the video.
        size: size of the frames.
        drive: number of the drive.
        progress: called with ``"video"``, the number of frames written and the total.

    Raises:
        OptionError: the suffix is not ``.mp4``, or the length is out of range.
        AaffError: the file cannot be written.
    """
    count = check_video(path, seconds)
    with VideoWriter(path, rate=Fraction(int(FPS)), quality=20) as video:
        for done, scene in enumerate(frames(drive, count, size), 1):
            video.write(scene.image)
            if progress is not None:
                progress("video", done, count)


def check_video(path: str | Path, seconds: float) -> int:
    """Check the arguments of ``write_video`` and return the number of frames it would write.

    Raises:
        OptionError: see ``write_video``.
    """
    if Path(path).suffix.lower() != ".mp4":
        raise OptionError(f"a video is written as .mp4, not as {Path(path).name}")
    if not 1 / FPS <= seconds <= MOST_SECONDS:
        raise OptionError(f"a video cannot have {seconds} seconds; give 0.1 to {MOST_SECONDS:g}")
    return round(seconds * FPS)
