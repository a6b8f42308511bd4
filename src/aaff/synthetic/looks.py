"""Choices made once for each thing: which colour of coat, which sign.  Kept, because a thing is seen in many frames."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import numpy as np

from aaff.synthetic.street import Color, generator

LookT = TypeVar("LookT")


def kept(choose: Callable[[np.random.Generator], LookT]) -> Callable[[int], LookT]:
    """Make a function of random numbers into a function of a thing's seed that remembers its results."""
    salt = sum(ord(letter) * (i + 1) for i, letter in enumerate(choose.__qualname__))

    @lru_cache(maxsize=4096)
    def look(seed: int) -> LookT:
        return choose(generator(seed, salt))

    return look


def any_color(rng: np.random.Generator, low: float, high: float) -> Color:
    """An RGB colour whose parts lie between two values."""
    return float(rng.uniform(low, high)), float(rng.uniform(low, high)), float(rng.uniform(low, high))


def tinted(color: Color, factor: float) -> Color:
    """A darker or brighter version of a colour."""
    return color[0] * factor, color[1] * factor, color[2] * factor


def pick(rng: np.random.Generator, choices: tuple[Color, ...]) -> Color:
    """One of several colours."""
    return choices[int(rng.integers(0, len(choices)))]
