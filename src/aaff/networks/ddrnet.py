"""DDRNet-23-slim: Y. Hong et al., "Deep Dual-resolution Networks for Real-time and Accurate Semantic Segmentation of
Road Scenes", arXiv:2101.06085 (IEEE T-ITS 2023).

One branch stays at 1/8, one goes down to 1/64, and they exchange their maps twice.  A deep aggregation pyramid pooling
module (DAPPM, section III-B) gathers context at 1/64.  Module names are those of the authors' release.

Difference from the release: the two convolutions of the stem have no bias, which the batch norm behind them cancels.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aaff.networks.base import SegmentationNetwork
from aaff.networks.blocks import initialize, resize_to, scaled
from aaff.networks.registry import register_model
from aaff.networks.residual import (
    PreActivatedHead,
    basic_stage,
    bottleneck_stage,
    conv_norm,
    pre_activated,
    stem_channels,
    strided_stem,
)


def pooling_scales(inputs: int, outputs: int) -> list[nn.Sequential]:
    """The five scales of DAPPM and PAPPM: as it is, averaged at strides 2, 4 and 8, and over the whole map."""
    pools: list[nn.Module] = [nn.AvgPool2d(2 * s + 1, s, s) for s in (2, 4, 8)]
    pools.append(nn.AdaptiveAvgPool2d((1, 1)))
    return [nn.Sequential(*pool, *pre_activated(inputs, outputs)) for pool in ([], *([p] for p in pools))]


class DeepAggregationPyramidPooling(nn.Module):
    """DAPPM (section III-B, Fig. 5): each scale is added to the finer one and refined by a 3×3 convolution.

    Args:
        inputs: channels of the input [N, inputs, h, w].
        branch: channels of each scale.
        outputs: channels of the output [N, outputs, h, w].
    """

    def __init__(self, inputs: int, branch: int, outputs: int) -> None:
        super().__init__()
        self.scale0, self.scale1, self.scale2, self.scale3, self.scale4 = pooling_scales(inputs, branch)
        self.process1 = nn.Sequential(*pre_activated(branch, branch, 3))
        self.process2 = nn.Sequential(*pre_activated(branch, branch, 3))
        self.process3 = nn.Sequential(*pre_activated(branch, branch, 3))
        self.process4 = nn.Sequential(*pre_activated(branch, branch, 3))
        self.compression = nn.Sequential(*pre_activated(5 * branch, outputs))
        self.shortcut = nn.Sequential(*pre_activated(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[-2:]
        y = self.scale0(x)
        maps = [y]
        for scale, process in (
            (self.scale1, self.process1),
            (self.scale2, self.process2),
            (self.scale3, self.process3),
            (self.scale4, self.process4),
        ):
            y = process(resize_to(scale(x), size) + y)
            maps.append(y)
        pooled: Tensor = self.compression(torch.cat(maps, 1)) + self.shortcut(x)
        return pooled


class DDRNet(SegmentationNetwork):
    """Dual-resolution network of the depth 23 with logits at 1/8.

    Args:
        num_classes: channels of the logits.
        planes: channels at 1/4; 32 in the slim variant.
        branch: channels of each scale of the DAPPM.
        head: channels of the segmentation head.
        auxiliary: supervise the fine branch after the first exchange too, in training (weight 0.4 in the paper).
    """

    def __init__(self, num_classes: int, *, planes: int, branch: int, head: int, auxiliary: bool) -> None:
        super().__init__(num_classes, 8)
        p, fine = planes, 2 * planes
        self.conv1 = strided_stem(p)
        self.layer1 = basic_stage(p, p, 2)
        self.layer2 = basic_stage(p, 2 * p, 2, stride=2)
        self.layer3 = basic_stage(2 * p, 4 * p, 2, stride=2)
        self.layer4 = basic_stage(4 * p, 8 * p, 2, stride=2)
        self.compression3 = nn.Sequential(*conv_norm(4 * p, fine, 1))
        self.compression4 = nn.Sequential(*conv_norm(8 * p, fine, 1))
        self.down3 = nn.Sequential(*conv_norm(fine, 4 * p, 3, 2))
        self.down4 = nn.Sequential(*conv_norm(fine, 4 * p, 3, 2), nn.ReLU(inplace=True), *conv_norm(4 * p, 8 * p, 3, 2))
        self.layer3_ = basic_stage(2 * p, fine, 2)
        self.layer4_ = basic_stage(fine, fine, 2)
        self.layer5_ = bottleneck_stage(fine, fine, 1)
        self.layer5 = bottleneck_stage(8 * p, 8 * p, 1, stride=2)
        self.spp = DeepAggregationPyramidPooling(16 * p, branch, 4 * p)
        self.final_layer = PreActivatedHead(4 * p, head, num_classes)
        if auxiliary:
            self.auxiliary["fine"] = PreActivatedHead(fine, head, num_classes)
        self.apply(initialize)

    @property
    def classifier(self) -> nn.Conv2d:
        return self.final_layer.conv2

    def native(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        c8 = F.relu(self.layer2(F.relu(self.layer1(self.conv1(x)))))
        c16 = self.layer3(c8)
        fine = self.layer3_(c8)
        size = fine.shape[-2:]
        coarse = c16 + self.down3(F.relu(fine))
        exchanged = fine = fine + resize_to(self.compression3(F.relu(c16)), size)

        c32 = self.layer4(F.relu(coarse))
        fine = self.layer4_(F.relu(fine))
        coarse = c32 + self.down4(F.relu(fine))
        fine = fine + resize_to(self.compression4(F.relu(c32)), size)

        fine = self.layer5_(F.relu(fine))
        context = self.spp(self.layer5(F.relu(coarse)))
        return self.final_layer(fine + resize_to(context, size)), {"fine": exchanged}


@register_model(paper="Y. Hong et al., Deep Dual-resolution Networks, arXiv:2101.06085")
def ddrnet23_slim(num_classes: int, *, width: float = 1.0, auxiliary: bool = False) -> DDRNet:
    """DDRNet-23-slim: a fine and a coarse branch that exchange their maps, logits at 1/8.

    Args:
        num_classes: channels of the logits.
        width: factor on all channels.
        auxiliary: also supervise the fine branch at 1/8 in training.
    """
    return DDRNet(
        num_classes,
        planes=stem_channels(32, width),
        branch=scaled(128, width),
        head=scaled(64, width),
        auxiliary=auxiliary,
    )
