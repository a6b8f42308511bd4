"""PP-LiteSeg-T: J. Peng et al., "PP-LiteSeg: A Superior Real-Time Semantic Segmentation Model", arXiv:2204.02681.

STDC1 backbone, simple pyramid pooling (SPPM), and a flexible, lightweight decoder (FLD) whose maps are joined by
unified attention fusion (UAFM) with spatial attention.  Module names are those of PaddleSeg.

Difference from the release: the convolutions of the SPPM have no bias, which the batch norm behind them cancels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from aaff.networks.base import Head, SegmentationNetwork
from aaff.networks.blocks import ConvBlock, GridPool, initialize, resize_to, scaled
from aaff.networks.registry import register_model
from aaff.networks.residual import conv_norm
from aaff.networks.stdc import STDC1, STDCNet

BINS = (1, 2, 4)
"""Sides of the pooled maps of the SPPM (section 3.3)."""


class SimplePyramidPooling(nn.Module):
    """SPPM (section 3.3): averages over 1, 4 and 16 cells, each projected, enlarged and added, then a 3×3.

    Args:
        inputs: channels of the input [N, inputs, h, w].
        outputs: channels of the output [N, outputs, h, w].
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(nn.Sequential(GridPool(bins), ConvBlock(inputs, outputs, 1)) for bins in BINS)
        self.conv_out = ConvBlock(outputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        total = torch.stack([resize_to(stage(x), x.shape[-2:]) for stage in self.stages]).sum(0)
        pooled: Tensor = self.conv_out(total)
        return pooled


class UnifiedAttentionFusion(nn.Module):
    """UAFM with spatial attention (section 3.2): α · detail + (1 − α) · context, then a 3×3.

    α comes from mean and maximum over the channels of both maps.

    Args:
        detail: channels of the finer input.
        context: channels of the coarser input.
        outputs: channels of the output, at the size of the finer input.
    """

    def __init__(self, detail: int, context: int, outputs: int) -> None:
        super().__init__()
        self.conv_x = ConvBlock(detail, context, 3)
        self.conv_xy_atten = nn.Sequential(ConvBlock(4, 2, 3), nn.Sequential(*conv_norm(2, 1, 3)))
        self.conv_out = ConvBlock(context, outputs, 3)

    def forward(self, detail: Tensor, context: Tensor) -> Tensor:
        x = self.conv_x(detail)
        y = resize_to(context, x.shape[-2:])
        seen = [f(z) for z in (x, y) for f in (_mean, _maximum)]
        alpha = torch.sigmoid(self.conv_xy_atten(torch.cat(seen, 1)))
        fused: Tensor = self.conv_out(x * alpha + y * (1 - alpha))
        return fused


def _mean(x: Tensor) -> Tensor:
    return x.mean(1, keepdim=True)


def _maximum(x: Tensor) -> Tensor:
    return x.amax(1, keepdim=True)


class PPLiteSeg(SegmentationNetwork):
    """Decoder from 1/32 to 1/8 on an STDC backbone; logits at 1/8.

    Args:
        num_classes: channels of the logits.
        backbone: gives the maps at 1/8, 1/16 and 1/32.
        context: channels of the SPPM.
        decoder: channels of the decoder at 1/8, 1/16 and 1/32.
        heads: channels of the segmentation heads there.
        auxiliary: the heads ``sixteenth`` and ``thirtysecond`` in training (weight 1 each in the release).
    """

    def __init__(
        self,
        num_classes: int,
        backbone: STDCNet,
        *,
        context: int,
        decoder: Sequence[int],
        heads: Sequence[int],
        auxiliary: bool,
    ) -> None:
        super().__init__(num_classes, 8)
        self.cm = SimplePyramidPooling(backbone.channels[-1], context)
        coarser = (*decoder[1:], context)
        self.arm_list = nn.ModuleList(
            UnifiedAttentionFusion(fine, coarse, out)
            for fine, coarse, out in zip(backbone.channels, coarser, decoder, strict=True)
        )
        self.head, *others = (
            Head(inputs, num_classes, middle, bias=False) for inputs, middle in zip(decoder, heads, strict=True)
        )
        if auxiliary:
            self.auxiliary["sixteenth"], self.auxiliary["thirtysecond"] = others
        self.apply(initialize)
        self.backbone = backbone

    @property
    def classifier(self) -> nn.Conv2d:
        return self.head.classify

    def native(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        c8, c16, c32 = self.backbone(x)
        y32 = self.arm_list[2](c32, self.cm(c32))
        y16 = self.arm_list[1](c16, y32)
        y8 = self.arm_list[0](c8, y16)
        return self.head(y8), {"sixteenth": y16, "thirtysecond": y32}


@register_model(paper="J. Peng et al., PP-LiteSeg, arXiv:2204.02681")
def pp_liteseg_t(num_classes: int, *, width: float = 1.0, auxiliary: bool = False) -> PPLiteSeg:
    """PP-LiteSeg-T: STDC1 with a light decoder and spatial attention, logits at 1/8.

    Args:
        num_classes: channels of the logits.
        width: factor on all channels.
        auxiliary: also supervise the decoder at 1/16 and 1/32 in training.
    """
    return PPLiteSeg(
        num_classes,
        STDCNet(STDC1, width),
        context=scaled(128, width),
        decoder=[scaled(n, width) for n in (32, 64, 128)],
        heads=[scaled(n, width) for n in (32, 64, 64)],
        auxiliary=auxiliary,
    )
