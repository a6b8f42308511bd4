"""Xception39, the small backbone of BiSeNet: F. Chollet, "Xception", cut down by C. Yu et al., "BiSeNet".

No pretrained weights exist in public.  The author's reference switches the scale of its batch norms
off; here they have it, which is 3,912 parameters more.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from aaff.networks.blocks import ConvBlock, SeparableBlock


class Pyramid(NamedTuple):
    """Features of one backbone pass: 64 channels at 1/8, 128 at 1/16, 256 at 1/32 of the input."""

    p3: Tensor
    p4: Tensor
    p5: Tensor


class XceptionBlock(nn.Module):
    """Three separable convolutions (mid, mid, 4·mid) and a shortcut; the first block of a stage halves the size."""

    def __init__(self, inputs: int, mid: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            SeparableBlock(inputs, mid, stride),
            SeparableBlock(mid, mid),
            SeparableBlock(mid, 4 * mid, relu=False),
        )
        self.shortcut = SeparableBlock(inputs, 4 * mid, stride, relu=False) if stride == 2 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(self.branch(x) + self.shortcut(x))


class Xception39(nn.Module):
    """Image [N, 3, H, W] → ``Pyramid``; ⌈H/8⌉, ⌈H/16⌉ and ⌈H/32⌉ rows."""

    channels = (64, 128, 256)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvBlock(3, 8, 3, 2), nn.MaxPool2d(3, stride=2, padding=1))
        self.stage3 = self._stage(8, 16, 4)
        self.stage4 = self._stage(64, 32, 8)
        self.stage5 = self._stage(128, 64, 4)

    @staticmethod
    def _stage(inputs: int, mid: int, blocks: int) -> nn.Sequential:
        first = XceptionBlock(inputs, mid, stride=2)
        return nn.Sequential(first, *(XceptionBlock(4 * mid, mid, stride=1) for _ in range(blocks - 1)))

    def forward(self, x: Tensor) -> Pyramid:
        p3 = self.stage3(self.stem(x))
        p4 = self.stage4(p3)
        return Pyramid(p3, p4, self.stage5(p4))
