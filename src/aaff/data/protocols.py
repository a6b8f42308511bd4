"""Evaluation protocols: the label set and the splits that a score refers to.

``camvid11``         11 classes merged from the 31 raw ones of CamVid; the default.
``camvid32``         the 31 raw classes (32 colours with void, which is ignored).
``camvid11-drives``  the 11 classes, trained on two of the three drives of train + val, scored on the
                     third.  The val frames of CamVid lie between training frames of the same drive, so
                     only this protocol measures the accuracy on an unseen street.
``cityscapes19``     the 19 training classes of Cityscapes.
``kitti``            the same classes on KITTI.
``bdd100k``          the same classes on BDD100K.

Other data sets have their own label map, whose name is also the name of the protocol.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from aaff.data.sample import Pair
from aaff.errors import DataError, UnknownNameError
from aaff.labels import CAMVID11, LABEL_MAPS, LabelMap

DRIVES = "camvid11-drives"
"""The protocol that holds out a whole drive."""

PROTOCOLS: dict[str, LabelMap] = LABEL_MAPS | {DRIVES: CAMVID11}
"""Protocol → label map, for protocols with a fixed one."""

_HELD_OUT = "drive-"
_TRAINED_ON = "train-without-"


def protocol_labels(name: str) -> LabelMap:
    """Label map of a protocol.

    Raises:
        UnknownNameError: there is no such protocol; the message suggests the nearest one.
    """
    if name not in PROTOCOLS:
        raise UnknownNameError("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]


def drive(frame_name: str) -> str:
    """The recording of a frame: the part of its name before the first underscore.

    This is the drive in CamVid (which has four) and the city in Cityscapes.

    Raises:
        DataError: the name has no such part.

    >>> drive("0006R0_f02670"), drive("Seq05VD_f00000")
    ('0006R0', 'Seq05VD')
    """
    before, underscore, _ = frame_name.partition("_")
    if not before or not underscore:
        raise DataError(f"frame {frame_name!r} does not name its drive; use a name such as 0001TP_006690")
    return before


def drives(frame_names: Iterable[str]) -> dict[str, int]:
    """Number of frames per drive, sorted by the name of the drive.

    Raises:
        DataError: a name has no drive.

    >>> drives(["0006R0_f02670", "0001TP_006690", "0006R0_f02700"])
    {'0001TP': 1, '0006R0': 2}
    """
    return dict(sorted(Counter(drive(name) for name in frame_names).items()))


def drive_splits(frame_names: Iterable[str]) -> list[str]:
    """The splits of ``camvid11-drives`` for frames of these drives; none if there is only one drive.

    >>> drive_splits(["0001TP_006690", "0006R0_f02670"])
    ['train-without-0001TP', 'drive-0001TP', 'train-without-0006R0', 'drive-0006R0']
    """
    found = drives(frame_names)
    if len(found) < 2:
        return []
    return [prefix + name for name in found for prefix in (_TRAINED_ON, _HELD_OUT)]


def select_drive_split(pairs: Sequence[Pair], split: str) -> tuple[Pair, ...]:
    """Select the frames of one split of ``camvid11-drives``, in the order of their names.

    Args:
        pairs: the frames of train + val.
        split: ``"drive-0001TP"`` for the held-out drive, ``"train-without-0001TP"`` for the others.

    Raises:
        UnknownNameError: these frames have no such split.
    """
    known = drive_splits(pair.name for pair in pairs)
    if split not in known:
        raise UnknownNameError(f"split of protocol {DRIVES}", split, known)
    held_out = split.startswith(_HELD_OUT)
    name = split.removeprefix(_HELD_OUT if held_out else _TRAINED_ON)
    chosen = (pair for pair in pairs if (drive(pair.name) == name) is held_out)
    return tuple(sorted(chosen, key=lambda pair: pair.name))
