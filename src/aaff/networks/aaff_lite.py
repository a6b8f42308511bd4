"""AAFF-Lite: the AAFF block of Y. Cheng, "Attention and Feature Fusion Network for Real-time Semantic
Segmentation" (section III-B), on a pretrained EfficientNet-Lite, with detail preserved up to 1/2 of the input size.

Towards lower resolutions, AAFF blocks carry detail into the deep maps: each one weights the finer features by attention
and fuses them with the backbone's features at the next stride.  Towards higher resolutions, cheap blocks propagate
context back to 1/8, 1/4 and 1/2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from aaff.errors import OptionError
from aaff.networks.backbones import Backbone, TimmBackbone
from aaff.networks.base import Head, SegmentationNetwork
from aaff.networks.blocks import (
    ConvBlock,
    GlobalContext,
    SeparableBlock,
    initialize,
    make_gate,
    scaled,
)
from aaff.networks.efficientnet_lite import EfficientNetLite
from aaff.networks.registry import register_model


class Add(nn.Module):
    """relu(BN(W₁ a) + BN(W₂ b)): a 1×1 convolution of the concatenation [a, b], as a sum of two.

    The result is the same, with two advantages: a coarser ``a`` is projected before it is upsampled, at a quarter of
    the cost; and no concatenation forces features of different ranges to share one int8 scale.

    Args:
        first: channels of a [N, first, h, w], which has the size of b or half of it (rounded up).
        second: channels of b [N, second, H, W].
        outputs: channels of the result [N, outputs, H, W].
    """

    def __init__(self, first: int, second: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(first, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.second = nn.Sequential(nn.Conv2d(second, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, a: Tensor, b: Tensor, more: Tensor | None = None) -> Tensor:
        projected = self.first(a)
        if a.shape[-1] != b.shape[-1] or a.shape[-2] != b.shape[-2]:
            projected = _double(projected, b.shape[-2], b.shape[-1])
        total = projected + self.second(b)
        return F.relu(total if more is None else total + more)


def _double(x: Tensor, rows: int, columns: int) -> Tensor:
    """Upsample ``x`` [N, C, ⌈rows/2⌉, ⌈columns/2⌉] bilinearly by exactly two, and crop to ``rows`` × ``columns``.

    A convolution of stride 2 samples every second position and rounds sizes up.  Resizing its map to an odd size would
    shift it relative to the finer map, by up to one cell at the far edge, which costs accuracy at 480×360.
    """
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)[..., :rows, :columns]


class Detail(nn.Sequential):
    """Packs a map at 1/2 into one at 1/4: a 2×2 convolution of stride 2, and batch norm.

    Logits at 1/2 need to know in which of two columns a thin object is, which only the map at 1/2 shows.  The weights
    are initialised with zeros, so a network that was trained without this module gives the same results.

    Args:
        inputs: channels of the map [N, inputs, H, W].
        outputs: channels of the result [N, outputs, ⌈H/2⌉, ⌈W/2⌉].
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        norm = nn.BatchNorm2d(outputs)
        # If a side is even, the convolution does not reach the last row or column of zeros.
        super().__init__(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(inputs, outputs, 2, stride=2, bias=False), norm)
        self.apply(initialize)
        nn.init.zeros_(norm.weight)


class Fusion(nn.Module):
    """The AAFF block with ``concat`` fusion: attention on the finer input, fusion with the coarser one.

    The block of section III-B (``aaff.networks.blocks.AttentionFeatureFusion``) with its last convolution written as
    ``Add``.

    Args:
        first: channels of the finer input [N, first, 2h, 2w].
        second: channels of the coarser input [N, second, h, w].
        outputs: channels of the output [N, outputs, h, w].
        gate: a key of ``aaff.networks.blocks.GATES``.
    """

    def __init__(self, first: int, second: int, outputs: int, gate: str) -> None:
        super().__init__()
        self.down = ConvBlock(first, outputs, 3, stride=2)
        self.gate = make_gate(outputs, gate)
        self.fuse = Add(outputs, second, outputs)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        fused: Tensor = self.fuse(self.gate(self.down(first)), second)
        return fused


class AAFFLite(SegmentationNetwork):
    """See ``aaff_lite0`` for the options."""

    def __init__(
        self,
        num_classes: int,
        backbone: Backbone,
        *,
        width: float,
        gate: str,
        stride: int,
        context: bool,
        detail: bool,
        auxiliary: bool,
    ) -> None:
        if stride not in (2, 4, 8):
            raise OptionError(f"stride is {stride}; choose 2, 4 or 8")
        if detail and stride == 8:
            raise OptionError("stride 8 leaves no map at 1/4 for detail; add detail=false or choose stride 2 or 4")
        super().__init__(num_classes, stride, packing=max(4 // stride, 1))  # a cell at 1/4 holds four logits at 1/2
        n, deep = scaled(64, width), scaled(128, width)
        c2, c4, c8, c16, c32 = backbone.channels
        self.aaff8 = Fusion(c4, c8, n, gate)
        self.aaff16 = Fusion(n, c16, n, gate)
        self.aaff32 = Fusion(n, c32, deep, gate)
        self.context = GlobalContext(c32, deep) if context else None
        self.add16 = Add(deep, n, n)
        self.refine16 = nn.Sequential(ConvBlock(n, n, 3), make_gate(n, gate))
        self.add8 = Add(n, n, n)
        self.refine8 = nn.Sequential(SeparableBlock(n, n), make_gate(n, gate))
        channels = n
        self.add4 = self.refine4 = None
        if stride <= 4:
            channels = scaled(48, width)
            self.add4 = Add(n, c4, channels)
            self.refine4 = SeparableBlock(channels, channels)
        self.classify = nn.Conv2d(channels, num_classes * self.packing**2, 1)
        if auxiliary:
            self.auxiliary["context"] = Head(deep, num_classes)
            self.auxiliary["eighth"] = Head(n, num_classes)
        self.apply(initialize)
        self.detail = Detail(c2, channels) if detail else None
        self.backbone = backbone

    @property
    def classifier(self) -> nn.Conv2d:
        return self.classify

    def down(self, c4: Tensor, c8: Tensor, c16: Tensor, c32: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The outputs of the AAFF blocks at 1/8, 1/16 and 1/32."""
        n8 = self.aaff8(c4, c8)
        n16 = self.aaff16(n8, c16)
        return n8, n16, self.aaff32(n16, c32)

    def native(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        c2, c4, c8, c16, c32 = self.backbone(x)
        n8, n16, n32 = self.down(c4, c8, c16, c32)
        if self.context is not None:
            n32 = n32 + self.context(c32)
        u16 = self.refine16(self.add16(n32, n16))
        u8 = y = self.refine8(self.add8(u16, n8))
        if self.add4 is not None and self.refine4 is not None:
            y = self.refine4(self.add4(u8, c4, None if self.detail is None else self.detail(c2)))
        return self.classify(y), {"context": n32, "eighth": u8}


_TIMM = "timm:"
_PAPER = "Y. Cheng, Attention and Feature Fusion Network; M. Tan and Q. Le, EfficientNet, ICML 2019"


@register_model(paper=_PAPER)
def aaff_lite0(
    num_classes: int,
    *,
    backbone: str = "lite0",
    width: float = 1.0,
    gate: str = "sigmoid",
    stride: int = 2,
    context: bool = True,
    detail: bool = True,
    stages: int = 6,
    blocks: int = 2,
    pretrained: bool = False,
    auxiliary: bool = False,
) -> AAFFLite:
    """AAFF blocks on EfficientNet-Lite0, logits at 1/2.

    Args:
        num_classes: channels of the logits.
        backbone: ``lite0``, ``lite1`` or ``lite2`` (EfficientNet-Lite), or ``timm:NAME`` for any feature extractor of
            timm (to be installed separately) with maps at 1/2, 1/4, 1/8, 1/16 and 1/32.
        width: factor on all channels except those of the backbone.
        gate: activation of the AAFF blocks' attention.
        stride: stride of the native logits, 2, 4 or 8.
        context: add the globally pooled context at 1/32.
        detail: add the backbone's map at 1/2 to the finest one; must be false for stride 8.
        stages: number of EfficientNet stages to keep, 6 or 7.
        blocks: number of blocks to keep in the last stage, 0 for all.
        pretrained: start from ImageNet weights; timm downloads them, and may expect another normalisation.
        auxiliary: also supervise the maps at 1/32 and 1/8 in training.
    """
    features: Backbone
    if backbone.startswith(_TIMM):
        features = TimmBackbone(backbone.removeprefix(_TIMM), pretrained)
    else:
        features = EfficientNetLite(backbone, stages, blocks)
        if pretrained and next(features.parameters()).device.type != "meta":
            features.load_imagenet()
    return AAFFLite(
        num_classes,
        features,
        width=width,
        gate=gate,
        stride=stride,
        context=context,
        detail=detail,
        auxiliary=auxiliary,
    )


@register_model(paper=_PAPER, options_of=aaff_lite0)
def aaff_lite0_small(
    num_classes: int, *, width: float = 0.5, stride: int = 4, blocks: int = 1, **options: Any
) -> AAFFLite:
    """Small variant of aaff_lite0: half the decoder width, logits at 1/4, one block in the last stage; same options."""
    return aaff_lite0(num_classes, width=width, stride=stride, blocks=blocks, **options)


@register_model(paper=_PAPER, options_of=aaff_lite0)
def aaff_lite2(
    num_classes: int, *, backbone: str = "lite2", width: float = 1.5, stages: int = 7, blocks: int = 0, **options: Any
) -> AAFFLite:
    """Large variant, also as a teacher: all of EfficientNet-Lite2, decoder 1.5 times as wide; options of aaff_lite0."""
    return aaff_lite0(num_classes, backbone=backbone, width=width, stages=stages, blocks=blocks, **options)
