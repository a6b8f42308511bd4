"""Max pooling that remembers where each maximum was, and unpooling that puts values back there.

V. Badrinarayanan et al., "SegNet", TPAMI 2017, section 3 (and ENet after it): 2×2 windows without overlap.  The
positions are kept as three comparisons per window in place of an index.  So nothing is scattered: the graph holds
comparisons and selections alone, which every runtime has and which quantisation leaves exact.  Each window has
exactly one position whatever the values are rounded to; among equal values it is the first in reading order, as
``torch.nn.functional.max_pool2d`` has it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Positions(NamedTuple):
    """Where the maximum of each 2×2 window is: bool [N, C, ⌈H/2⌉, ⌈W/2⌉] each.

    Attributes:
        lower: in the lower row of the window.
        upper_right: the larger value of the upper row is the right one.
        lower_right: the larger value of the lower row is the right one.
        size: rows H and columns W before pooling.
    """

    lower: Tensor
    upper_right: Tensor
    lower_right: Tensor
    size: tuple[int, int]


def max_pool(x: Tensor) -> tuple[Tensor, Positions]:
    """2×2 max pooling of stride 2: [N, C, H, W] → [N, C, ⌈H/2⌉, ⌈W/2⌉], and where the maxima were.

    At an odd border a window has the two values or the one value that are there.
    """
    height, width = x.shape[-2:]
    rows, columns = height // 2, width // 2  # of the lower row and the right column of windows, which a border may lack
    rest = x.detach()
    upper, lower = rest[..., ::2, :], rest[..., 1::2, :]
    pairs = F.max_pool2d(rest, (1, 2), ceil_mode=True)

    def grown(flag: Tensor) -> Tensor:
        """False where a window has no second row or column; without a condition, since a graph's sizes are open."""
        return F.pad(flag, (0, 1, 0, 1))[..., : (height + 1) // 2, : (width + 1) // 2]

    positions = Positions(
        grown(pairs[..., 1::2, :] > pairs[..., ::2, :][..., :rows, :]),
        grown(upper[..., 1::2] > upper[..., ::2][..., :columns]),
        grown(lower[..., 1::2] > lower[..., ::2][..., :columns]),
        (height, width),
    )
    return F.max_pool2d(x, 2, ceil_mode=True), positions


def max_unpool(x: Tensor, positions: Positions) -> Tensor:
    """Values at the positions of the maxima, 0 elsewhere: [N, C, ⌈H/2⌉, ⌈W/2⌉] → [N, C, H, W].

    >>> x = torch.tensor([[[[1.0, 2.0, 0.0], [3.0, 0.0, 7.0], [5.0, 6.0, 4.0]]]])
    >>> pooled, positions = max_pool(x)
    >>> max_unpool(pooled, positions)[0, 0].tolist()
    [[0.0, 0.0, 0.0], [3.0, 0.0, 7.0], [0.0, 6.0, 4.0]]
    """
    upper, lower = _split(x, positions.lower)
    cells = (*_split(upper, positions.upper_right), *_split(lower, positions.lower_right))
    rows, columns = positions.size
    return F.pixel_shuffle(torch.stack(cells, dim=2).flatten(1, 2), 2)[..., :rows, :columns]


def _split(x: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """``x`` where ``second`` is false, and where it is true; 0 elsewhere."""
    return torch.where(second, 0.0, x), torch.where(second, x, 0.0)
