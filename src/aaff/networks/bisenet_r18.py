"""BiSeNet with ResNet-18, as published: C. Yu et al., "BiSeNet: Bilateral Segmentation Network for Real-time Semantic
Segmentation", ECCV 2018 (arXiv:1808.00897).

``variant="paper"`` has the channels of the authors' release (TorchSeg); their bilinear interpolation aligns corners,
the one here does not.  ``variant="coincheung"`` is the re-implementation that most published weights belong to
(CoinCheung/BiSeNet): nearest-neighbour enlargement, one convolution with batch norm in the attention of the feature
fusion, a head of 256 channels.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aaff.networks.base import Head, SegmentationNetwork
from aaff.networks.blocks import (
    AttentionRefinement,
    ConvBlock,
    GlobalContext,
    check_name,
    initialize,
    resize_to,
    scaled,
)
from aaff.networks.registry import register_model
from aaff.networks.residual import ResNet18, conv_norm

VARIANTS = ("paper", "coincheung")
"""The authors' definition, and the re-implementation most published weights belong to."""


def enlarge(x: Tensor, size: tuple[int, int], nearest: bool) -> Tensor:
    """``x`` [N, C, h, w] at another size, bilinearly or by its nearest neighbour."""
    if not nearest:
        return resize_to(x, size)
    enlarged: Tensor = F.interpolate(x, size=size, mode="nearest")
    return enlarged


class ContextPath(nn.Module):
    """From 1/32 back to 1/8: attention refinement and global context (section 3.2).

    Args:
        c16: channels of the map at 1/16.
        c32: channels of the map at 1/32.
        channels: of both outputs, at 1/16 and 1/8.
        nearest: enlarge by the nearest neighbour.
    """

    def __init__(self, c16: int, c32: int, channels: int, nearest: bool) -> None:
        super().__init__()
        self.nearest = nearest
        self.arm16 = AttentionRefinement(c16, channels)
        self.arm32 = AttentionRefinement(c32, channels)
        self.conv_head32 = ConvBlock(channels, channels, 3)
        self.conv_head16 = ConvBlock(channels, channels, 3)
        self.conv_avg = GlobalContext(c32, channels)

    def forward(self, c8: Tensor, c16: Tensor, c32: Tensor) -> tuple[Tensor, Tensor]:
        y = self.arm32(c32) + self.conv_avg(c32)
        y16 = self.conv_head32(enlarge(y, (c16.shape[-2], c16.shape[-1]), self.nearest))
        y = self.arm16(c16) + y16
        return y16, self.conv_head16(enlarge(y, (c8.shape[-2], c8.shape[-1]), self.nearest))


class FeatureFusion(nn.Module):
    """FFM (section 3.2): 1×1 ``ConvBlock`` of the concatenation, then f + f · attention(GAP f).

    Args:
        inputs: channels of all inputs together.
        outputs: channels of the result.
        attention: from [N, outputs, 1, 1] to weights in 0 … 1 of the same shape.
    """

    def __init__(self, inputs: int, outputs: int, attention: nn.Module) -> None:
        super().__init__()
        self.convblk = ConvBlock(inputs, outputs, 1)
        self.attention = attention

    def forward(self, *features: Tensor) -> Tensor:
        f: Tensor = self.convblk(torch.cat(features, 1))
        weights: Tensor = self.attention(F.adaptive_avg_pool2d(f, 1))
        return f + f * weights


def two_layer_attention(channels: int, reduction: int) -> nn.Sequential:
    """1×1 → ReLU → 1×1 → sigmoid, without biases."""
    middle = max(1, channels // reduction)
    return nn.Sequential(
        nn.Conv2d(channels, middle, 1, bias=False),
        nn.ReLU(inplace=True),
        nn.Conv2d(middle, channels, 1, bias=False),
        nn.Sigmoid(),
    )


class BiSeNetR18(SegmentationNetwork):
    """Spatial path at 1/8 and ResNet-18 context path, joined by an FFM; logits at 1/8.

    Args:
        num_classes: channels of the logits.
        width: factor on all channels.
        variant: one of ``VARIANTS``.
        auxiliary: heads ``context16`` and ``context8`` in training (weight 1 each in the paper).
    """

    def __init__(self, num_classes: int, *, width: float, variant: str, auxiliary: bool) -> None:
        check_name("variant of bisenet_r18", variant, VARIANTS)
        super().__init__(num_classes, 8)
        paper = variant == "paper"
        inner, context, fused = (scaled(n, width) for n in (64, 128, 256))
        head = inner if paper else fused
        self.backbone = ResNet18(width)
        _, c16, c32 = self.backbone.channels
        self.context = ContextPath(c16, c32, context, nearest=not paper)
        self.spatial = nn.Sequential(
            ConvBlock(3, inner, 7, 2),
            ConvBlock(inner, inner, 3, 2),
            ConvBlock(inner, inner, 3, 2),
            ConvBlock(inner, context, 1),
        )
        attention = two_layer_attention(fused, 1) if paper else nn.Sequential(*conv_norm(fused, fused, 1), nn.Sigmoid())
        self.fusion = FeatureFusion(2 * context, fused, attention)
        self.head = Head(fused, num_classes, head)
        if auxiliary:
            channels = fused if paper else inner
            self.auxiliary["context16"] = Head(context, num_classes, channels)
            self.auxiliary["context8"] = Head(context, num_classes, channels)
        self.apply(initialize)

    @property
    def classifier(self) -> nn.Conv2d:
        return self.head.classify

    def native(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        y16, y8 = self.context(*self.backbone(x))
        return self.head(self.fusion(self.spatial(x), y8)), {"context16": y16, "context8": y8}


@register_model(paper="C. Yu et al., BiSeNet, ECCV 2018, with ResNet-18")
def bisenet_r18(num_classes: int, *, width: float = 1.0, variant: str = "paper", auxiliary: bool = False) -> BiSeNetR18:
    """BiSeNet with a ResNet-18 context path, logits at 1/8.

    Args:
        num_classes: channels of the logits.
        width: factor on all channels.
        variant: ``paper``, or ``coincheung`` for weights of that re-implementation.
        auxiliary: also supervise the context path at 1/16 and 1/8 in training.
    """
    return BiSeNetR18(num_classes, width=width, variant=variant, auxiliary=auxiliary)
