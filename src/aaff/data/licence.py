"""The licence of a data set, which the weights trained on it inherit.

It is read from the data set: from ``licence:`` in ``dataset.yaml``, or from the first line of ``licence.txt`` in its
folder, or it is that of a known data set whose frame names are found.  Otherwise it is ``"unspecified"``.  Class names
are no evidence, since any data set may use them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from aaff.errors import brief
from aaff.textfile import read_text

FILE = "licence.txt"
"""Name of the file whose first line is the licence."""

UNSPECIFIED = "unspecified"

CAMVID = "research and other non-commercial use only (trained on CamVid, CC BY-NC 4.0)"
SYNTHETIC = "no restriction by the data (trained on synthetic scenes made by aaff)"

_CAMVID_DRIVES = ("0001TP_", "0006R0_", "0016E5_", "Seq05VD_")
"""CamVid's four recordings, with which the names of its frames begin."""


def find_licence(root: Path, frame_names: Iterable[str]) -> str:
    """Find the licence in the file ``licence.txt``, else by the names of the frames.

    Raises:
        DataError: the file is not a text file.

    >>> find_licence(Path("nowhere"), ["0006R0_f02670", "0001TP_006690"]) == CAMVID
    True
    >>> find_licence(Path("nowhere"), ["my_street"])
    'unspecified'
    """
    file = root / FILE
    if os.path.isfile(file):
        line = next((line.strip() for line in read_text(file, limit=100_000).splitlines() if line.strip()), "")
        return brief(line) if line else UNSPECIFIED
    names = list(frame_names)
    return CAMVID if names and all(name.startswith(_CAMVID_DRIVES) for name in names) else UNSPECIFIED


def joined(licences: Iterable[str]) -> str:
    """The licences of weights trained on several sources: all of them, each once.

    >>> joined(["CC BY 4.0", "unspecified", "CC BY 4.0; research only", ""])
    'CC BY 4.0; unspecified; research only'
    """
    return "; ".join(dict.fromkeys(part for licence in licences for part in licence.split("; ") if part))
