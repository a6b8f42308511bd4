"""Split frames into training and validation so that no frame has a neighbour in the other split.

Frames of one recording look alike.  A validation frame between training frames measures memorisation rather than
generalisation, so whole sequences are held out; a single sequence is cut near its end, with a gap.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aaff.folders import natural

_GAP = 0.05
"""Share of a single sequence that is used in neither split, as a gap between them."""


@dataclass(frozen=True)
class Division:
    """Indices of the frames of each split, and a description of how they were chosen."""

    train: tuple[int, ...]
    val: tuple[int, ...]
    how: str


def divide(images: Sequence[Path], val: float = 0.2) -> Division:
    """Split frames by the sequences that their names show.

    Args:
        images: paths of the frames.
        val: approximate share of the frames for validation.

    >>> division = divide([Path(f"{drive}_{n:03}.png") for drive in "abc" for n in range(4)], 0.3)
    >>> division.val
    (0, 1, 2, 3)
    """
    groups = sequences(images)
    everything = range(len(images))
    longest = max(map(len, groups.values()))
    if longest == 1 or len(images) < 4:
        ranked = sorted(everything, key=lambda i: hashlib.sha256(os.fsencode(images[i])).digest())
        held = set(ranked[: max(1, round(val * len(images)))]) if len(images) > 1 else set()
        return _division(everything, held, "at random, since the names show no sequences")
    if len(groups) == 1:
        ordered = next(iter(groups.values()))
        count = max(1, round(val * len(ordered)))
        gap = max(1, round(_GAP * len(ordered)))
        held = set(ordered[-count:])
        used = [*ordered[: -count - gap], *ordered[-count:]]
        return _division(used, held, f"the end of the one sequence, {gap} frames before it left out")
    wanted, number = val * len(images), 0
    held_names: list[str] = []
    for name in sorted(groups, key=lambda name: (len(groups[name]), name)):  # short ones approximate the share best
        if held_names and number + len(groups[name]) > 1.2 * wanted:
            break
        if len(held_names) == len(groups) - 1:
            break
        held_names.append(name)
        number += len(groups[name])
    held = {i for name in held_names for i in groups[name]}
    shown = ", ".join(sorted(held_names)[:4]) + ("" if len(held_names) <= 4 else " …")
    return _division(everything, held, f"whole sequences: {shown} of {len(groups)}")


def sequences(images: Sequence[Path]) -> dict[str, list[int]]:
    """Indices of the frames of each sequence, in the order of their names.

    A sequence is identified by the folder and the part of the name before its last number.

    >>> sequences([Path("b_2.png"), Path("b_10.png"), Path("c_1.png")])
    {'b': [0, 1], 'c': [2]}
    """
    found: dict[str, list[int]] = {}
    for i in sorted(range(len(images)), key=lambda i: natural(images[i])):
        path = images[i]
        numbered = re.fullmatch(r"(.*?)[_\-. a-z]?\d+", path.stem)
        stem = numbered[1] if numbered else path.stem
        found.setdefault(str(path.parent / stem) if str(path.parent) != "." else stem, []).append(i)
    return found


def _division(used: Sequence[int], held: set[int], how: str) -> Division:
    train = tuple(sorted(i for i in used if i not in held))
    return Division(train, tuple(sorted(held)), how)
