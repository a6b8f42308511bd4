"""BiSeNetV2: C. Yu et al., "BiSeNet V2: Bilateral Network with Guided Aggregation for Real-time Semantic
Segmentation", IJCV 2021 (arXiv:2004.02147).

A detail branch at 1/8, a semantic branch down to 1/32, and a layer in which each one guides the other.

The authors released no code.  ``variant="paper"`` follows the figures of the paper; ``variant="coincheung"`` is the
re-implementation that most published weights belong to (CoinCheung/BiSeNet), which has a ReLU behind the last depthwise
convolution of a gather-and-expansion layer and behind the last convolution of the aggregation layer, batch norm and
ReLU behind that of the context embedding, and nearest-neighbour enlargement in the aggregation layer.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aaff.networks.base import Head, SegmentationNetwork
from aaff.networks.bisenet_r18 import VARIANTS, enlarge
from aaff.networks.blocks import ConvBlock, check_name, initialize, scaled
from aaff.networks.registry import register_model
from aaff.networks.residual import conv_norm

EXPANSION = 6
"""Factor on the channels inside a gather-and-expansion layer (section 4.2)."""


def _depthwise(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, groups=inputs, bias=False)
    return [convolution, nn.BatchNorm2d(outputs)]


class Stem(nn.Module):
    """Stem block (Fig. 4 a): two ways from 1/2 to 1/4, by convolution and by pooling, joined."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        middle = max(1, channels // 2)
        self.conv = ConvBlock(3, channels, 3, 2)
        self.left = nn.Sequential(ConvBlock(channels, middle, 1), ConvBlock(middle, channels, 3, 2))
        self.right = nn.MaxPool2d(3, 2, 1)
        self.fuse = ConvBlock(2 * channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        fused: Tensor = self.fuse(torch.cat([self.left(x), self.right(x)], 1))
        return fused


class GatherExpansion(nn.Module):
    """Gather-and-expansion layer (Fig. 5): 3×3 → depthwise 3×3 to six times the channels → 1×1, with a shortcut.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        stride: 1, or 2 with a second depthwise convolution and a separable shortcut.
        relu: ReLU behind the (last) depthwise convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, relu: bool) -> None:
        super().__init__()
        inner = EXPANSION * inputs
        activation = [nn.ReLU(inplace=True)] if relu else []
        self.conv1 = ConvBlock(inputs, inputs, 3)
        if stride == 1:
            self.dwconv = nn.Sequential(*_depthwise(inputs, inner), *activation)
        else:
            self.dwconv = nn.Sequential(*_depthwise(inputs, inner, stride), *_depthwise(inner, inner), *activation)
        self.conv2 = nn.Sequential(*conv_norm(inner, outputs, 1))
        self.shortcut: nn.Sequential | None = None
        if stride != 1:
            self.shortcut = nn.Sequential(*_depthwise(inputs, inputs, stride), *conv_norm(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.dwconv(self.conv1(x)))
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class ContextEmbedding(nn.Module):
    """Context embedding block (Fig. 4 b): the global average is added to the map, then a 3×3 convolution."""

    def __init__(self, channels: int, normalized: bool) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv_gap = ConvBlock(channels, channels, 1)
        plain = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_last: nn.Module = ConvBlock(channels, channels, 3) if normalized else plain

    def forward(self, x: Tensor) -> Tensor:
        embedded: Tensor = self.conv_last(x + self.conv_gap(self.norm(F.adaptive_avg_pool2d(x, 1))))
        return embedded


class GuidedAggregation(nn.Module):
    """Bilateral guided aggregation layer (Fig. 6).

    Args:
        channels: of the detail map [N, channels, h, w], of the semantic map at a quarter of its size, and of the
            output at the size of the detail map.
        nearest: enlarge by the nearest neighbour.
        relu: ReLU behind the last convolution.
    """

    def __init__(self, channels: int, nearest: bool, relu: bool) -> None:
        super().__init__()
        c = channels
        self.nearest = nearest
        self.left1 = nn.Sequential(*_depthwise(c, c), nn.Conv2d(c, c, 1, bias=False))
        self.left2 = nn.Sequential(*conv_norm(c, c, 3, 2), nn.AvgPool2d(3, 2, 1))
        self.right1 = nn.Sequential(*conv_norm(c, c, 3))
        self.right2 = nn.Sequential(*_depthwise(c, c), nn.Conv2d(c, c, 1, bias=False))
        self.conv = nn.Sequential(*conv_norm(c, c, 3), *([nn.ReLU(inplace=True)] if relu else []))

    def forward(self, detail: Tensor, semantic: Tensor) -> Tensor:
        size = (detail.shape[-2], detail.shape[-1])
        left = self.left1(detail) * torch.sigmoid(enlarge(self.right1(semantic), size, self.nearest))
        right = self.left2(detail) * torch.sigmoid(self.right2(semantic))
        fused: Tensor = self.conv(left + enlarge(right, size, self.nearest))
        return fused


class BiSeNetV2(SegmentationNetwork):
    """Detail and semantic branch (table 1), aggregated; logits at 1/8.

    Args:
        num_classes: channels of the logits.
        width: factor on all channels.
        variant: ``paper`` or ``coincheung``.
        auxiliary: the four booster heads on the semantic branch in training (section 4.4).
    """

    def __init__(self, num_classes: int, *, width: float, variant: str, auxiliary: bool) -> None:
        check_name("variant of bisenetv2", variant, VARIANTS)
        super().__init__(num_classes, 8)
        relu = variant == "coincheung"
        a, c3, c4, c5 = (scaled(n, width) for n in (16, 32, 64, 128))
        d1, d3 = scaled(64, width), c5
        self.detail = nn.Sequential(
            nn.Sequential(ConvBlock(3, d1, 3, 2), ConvBlock(d1, d1, 3)),
            nn.Sequential(ConvBlock(d1, d1, 3, 2), ConvBlock(d1, d1, 3), ConvBlock(d1, d1, 3)),
            nn.Sequential(ConvBlock(d1, d3, 3, 2), ConvBlock(d3, d3, 3), ConvBlock(d3, d3, 3)),
        )
        self.stem = Stem(a)
        self.stage3 = nn.Sequential(GatherExpansion(a, c3, 2, relu), GatherExpansion(c3, c3, 1, relu))
        self.stage4 = nn.Sequential(GatherExpansion(c3, c4, 2, relu), GatherExpansion(c4, c4, 1, relu))
        self.stage5 = nn.Sequential(
            GatherExpansion(c4, c5, 2, relu), *(GatherExpansion(c5, c5, 1, relu) for _ in range(3))
        )
        self.context = ContextEmbedding(c5, normalized=relu)
        self.bga = GuidedAggregation(c5, nearest=relu, relu=relu)
        self.head = Head(c5, num_classes, scaled(1024, width))
        if auxiliary:
            for name, channels in (("stem", a), ("stage3", c3), ("stage4", c4), ("stage5", c5)):
                self.auxiliary[name] = Head(channels, num_classes, scaled(128, width))
        self.apply(initialize)

    @property
    def classifier(self) -> nn.Conv2d:
        return self.head.classify

    def native(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        stem = self.stem(x)
        stage3 = self.stage3(stem)
        stage4 = self.stage4(stage3)
        stage5 = self.stage5(stage4)
        logits = self.head(self.bga(self.detail(x), self.context(stage5)))
        return logits, {"stem": stem, "stage3": stage3, "stage4": stage4, "stage5": stage5}


@register_model(paper="C. Yu et al., BiSeNet V2, IJCV 2021")
def bisenetv2(num_classes: int, *, width: float = 1.0, variant: str = "paper", auxiliary: bool = False) -> BiSeNetV2:
    """BiSeNetV2: a detail and a semantic branch that guide each other, logits at 1/8.

    Args:
        num_classes: channels of the logits.
        width: factor on all channels.
        variant: ``paper``, or ``coincheung`` for weights of that re-implementation.
        auxiliary: four booster heads on the semantic branch in training.
    """
    return BiSeNetV2(num_classes, width=width, variant=variant, auxiliary=auxiliary)
