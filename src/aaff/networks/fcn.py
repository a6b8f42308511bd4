"""FCN-32s and FCN-8s: J. Long, E. Shelhamer and T. Darrell, "Fully Convolutional Networks for Semantic
Segmentation", CVPR 2015, sections 4.1 and 4.2, with VGG-16.

Three things differ from the authors' Caffe files.  The frame is not padded by 100 pixels, which only makes their
unpadded 7×7 convolution fit on small frames: here it has padding 3, so that any size works.  Scores are enlarged
bilinearly to the size of what they meet; the authors' transposed convolutions hold the same bilinear weights and a
learning rate of 0.  The scoring layers start near zero, where the authors start them at zero: so every layer has a
gradient from the first step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from aaff.networks.base import Head, SegmentationNetwork
from aaff.networks.blocks import check_dropout, initialize, resize_to, scaled
from aaff.networks.registry import register_model
from aaff.networks.vgg import STAGES, convolution, vgg16


class FCN(SegmentationNetwork):
    """VGG-16 with its fully connected layers as convolutions, and scores of one or three depths.

    Args:
        num_classes: channels of the logits.
        stride: of the logits: 32, or 8 with the scores after the third and the fourth pooling added.
        width: factor on all channels.
        batch_norm: batch norm instead of biases.  The paper has none and starts from ImageNet weights; without
            those, training needs it.
        dropout: after each of the two large layers, in training mode.
        auxiliary: supervise the coarser scores too (the paper trains 32s, 16s and 8s one after the other); FCN-32s
            gets a head at 1/16.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        stride: int,
        width: float = 1.0,
        batch_norm: bool = False,
        dropout: float = 0.5,
        auxiliary: bool = False,
    ) -> None:
        super().__init__(num_classes, stride)
        _, _, c8, c16, c32 = (scaled(stage[-1], width) for stage in STAGES)
        large, dropout = scaled(4096, width), check_dropout(dropout)
        self.backbone = nn.ModuleList(vgg16(width, batch_norm=batch_norm))
        self.large = nn.Sequential(
            convolution(c32, large, 7, batch_norm=batch_norm),
            nn.Dropout(dropout),
            convolution(large, large, 1, batch_norm=batch_norm),
            nn.Dropout(dropout),
        )
        self.score32 = nn.Conv2d(large, num_classes, 1)
        self.score16 = nn.Conv2d(c16, num_classes, 1) if stride == 8 else None
        self.score8 = nn.Conv2d(c8, num_classes, 1) if stride == 8 else None
        if auxiliary and stride == 8:
            self.auxiliary = nn.ModuleDict({"score32": nn.Identity(), "score16": nn.Identity()})
        elif auxiliary:
            self.auxiliary["pool4"] = Head(c16, num_classes)
        self.apply(initialize)
        for layer in (self.score32, self.score16, self.score8):
            if layer is not None:
                nn.init.normal_(layer.weight, std=1e-3)

    @property
    def classifier(self) -> nn.Conv2d:
        return self.score32 if self.score8 is None else self.score8

    def native(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        pools = []
        for stage in self.backbone:
            x = F.max_pool2d(stage(x), 2, ceil_mode=True)
            pools.append(x)
        scores: Tensor = self.score32(self.large(x))
        supervised = {"pool4": pools[3], "score32": scores}
        for name, layer, pool in (("score16", self.score16, pools[3]), ("score8", self.score8, pools[2])):
            if layer is not None:
                scores = layer(pool) + resize_to(scores, pool.shape[-2:])
                supervised[name] = scores
        return scores, supervised


_PAPER = "J. Long et al., Fully Convolutional Networks for Semantic Segmentation, CVPR 2015"


@register_model(paper=_PAPER)
def fcn32s(
    num_classes: int,
    *,
    width: float = 1.0,
    batch_norm: bool = False,
    dropout: float = 0.5,
    auxiliary: bool = False,
) -> FCN:
    """VGG-16 as a fully convolutional network, logits at 1/32."""
    return FCN(num_classes, stride=32, width=width, batch_norm=batch_norm, dropout=dropout, auxiliary=auxiliary)


@register_model(paper=_PAPER, options_of=fcn32s)
def fcn8s(num_classes: int, **options: Any) -> FCN:
    """FCN-32s with the scores of two finer maps added, logits at 1/8."""
    return FCN(num_classes, stride=8, **options)
