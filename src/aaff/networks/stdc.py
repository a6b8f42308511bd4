"""STDC1-Seg and STDC2-Seg: M. Fan et al., "Rethinking BiSeNet for Real-time Semantic Segmentation", CVPR 2021
(arXiv:2104.13188).

Short-term dense concatenation blocks form the backbone; the spatial path of BiSeNet is gone, and in training a detail
head makes the map at 1/8 keep what that path kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from aaff.networks.base import Head, SegmentationNetwork
from aaff.networks.bisenet_r18 import ContextPath, FeatureFusion, two_layer_attention
from aaff.networks.blocks import ConvBlock, initialize, scaled
from aaff.networks.registry import register_model

STDC1 = (2, 2, 2)
"""Blocks at 1/8, 1/16 and 1/32 of STDC1 (table 2)."""

STDC2 = (4, 5, 3)
"""Those of STDC2."""


class DenseConcatenation(nn.Module):
    """STDC module (section 3.1): four convolutions of n/2, n/4, n/8 and n/8 channels, all concatenated.

    Args:
        inputs: channels of the input.
        outputs: n, a multiple of 8.
        stride: 1 or 2; with 2 the first map goes down by a depthwise convolution and by average pooling.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half = outputs // 2
        channels = (half, outputs // 4, outputs // 8, outputs // 8)
        later = [ConvBlock(a, b, 3) for a, b in pairwise(channels)]
        self.conv_list = nn.ModuleList([ConvBlock(inputs, half, 1), *later])
        self.avd_layer: nn.Sequential | None = None
        self.skip: nn.AvgPool2d | None = None
        if stride == 2:
            down = nn.Conv2d(half, half, 3, 2, 1, groups=half, bias=False)
            self.avd_layer = nn.Sequential(down, nn.BatchNorm2d(half))
            self.skip = nn.AvgPool2d(3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.conv_list[0](x)
        y = first if self.avd_layer is None else self.avd_layer(first)
        maps = [first if self.skip is None else self.skip(first)]
        for convolution in self.conv_list[1:]:
            y = convolution(y)
            maps.append(y)
        return torch.cat(maps, 1)


class STDCNet(nn.Module):
    """The backbone; ``forward`` gives the maps at 1/8, 1/16 and 1/32.

    Args:
        blocks: how many at each of the three strides.
        width: factor on all channels, which stay multiples of what the blocks divide by.

    Attributes:
        channels: of the three maps.
    """

    def __init__(self, blocks: tuple[int, int, int], width: float = 1.0) -> None:
        super().__init__()
        base = 2 * scaled(32, width)
        self.channels = (4 * base, 8 * base, 16 * base)
        features: list[nn.Module] = [ConvBlock(3, base // 2, 3, 2), ConvBlock(base // 2, base, 3, 2)]
        inputs = base
        self._ends = []
        for outputs, count in zip(self.channels, blocks, strict=True):
            for i in range(count):
                features.append(DenseConcatenation(inputs, outputs, 2 if i == 0 else 1))
                inputs = outputs
            self._ends.append(len(features) - 1)
        self.features = nn.Sequential(*features)
        self.apply(initialize)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps = []
        for index, block in enumerate(self.features):
            x = block(x)
            if index in self._ends:
                maps.append(x)
        c8, c16, c32 = maps
        return c8, c16, c32


class STDCSeg(SegmentationNetwork):
    """STDC backbone, BiSeNet's context path and feature fusion with the backbone's own map at 1/8; logits at 1/8.

    Args:
        num_classes: channels of the logits.
        blocks: ``STDC1`` or ``STDC2``.
        width: factor on all channels.
        auxiliary: three heads in training: ``context16`` and ``context8`` (classes), and ``detail`` (one channel) on
            the backbone's map at 1/8, whose loss is that of the paper.
    """

    def __init__(
        self, num_classes: int, blocks: tuple[int, int, int], *, width: float = 1.0, auxiliary: bool = False
    ) -> None:
        super().__init__(num_classes, 8)
        self.backbone = STDCNet(blocks, width)
        c8, c16, c32 = self.backbone.channels
        context, fused, small = (scaled(n, width) for n in (128, 256, 64))
        self.context = ContextPath(c16, c32, context, nearest=True)
        self.fusion = FeatureFusion(c8 + context, fused, two_layer_attention(fused, 4))
        self.head = Head(fused, num_classes, fused, bias=False)
        if auxiliary:
            self.auxiliary["context16"] = Head(context, num_classes, small)
            self.auxiliary["context8"] = Head(context, num_classes, small)
            self.auxiliary["detail"] = Head(c8, 1, small)
            self.auxiliary_losses = {"detail": "detail"}
        self.apply(initialize)

    @property
    def classifier(self) -> nn.Conv2d:
        return self.head.classify

    def native(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        c8, c16, c32 = self.backbone(x)
        y16, y8 = self.context(c8, c16, c32)
        return self.head(self.fusion(c8, y8)), {"context16": y16, "context8": y8, "detail": c8}


@register_model(paper="M. Fan et al., Rethinking BiSeNet (STDC), CVPR 2021")
def stdc1(num_classes: int, *, width: float = 1.0, auxiliary: bool = False) -> STDCSeg:
    """STDC1-Seg: dense concatenation blocks, detail guidance in training, logits at 1/8.

    Args:
        num_classes: channels of the logits.
        width: factor on all channels.
        auxiliary: also supervise context and detail in training.
    """
    return STDCSeg(num_classes, STDC1, width=width, auxiliary=auxiliary)


@register_model(paper="M. Fan et al., Rethinking BiSeNet (STDC), CVPR 2021", options_of=stdc1)
def stdc2(num_classes: int, **options: Any) -> STDCSeg:
    """STDC2-Seg: stdc1 with a deeper backbone."""
    return STDCSeg(num_classes, STDC2, **options)
