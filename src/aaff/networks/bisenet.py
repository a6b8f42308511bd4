"""BiSeNet with Xception39, and the same with a depthwise separable spatial path.

C. Yu et al., "BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation", ECCV 2018;
the depthwise variant is Y. Cheng's (section III-A).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from aaff.networks.base import Head, PaperNetwork, Tail
from aaff.networks.blocks import (
    AttentionRefinement,
    ConvBlock,
    FeatureFusion,
    GlobalContext,
    initialize,
    resize_to,
    scaled,
    spatial_path,
)
from aaff.networks.registry import register_model
from aaff.networks.xception import Xception39


class BiSeNet(PaperNetwork):
    """Spatial path at 1/8, context path from 1/32 back to 1/8, joined by an FFM.

    Args:
        num_classes: channels of the logits.
        depthwise: separable convolutions in the spatial path, whose output is then narrow.
        width: factor on the channels of the spatial and the context path (1.0 = the paper's).
        auxiliary: add two heads, ``context16`` and ``context8``, for training.
    """

    def __init__(
        self, num_classes: int, *, depthwise: bool = False, width: float = 1.0, auxiliary: bool = False
    ) -> None:
        super().__init__(num_classes)
        context = scaled(128, width)
        _, c4, c5 = Xception39.channels
        self.backbone = Xception39()
        self.spatial, detail = spatial_path(depthwise, width)
        self.context = GlobalContext(c5, context)
        self.arm5 = AttentionRefinement(c5, context)
        self.arm4 = AttentionRefinement(c4, context)
        self.refine5 = ConvBlock(context, context, 3)
        self.refine4 = ConvBlock(context, context, 3)
        self.fusion = FeatureFusion(detail + context, 256)
        self.tail = Tail(256, num_classes)
        if auxiliary:
            self.auxiliary = nn.ModuleDict({name: Head(context, num_classes) for name in ("context16", "context8")})
        self.apply(initialize)

    def features(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        p3, p4, p5 = self.backbone(x)
        y = self.arm5(p5) + self.context(p5)
        y16 = self.refine5(resize_to(y, p4.shape[-2:]))
        y = self.arm4(p4) + y16
        y8 = self.refine4(resize_to(y, p3.shape[-2:]))
        fused = self.fusion([self.spatial(x), y8])
        return fused, {"context16": y16, "context8": y8}


@register_model(paper="C. Yu et al., BiSeNet, ECCV 2018, with Xception39 (the paper's 'original BiSeNet')")
def bisenet(num_classes: int, *, width: float = 1.0, auxiliary: bool = False) -> BiSeNet:
    """The paper's original BiSeNet: plain 3×3 convolutions in the spatial path."""
    return BiSeNet(num_classes, width=width, auxiliary=auxiliary)


@register_model(paper="Y. Cheng, Attention and Feature Fusion Network, section III-A")
def depthwise_bisenet(num_classes: int, *, width: float = 1.0, auxiliary: bool = False) -> BiSeNet:
    """BiSeNet with depthwise separable convolutions in the spatial path."""
    return BiSeNet(num_classes, depthwise=True, width=width, auxiliary=auxiliary)
