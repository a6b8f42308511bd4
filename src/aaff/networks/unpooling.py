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
    whole = x.detach()
    if height % 2 or width % 2:
        # Copies of the border come after the original in reading order, so they are never chosen.
        whole = F.pad(whole, (0, width % 2, 0, height % 2), mode="replicate")
    a, b, c, d = (whole[..., row::2, column::2] for row in (0, 1) for column in (0, 1))
    positions = Positions(torch.maximum(c, d) > torch.maximum(a, b), b > a, d > c, (height, width))
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
