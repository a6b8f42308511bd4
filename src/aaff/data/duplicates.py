"""Find frames that occur in two splits (leaks), on which a network is scored after being trained on them.

A fingerprint is a perceptual hash (pHash) of 256 bits: the frame is reduced to a 64×64 grey thumbnail, and each of the
16×16 lowest frequencies of its cosine transform is compared with their median.  Scaling, JPEG compression and changes
of brightness flip only a few bits.  In CamVid, neighbours within a clip differ by 20 bits at the median and 44 at most;
frames of train and val by 80 or more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from aaff.data.sample import Dataset
from aaff.labels import UInt8Array
from aaff.provenance import usable_cores

BITS = 256
NEAR = 45
"""Two frames that differ by fewer bits than this show the same scene at almost the same moment."""

_THUMBNAIL, _FREQUENCIES = 64, 16


@dataclass(frozen=True)
class Fingerprint:
    """Hashes of a frame for recognising it.

    Attributes:
        bits: the perceptual hash, bool [256].
        digest: a hash of the pixels, which is equal only for identical frames.
    """

    bits: npt.NDArray[np.bool_]
    digest: bytes


@dataclass(frozen=True)
class Frame:
    """A frame of a split with its fingerprint."""

    split: str
    path: Path
    fingerprint: Fingerprint


@dataclass(frozen=True)
class Nearest:
    """The two most similar frames of two splits, or of a frame and a split.

    Attributes:
        first: the frame of the earlier split.
        second: the frame of the later split.
        distance: number of bits, of 256, in which their hashes differ.
        identical: whether all pixels are equal.
    """

    first: Frame
    second: Frame
    distance: int
    identical: bool

    def __str__(self) -> str:
        how = "identical to" if self.identical else f"nearly identical ({self.distance} of {BITS} bits) to"
        return f"{self.second.path} in {self.second.split} is {how} {self.first.path} in {self.first.split}"


Leak = Nearest
"""A pair of frames of two splits nearer than ``NEAR``."""


def fingerprint(image: UInt8Array) -> Fingerprint:
    """Fingerprint of a frame, RGB uint8 [H, W, 3].

    >>> grey = np.full((90, 120, 3), 128, np.uint8)
    >>> fingerprint(grey).bits.shape
    (256,)
    """
    small = cv2.resize(image, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    low = cv2.dct(grey)[:_FREQUENCIES, :_FREQUENCIES]
    bits = np.asarray(low > np.median(low), np.bool_).ravel()
    digest = hashlib.blake2b(image.tobytes(), digest_size=16, person=str(image.shape).encode()[:16])
    return Fingerprint(bits, digest.digest())


def distances(first: Sequence[Fingerprint], second: Sequence[Fingerprint]) -> npt.NDArray[np.int64]:
    """Number of differing bits of each two hashes: int64 [len(first), len(second)]."""
    signs = [np.array([f.bits for f in side], np.float32).reshape(-1, BITS) * 2 - 1 for side in (first, second)]
    return np.asarray((BITS - signs[0] @ signs[1].T) / 2, np.int64)


def nearest_frames(earlier: Sequence[Frame], later: Sequence[Frame]) -> list[Nearest]:
    """The most similar frame of the earlier split for each frame of the later one; identical frames take precedence."""
    if not earlier or not later:
        return []
    apart = distances([f.fingerprint for f in earlier], [f.fingerprint for f in later])
    same = {f.fingerprint.digest: i for i, f in reversed(list(enumerate(earlier)))}
    found = []
    for column, frame in enumerate(later):
        row = same.get(frame.fingerprint.digest, int(apart[:, column].argmin()))
        identical = earlier[row].fingerprint.digest == frame.fingerprint.digest
        found.append(Nearest(earlier[row], frame, int(apart[row, column]), identical))
    return found


def leaks_between(splits: Mapping[str, Sequence[Frame]]) -> tuple[list[Leak], dict[tuple[str, str], Nearest]]:
    """Compare each pair of splits.

    Returns:
        The leaks, at most one for each frame and earlier split, in the order of the splits; and the most similar frames
        of each pair of splits.
    """
    leaks: list[Leak] = []
    closest: dict[tuple[str, str], Nearest] = {}
    for first, second in combinations(splits, 2):
        pairs = nearest_frames(splits[first], splits[second])
        leaks += [pair for pair in pairs if pair.distance < NEAR]
        if pairs:
            closest[first, second] = min(pairs, key=lambda pair: (not pair.identical, pair.distance))
    return leaks, closest


def cross_split_leaks(datasets: Iterable[Dataset], *, threads: int | None = None) -> list[Leak]:
    """Find frames of one data set that are identical or nearly identical to a frame of another.

    Only images are read, not labels; this takes seconds for CamVid, and less for cached data sets.

    Args:
        datasets: the data sets, such as the training and the validation split, in this order.
        threads: number of reading threads; None: one per core.

    Raises:
        DataError: an image cannot be read.
    """
    frames: dict[str, list[Frame]] = {}
    with ThreadPoolExecutor(threads or usable_cores()) as pool:
        for number, dataset in enumerate(datasets):
            prints = pool.map(lambda i, d=dataset: fingerprint(d.image(i)), range(len(dataset)))
            found = [Frame(dataset.split, p.image, f) for p, f in zip(dataset.pairs, prints, strict=True)]
            frames[f"{number} {dataset.split}"] = found
    return leaks_between(frames)[0]
