"""PIDNet-S: J. Xu et al., "PIDNet: A Real-time Semantic Segmentation Network Inspired by PID Controllers", CVPR 2023
(arXiv:2206.02066).

Three branches: P keeps detail at 1/8, I gathers context down to 1/64, D finds boundaries, which decide where detail
and where context counts.  Module names are those of the authors' release.

Differences from the release: the two convolutions of the stem have no bias, which the batch norm behind them cancels;
the auxiliary heads see their maps before the ReLU that the next layer applies (the release changes them in place).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aaff.networks.base import SegmentationNetwork
from aaff.networks.blocks import initialize, resize_to, scaled
from aaff.networks.ddrnet import pooling_scales
from aaff.networks.registry import register_model
from aaff.networks.residual import (
    BasicBlock,
    PreActivatedHead,
    basic_stage,
    bottleneck_stage,
    conv_norm,
    pre_activated,
    stem_channels,
    strided_stem,
)


class ParallelAggregationPyramidPooling(nn.Module):
    """PAPPM (section 3.3): the scales of DAPPM, refined side by side by one grouped 3×3 convolution.

    Args:
        inputs: channels of the input [N, inputs, h, w].
        branch: channels of each scale.
        outputs: channels of the output [N, outputs, h, w].
    """

    def __init__(self, inputs: int, branch: int, outputs: int) -> None:
        super().__init__()
        self.scale0, self.scale1, self.scale2, self.scale3, self.scale4 = pooling_scales(inputs, branch)
        self.scale_process = nn.Sequential(*pre_activated(4 * branch, 4 * branch, 3, groups=4))
        self.compression = nn.Sequential(*pre_activated(5 * branch, outputs))
        self.shortcut = nn.Sequential(*pre_activated(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.scale0(x)
        scales = (self.scale1, self.scale2, self.scale3, self.scale4)
        coarse = torch.cat([resize_to(scale(x), x.shape[-2:]) + y for scale in scales], 1)
        pooled: Tensor = self.compression(torch.cat([y, self.scale_process(coarse)], 1)) + self.shortcut(x)
        return pooled


class PixelAttentionGuidedFusion(nn.Module):
    """Pag (section 3.2): σ · context + (1 − σ) · detail, with σ the sigmoid of the two maps' inner product.

    Args:
        channels: of both inputs, [N, channels, h, w] and a coarser one.
        middle: channels in which they are compared.
    """

    def __init__(self, channels: int, middle: int) -> None:
        super().__init__()
        self.f_x = nn.Sequential(*conv_norm(channels, middle, 1))
        self.f_y = nn.Sequential(*conv_norm(channels, middle, 1))

    def forward(self, detail: Tensor, context: Tensor) -> Tensor:
        size = detail.shape[-2:]
        alike = torch.sigmoid((self.f_x(detail) * resize_to(self.f_y(context), size)).sum(1, keepdim=True))
        return (1 - alike) * detail + alike * resize_to(context, size)


class LightBoundaryGuidedFusion(nn.Module):
    """Light-Bag (section 3.4): detail where the boundary map is high, context elsewhere; [N, C, h, w] all."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv_p = nn.Sequential(*conv_norm(inputs, outputs, 1))
        self.conv_i = nn.Sequential(*conv_norm(inputs, outputs, 1))

    def forward(self, detail: Tensor, context: Tensor, boundary: Tensor) -> Tensor:
        edge = torch.sigmoid(boundary)
        fused: Tensor = self.conv_p((1 - edge) * context + detail) + self.conv_i(context + edge * detail)
        return fused


class PIDNet(SegmentationNetwork):
    """The small and medium depth (m = 2, n = 3), logits at 1/8.

    Args:
        num_classes: channels of the logits.
        planes: channels at 1/4; 32 in PIDNet-S.
        branch: channels of each scale of the PAPPM.
        head: channels of the segmentation head.
        auxiliary: two heads in training: ``detail`` (classes, weight 0.4 in the paper) on the P branch, and
            ``boundary`` (one channel) on the D branch, whose loss is that of the paper.
    """

    def __init__(self, num_classes: int, *, planes: int, branch: int, head: int, auxiliary: bool) -> None:
        super().__init__(num_classes, 8)
        p = planes
        self.conv1 = strided_stem(p)
        self.layer1 = basic_stage(p, p, 2)
        self.layer2 = basic_stage(p, 2 * p, 2, stride=2)
        self.layer3 = basic_stage(2 * p, 4 * p, 3, stride=2)
        self.layer4 = basic_stage(4 * p, 8 * p, 3, stride=2)
        self.layer5 = bottleneck_stage(8 * p, 8 * p, 2, stride=2)

        self.compression3 = nn.Sequential(*conv_norm(4 * p, 2 * p, 1))
        self.compression4 = nn.Sequential(*conv_norm(8 * p, 2 * p, 1))
        self.pag3 = PixelAttentionGuidedFusion(2 * p, p)
        self.pag4 = PixelAttentionGuidedFusion(2 * p, p)
        self.layer3_ = basic_stage(2 * p, 2 * p, 2)
        self.layer4_ = basic_stage(2 * p, 2 * p, 2)
        self.layer5_ = bottleneck_stage(2 * p, 2 * p, 1)

        self.layer3_d = BasicBlock(2 * p, p, relu=False)
        self.layer4_d = bottleneck_stage(p, p, 1)
        self.layer5_d = bottleneck_stage(2 * p, 2 * p, 1)
        self.diff3 = nn.Sequential(*conv_norm(4 * p, p, 3))
        self.diff4 = nn.Sequential(*conv_norm(8 * p, 2 * p, 3))

        self.spp = ParallelAggregationPyramidPooling(16 * p, branch, 4 * p)
        self.dfm = LightBoundaryGuidedFusion(4 * p, 4 * p)
        self.final_layer = PreActivatedHead(4 * p, head, num_classes)
        if auxiliary:
            self.auxiliary["detail"] = PreActivatedHead(2 * p, head, num_classes)
            self.auxiliary["boundary"] = PreActivatedHead(2 * p, p, 1)
            self.auxiliary_losses = {"boundary": "boundary"}
        self.apply(initialize)

    @property
    def classifier(self) -> nn.Conv2d:
        return self.final_layer.conv2

    def native(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        c8 = F.relu(self.layer2(F.relu(self.layer1(self.conv1(x)))))
        size = c8.shape[-2:]
        c16 = F.relu(self.layer3(c8))
        detail = compared = self.pag3(self.layer3_(c8), self.compression3(c16))
        boundary = self.layer3_d(c8) + resize_to(self.diff3(c16), size)

        c32 = F.relu(self.layer4(c16))
        detail = self.pag4(self.layer4_(F.relu(detail)), self.compression4(c32))
        boundary = edges = self.layer4_d(F.relu(boundary)) + resize_to(self.diff4(c32), size)

        detail = self.layer5_(F.relu(detail))
        boundary = self.layer5_d(F.relu(boundary))
        context = resize_to(self.spp(self.layer5(c32)), size)
        return self.final_layer(self.dfm(detail, context, boundary)), {"detail": compared, "boundary": edges}


@register_model(paper="J. Xu et al., PIDNet, CVPR 2023")
def pidnet_s(num_classes: int, *, width: float = 1.0, auxiliary: bool = False) -> PIDNet:
    """PIDNet-S: branches for detail, context and boundaries, logits at 1/8.

    Args:
        num_classes: channels of the logits.
        width: factor on all channels.
        auxiliary: also supervise detail and boundaries in training.
    """
    return PIDNet(
        num_classes,
        planes=stem_channels(32, width),
        branch=scaled(96, width),
        head=scaled(128, width),
        auxiliary=auxiliary,
    )
