"""Frames that occur in two splits: they let a network recite what it is scored on.

A fingerprint is a perceptual hash of 256 bits: the frame as a 64×64 grey thumbnail, the 16×16 lowest
frequencies of its cosine transform, and for each whether it lies above their median (pHash).
Scaling, JPEG and a change of brightness move a few bits of it.  In CamVid neighbours within a clip
are 20 bits apart at the median and 44 at most; frames of train and val are 80 or more.
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
"""Two frames fewer bits apart than this show the same scene at almost the same moment."""

_THUMBNAIL, _FREQUENCIES = 64, 16


@dataclass(frozen=True)
class Fingerprint:
    """What is kept of a frame to find it again.

    Attributes:
        bits: the perceptual hash, bool [256].
        digest: a hash of the pixels, equal only for identical frames.
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
        distance: bits of 256 in which their hashes differ.
        identical: whether they are equal pixel by pixel.
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
    """Bits in which the hashes differ: int64 [len(first), len(second)]."""
    signs = [np.array([f.bits for f in side], np.float32).reshape(-1, BITS) * 2 - 1 for side in (first, second)]
    return np.asarray((BITS - signs[0] @ signs[1].T) / 2, np.int64)


def nearest_frames(earlier: Sequence[Frame], later: Sequence[Frame]) -> list[Nearest]:
    """For each frame of the later split its most similar frame of the earlier one; an identical frame comes first."""
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
    """Compare every two splits.

    Returns:
        The leaks, one at most for each frame and earlier split, in the order of the splits, and for each two splits
        their most similar frames.
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
    """Frames of one data set that are identical or nearly identical to a frame of another.

    Only images are read, not labels; for CamVid it takes seconds, for cached data sets less.

    Args:
        datasets: such as the training and the validation split, in this order.
        threads: how many threads read; None takes one per core.

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
