"""Changes that turn a valid file into a hostile or broken one: a list of edits, so that Hypothesis can shrink it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal, get_args

Kind = Literal["flip", "cut", "drop", "repeat", "insert", "replace", "swap", "number", "many"]
Edit = tuple[Kind, float, int, bytes]
"""What to do, where (0 to 1 of the length), over how many bytes, and with what."""

KINDS: tuple[Kind, ...] = get_args(Kind)

_WORDS = (
    b"\x00 \xff \xff\xff\xff\xff \xef\xbb\xbf \xff\xfe \xed\xa0\x80 [ ] { } : , - ? & * ! | > ' \" # % @ ` ~ \\ / . .. "
    b"*x &x <<: !!int !!python/object:os.system !!binary null true no .nan .inf NaN -Infinity 1e999999999 -1 0 256 "
    b"65536 4294967296 99999999999999999999999 2024-01-01 12:30:00 0x1f 1_000 0o17 \xc2\xb2 \xd9\xa3 \xe2\x80\xa8 "
    b'\\ud800 \x1b[2J ../../x /dev/zero **/* [[[[[[[[ {"a": #EXTM3U ffconcat %!PS-Adobe-3.0 SPDX /'
)
TOKENS = (*_WORDS.split(b" "), b" ", b"\n", b"\t", b"\r\n", b"\n\n---\n", b"\n  ")
"""Pieces that mean something to one of the readers."""


def mutated(data: bytes, edits: Sequence[Edit]) -> bytes:
    """A file with some edits.

    >>> mutated(b"abcdef", [("cut", 0.5, 1, b"")])
    b'abc'
    """
    for kind, where, span, piece in edits:
        at = min(int(where * (len(data) + 1)), len(data))
        head, middle, tail = data[:at], data[at : at + span], data[at + span :]
        match kind:
            case "flip":
                data = head + bytes(byte ^ (1 << span % 8) for byte in data[at : at + 1]) + data[at + 1 :]
            case "cut":
                data = head
            case "drop":
                data = head + tail
            case "repeat":
                data = head + middle * 3 + tail
            case "insert":
                data = head + piece + data[at:]
            case "replace":
                data = head + piece + data[at + len(piece) :]
            case "swap":
                data = tail + middle + head
            case "number":
                data = head + span.to_bytes(4, "little")[: 1 + span % 4] + data[at + 1 + span % 4 :]
            case "many":
                data = head + piece * (1 + span * span) + data[at:]
    return data[:1_000_000]


def random_edits(rng: random.Random) -> list[Edit]:
    """One to six edits."""
    return [
        (
            rng.choice(KINDS),
            rng.random(),
            rng.choice((1, 1, 2, 4, 16, rng.randrange(1, 200))),
            rng.choice(TOKENS) if rng.random() < 0.8 else rng.randbytes(rng.randrange(1, 9)),
        )
        for _ in range(rng.choice((1, 1, 2, 3, 6)))
    ]
