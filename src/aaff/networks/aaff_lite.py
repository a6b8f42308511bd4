"""AAFF-Lite: the AAFF block of Y. Cheng, "Attention and Feature Fusion Network for Real-time Semantic
Segmentation" (section III-B), on a pretrained EfficientNet-Lite, with detail kept to 1/2 of the input.

Downwards, AAFF blocks carry detail into the deep maps: each one weighs the finer features by attention and fuses
them with the backbone's own at the next stride.  Upwards, cheap blocks bring the context back to 1/8, 1/4 and 1/2.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from aaff.errors import OptionError
from aaff.networks.base import AuxiliaryHead, SegmentationNetwork
from aaff.networks.blocks import (
    AttentionFeatureFusion,
    ChannelGate,
    ConvBlock,
    GlobalContext,
    SeparableBlock,
    initialize,
    resize_to,
    scaled,
)
from aaff.networks.efficientnet_lite import EfficientNetLite
from aaff.networks.registry import register_model


class AAFFLite(SegmentationNetwork):
    """See :func:`aaff_lite0` for the options."""

    def __init__(
        self,
        num_classes: int,
        backbone: EfficientNetLite,
        *,
        width: float,
        gate: str,
        fusion: str,
        stride: int,
        context: bool,
        auxiliary: bool,
    ) -> None:
        if stride not in (2, 4, 8):
            raise OptionError(f"stride is {stride}; choose 2, 4 or 8")
        super().__init__(num_classes, stride)
        n, deep, fine = scaled(64, width), scaled(128, width), scaled(32, width)
        c2, c4, c8, c16, c32 = backbone.channels
        self.aaff8 = AttentionFeatureFusion(c4, c8, n, gate, fusion)
        self.aaff16 = AttentionFeatureFusion(n, c16, n, gate, fusion)
        self.aaff32 = AttentionFeatureFusion(n, c32, deep, gate, fusion)
        self.context = GlobalContext(c32, deep) if context else None
        self.up16 = nn.Sequential(ConvBlock(deep + n, n, 1), ConvBlock(n, n, 3), ChannelGate(n, gate))
        self.up8 = nn.Sequential(ConvBlock(n + n, n, 1), ConvBlock(n, n, 3), ChannelGate(n, gate))
        channels = n
        self.up4 = self.up2 = None
        if stride <= 4:
            channels = scaled(48, width)
            self.up4 = nn.Sequential(SeparableBlock(n + c4, channels), SeparableBlock(channels, channels))
        if stride == 2:
            self.narrow = ConvBlock(channels, fine, 1)
            self.up2 = SeparableBlock(fine + c2, fine)
            channels = fine
        self.classify = nn.Conv2d(channels, num_classes, 1)
        if auxiliary:
            self.auxiliary["context"] = AuxiliaryHead(deep, num_classes)
            self.auxiliary["eighth"] = AuxiliaryHead(n, num_classes)
        self.apply(initialize)
        self.backbone = backbone

    @property
    def classifier(self) -> nn.Conv2d:
        return self.classify

    def native(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        c2, c4, c8, c16, c32 = self.backbone(x)
        n8 = self.aaff8(c4, c8)
        n16 = self.aaff16(n8, c16)
        n32 = self.aaff32(n16, c32)
        if self.context is not None:
            n32 = n32 + self.context(c32)
        u16 = self.up16(_join(n32, n16))
        u8 = self.up8(_join(u16, n8))
        y = u8
        if self.up4 is not None:
            y = self.up4(_join(y, c4))
        if self.up2 is not None:
            y = self.up2(_join(self.narrow(y), c2))
        return self.classify(y), {"context": n32, "eighth": u8}


def _join(coarse: Tensor, fine: Tensor) -> Tensor:
    return torch.cat([resize_to(coarse, fine.shape[-2:]), fine], dim=1)


def _build(variant: str, num_classes: int, pretrained: bool, stages: int, options: Mapping[str, object]) -> AAFFLite:
    backbone = EfficientNetLite(variant, stages)
    if pretrained and next(backbone.parameters()).device.type != "meta":
        backbone.load_imagenet()
    return AAFFLite(num_classes, backbone, **options)  # type: ignore[arg-type]


@register_model(paper="Y. Cheng, Attention and Feature Fusion Network; M. Tan and Q. Le, EfficientNet, ICML 2019")
def aaff_lite0(
    num_classes: int,
    *,
    width: float = 1.0,
    gate: str = "sigmoid",
    fusion: str = "concat",
    stride: int = 2,
    context: bool = True,
    stages: int = 6,
    pretrained: bool = False,
    auxiliary: bool = False,
) -> AAFFLite:
    """AAFF blocks on EfficientNet-Lite0, logits at 1/2.

    Args:
        num_classes: channels of the logits.
        width: factor on the channels of everything but the backbone.
        gate: activation of the AAFF blocks' attention.
        fusion: how an AAFF block joins its inputs.
        stride: of the native logits, 2, 4 or 8.
        context: add the globally pooled context at 1/32.
        stages: of the backbone that are kept, 6 or 7.
        pretrained: begin with ImageNet weights.
        auxiliary: supervise the maps at 1/32 and 1/8 too in training.
    """
    options = {
        "width": width,
        "gate": gate,
        "fusion": fusion,
        "stride": stride,
        "context": context,
        "auxiliary": auxiliary,
    }
    return _build("lite0", num_classes, pretrained, stages, options)
