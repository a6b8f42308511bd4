"""What every thing on the street can do."""

from __future__ import annotations

from typing import Protocol

from aaff.synthetic.canvas import Canvas


class Thing(Protocol):
    """Something that stands on the street at (s, u) metres."""

    @property
    def s(self) -> float: ...

    @property
    def u(self) -> float: ...

    def order(self) -> float:
        """Things are painted from the highest value to the lowest."""

    def shadow(self, canvas: Canvas) -> None:
        """Darken the ground."""

    def draw(self, canvas: Canvas) -> None:
        """Paint picture and label."""
