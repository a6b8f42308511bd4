"""The groups of runs, see ``experiments.paper.plan``; apart from it, so that the options are read without torch."""

from __future__ import annotations

from typing import Literal, get_args

Group = Literal["seeds", "drives", "long-drives", "ablation", "modern", "modern-ablation", "modern-drives"]

GROUPS: tuple[Group, ...] = get_args(Group)

HOLDING_OUT: tuple[Group, ...] = ("drives", "long-drives", "modern-drives")
"""Those that hold out drives."""

SEVERAL_SEEDS: tuple[Group, ...] = ("seeds", "long-drives", "modern")
"""Those with several seeds; the others have the first one."""

DEFAULT_ORDER: tuple[Group, ...] = (
    "drives",
    "ablation",
    "seeds",
    "modern",
    "modern-ablation",
    "modern-drives",
    "long-drives",
)
"""After the first seed of all four networks: what the answer needs most for its time comes first."""
