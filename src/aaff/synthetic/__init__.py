"""Synthetic street scenes with labels, rendered with NumPy and OpenCV: a data set without a download.

A *drive* is a camera moving along one street under constant lighting; its frames make a video.  Each drive number is a
different street.  The image for (drive, frame, size) is always the same, with any number of threads.

>>> scene = render(drive=3, frame=0, size=Size(96, 72))
>>> scene.image.shape, scene.label.shape, scene.label.dtype
((72, 96, 3), (72, 96), dtype('uint8'))
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from aaff.errors import OptionError
from aaff.labels import CAMVID11, CAMVID_RAW, IGNORE, UInt8Array
from aaff.preprocess import Size
from aaff.synthetic.bridges import Bridge
from aaff.synthetic.buildings import House
from aaff.synthetic.camera import FAR, Camera
from aaff.synthetic.canvas import Canvas
from aaff.synthetic.ground import paint_ground
from aaff.synthetic.lens import outline, photograph
from aaff.synthetic.site import CHUNK
from aaff.synthetic.sky import paint_sky
from aaff.synthetic.street import street
from aaff.synthetic.traffic import moving
from aaff.synthetic.trees import Tree
from aaff.synthetic.vehicles import Vehicle
from aaff.synthetic.world import chunk, strip_of

__all__ = ["Scene", "frames", "merge", "render"]

_LARGE = (House, Tree, Bridge, Vehicle)
_SMALLEST = 9.0  # minimum height of a person in pixels; annotators do not label smaller ones

_MERGE = np.full(256, IGNORE, np.uint8)
for _i, _merged in enumerate(merged for _, _, merged in CAMVID_RAW if merged != "void"):
    _MERGE[_i] = CAMVID11.names.index(_merged)
_MERGE.setflags(write=False)


@dataclass(frozen=True)
class Scene:
    """One synthetic frame with its label.

    Attributes:
        image: RGB uint8 [H, W, 3].
        label: uint8 [H, W], class ids of ``aaff.labels.CAMVID11``, 255 = ignored.
        raw: uint8 [H, W], class ids of ``aaff.labels.CAMVID32``, 255 = ignored, from which ``label`` is merged.
    """

    image: UInt8Array
    label: UInt8Array
    raw: UInt8Array


def merge(raw: UInt8Array) -> UInt8Array:
    """Map class ids of ``CAMVID32`` to those of ``CAMVID11``; void stays void."""
    return _MERGE[raw]


def check_size(size: Size) -> None:
    """Check that scenes can be rendered at a size.

    Raises:
        OptionError: the size is below 16x16.
    """
    if size.width < 16 or size.height < 16:
        raise OptionError(f"synthetic scenes of {size} are too small; give at least 16x16")


def render(drive: int, frame: int, size: Size = Size(480, 360)) -> Scene:
    """Render one frame.

    Args:
        drive: number of the street and camera, from 0.
        frame: number of the frame in the drive, from 0, at 30 per second.
        size: width and height in pixels, each at least 16.

    Raises:
        OptionError: a number is out of range.
    """
    if drive < 0 or frame < 0:
        raise OptionError(f"drive {drive}, frame {frame}: both are counted from 0")
    check_size(size)
    road = street(drive)
    camera = Camera(road, frame, size)
    canvas = Canvas(road, camera)
    first, last = int((camera.s - 24.0) // CHUNK), int((camera.s + FAR + 10.0) // CHUNK)
    things = [thing for k in range(first, last + 1) for thing in chunk(drive, k).things]
    things += moving(road, camera)
    far = camera.focal * 1.7 / _SMALLEST
    seen = [t for t in things if -22.0 < t.s - camera.s < (FAR if isinstance(t, _LARGE) else far)]
    paint_sky(canvas)
    for thing in seen:
        if thing.s - camera.s < (100.0 if isinstance(thing, _LARGE) else 50.0):
            thing.shadow(canvas)
    canvas.settle_shadows()
    paint_ground(canvas, strip_of(drive, first, last))
    for thing in sorted(seen, key=lambda t: t.order(), reverse=True):
        thing.draw(canvas)
    raw = outline(canvas)
    return Scene(photograph(canvas, frame), merge(raw), raw)


def frames(drive: int, count: int, size: Size = Size(480, 360), *, start: int = 0, step: int = 1) -> Iterator[Scene]:
    """Render ``count`` frames of a drive, every ``step``-th from ``start`` on; step 1 makes a video at 30 fps."""
    for index in range(count):
        yield render(drive, start + index * step, size)
