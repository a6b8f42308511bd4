"""DepthwiseAAFF and DepthwiseAAFF2: Y. Cheng, "Attention and Feature Fusion Network for Real-time
Semantic Segmentation", sections III-B and III-C.

Two symmetric sides of AAFF blocks see the same backbone features with separate weights; a depthwise
separable spatial path stands between them; an FFM joins the three.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from aaff.errors import OptionError
from aaff.networks.base import Head, PaperNetwork, Tail
from aaff.networks.blocks import (
    AttentionFeatureFusion,
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
from aaff.networks.xception import Pyramid, Xception39


class Side(nn.Module):
    """One side of DepthwiseAAFF: two AAFF blocks downwards, concatenations upwards, an ARM at 1/8."""

    def __init__(self, gate: str, fusion: str, reduction: int, width: float) -> None:
        super().__init__()
        c3, c4, c5 = Xception39.channels
        n1, n2, self.outputs = scaled(64, width), scaled(128, width), scaled(128, width)
        self.aaff4 = AttentionFeatureFusion(c3, c4, n1, gate, fusion, reduction)
        self.aaff5 = AttentionFeatureFusion(n1, c5, n2, gate, fusion, reduction)
        self.reduce = ConvBlock(n1 + n2 + c3, self.outputs, 1)
        self.arm = AttentionRefinement(self.outputs, self.outputs, gate, reduction)

    def forward(self, pyramid: Pyramid) -> Tensor:
        n1 = self.aaff4(pyramid.p3, pyramid.p4)
        n2 = self.aaff5(n1, pyramid.p5)
        z = torch.cat([n1, resize_to(n2, n1.shape[-2:])], dim=1)
        z = torch.cat([resize_to(z, pyramid.p3.shape[-2:]), pyramid.p3], dim=1)
        side: Tensor = self.arm(self.reduce(z))
        return side


class Side2(nn.Module):
    """One side of DepthwiseAAFF2: sums in place of concatenations.

    Left and right are alike; in the reference the left one loses n1 by a slip.
    """

    def __init__(self, gate: str, fusion: str, reduction: int, width: float) -> None:
        super().__init__()
        c3, c4, c5 = Xception39.channels
        n, self.outputs = scaled(128, width), scaled(128, width)
        self.aaff4 = AttentionFeatureFusion(c3, c4, n, gate, fusion, reduction)
        self.aaff5 = AttentionFeatureFusion(n, c5, n, gate, fusion, reduction)
        self.lateral = ConvBlock(n, c3, 1)
        self.reduce = ConvBlock(c3, self.outputs, 1)
        self.arm = AttentionRefinement(self.outputs, self.outputs, gate, reduction)

    def forward(self, pyramid: Pyramid, context: Tensor) -> Tensor:
        n1 = self.aaff4(pyramid.p3, pyramid.p4)
        n2 = self.aaff5(n1, pyramid.p5) + context
        z = resize_to(n1 + resize_to(n2, n1.shape[-2:]), pyramid.p3.shape[-2:])
        side: Tensor = self.arm(self.reduce(self.lateral(z) + pyramid.p3))
        return side


class DepthwiseAAFF(PaperNetwork):
    """The paper's network.

    Args:
        num_classes: channels of the logits.
        gate: attention in the AAFF blocks and ARMs: ``sigmoid``, ``relu``, ``hard_sigmoid``, ``none`` (the same
            wiring without attention), ``squeeze_excitation`` or ``feature_pyramid`` (PAN's).
        fusion: ``concat``, ``add``, ``multiply`` or ``global_attention`` (PAN's) in the AAFF blocks.
        reduction: of ``squeeze_excitation``.
        sides: 2, or 1 for the ablation with the left side alone.
        spatial: False leaves the spatial path out, for the ablation.
        width: factor on the channels of the spatial path and the sides (1.0 = the paper's).
        auxiliary: add a head on each side (``left``, ``right``) for training.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        gate: str = "sigmoid",
        fusion: str = "concat",
        reduction: int = 16,
        sides: int = 2,
        spatial: bool = True,
        width: float = 1.0,
        auxiliary: bool = False,
    ) -> None:
        super().__init__(num_classes)
        names = _side_names(sides)
        self.backbone = Xception39()
        self.sides = nn.ModuleDict({name: Side(gate, fusion, reduction, width) for name in names})
        context = scaled(128, width)
        self.spatial: nn.Module | None = None
        detail = 0
        if spatial:
            self.spatial, detail = spatial_path(True, width)
        self.fusion = FeatureFusion(sides * context + detail, 256)
        self.tail = Tail(256, num_classes)
        if auxiliary:
            self.auxiliary = nn.ModuleDict({name: Head(context, num_classes) for name in names})
        self.apply(initialize)

    def features(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        pyramid = self.backbone(x)
        context = {name: side(pyramid) for name, side in self.sides.items()}
        detail = [] if self.spatial is None else [self.spatial(x)]
        return self.fusion([*context.values(), *detail]), context


class DepthwiseAAFF2(PaperNetwork):
    """The paper's variant: ReLU gates, sums, a global context vector for both sides.

    Args: as ``DepthwiseAAFF``; the FFM is the variant's own whatever ``gate`` says.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        gate: str = "relu",
        fusion: str = "add",
        reduction: int = 16,
        width: float = 1.0,
        auxiliary: bool = False,
    ) -> None:
        super().__init__(num_classes)
        names = _side_names(2)
        context = scaled(128, width)
        self.backbone = Xception39()
        self.context = GlobalContext(Xception39.channels[2], context)
        self.sides = nn.ModuleDict({name: Side2(gate, fusion, reduction, width) for name in names})
        self.spatial, detail = spatial_path(True, width)
        self.fusion = FeatureFusion(2 * context + detail, 256, normalized=True)
        self.tail = Tail(256, num_classes)
        if auxiliary:
            self.auxiliary = nn.ModuleDict({name: Head(context, num_classes) for name in names})
        self.apply(initialize)

    def features(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        pyramid = self.backbone(x)
        # One set of weights, evaluated once a side: so the published count of operations has it.
        context = {name: side(pyramid, self.context(pyramid.p5)) for name, side in self.sides.items()}
        return self.fusion([*context.values(), self.spatial(x)]), context


def _side_names(sides: int) -> tuple[str, ...]:
    if sides not in (1, 2):
        raise OptionError(f"sides={sides} is not possible; the network has 2 sides, or 1 for the ablation")
    return ("left", "right")[:sides]


@register_model(paper="Y. Cheng, Attention and Feature Fusion Network, section III")
def depthwise_aaff(
    num_classes: int,
    *,
    gate: str = "sigmoid",
    fusion: str = "concat",
    reduction: int = 16,
    sides: int = 2,
    spatial: bool = True,
    width: float = 1.0,
    auxiliary: bool = False,
) -> DepthwiseAAFF:
    """The paper's proposal: two sides of AAFF blocks beside a depthwise spatial path."""
    return DepthwiseAAFF(
        num_classes,
        gate=gate,
        fusion=fusion,
        reduction=reduction,
        sides=sides,
        spatial=spatial,
        width=width,
        auxiliary=auxiliary,
    )


@register_model(paper="Y. Cheng, Attention and Feature Fusion Network, section IV (depthwise AAFF2)")
def depthwise_aaff2(
    num_classes: int,
    *,
    gate: str = "relu",
    fusion: str = "add",
    reduction: int = 16,
    width: float = 1.0,
    auxiliary: bool = False,
) -> DepthwiseAAFF2:
    """Variant of depthwise_aaff with ReLU gates, and sums in place of concatenations."""
    return DepthwiseAAFF2(num_classes, gate=gate, fusion=fusion, reduction=reduction, width=width, auxiliary=auxiliary)
