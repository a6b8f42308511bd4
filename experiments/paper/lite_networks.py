"""Networks that the modern comparison needs beside aaff_lite0; ``plugin.py`` registers them.

``pyramid_lite0``: a plain feature pyramid in the place of the AAFF blocks (T.-Y. Lin et al., "Feature Pyramid Networks
for Object Detection", CVPR 2017).  1×1 convolutions bring the backbone's maps to the same channels, coarser ones are
enlarged and added, a 3×3 convolution follows each sum.  Backbone, the map at 1/2, classifier, pixel shuffle and
auxiliary heads are those of ``aaff.networks.aaff_lite``.

``two_sides_lite0``: aaff_lite0 with a second side of AAFF blocks, as DepthwiseAAFF has two.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from aaff.networks.aaff_lite import AAFFLite, Detail, Fusion
from aaff.networks.base import Head, SegmentationNetwork
from aaff.networks.blocks import ConvBlock, initialize
from aaff.networks.efficientnet_lite import EfficientNetLite


class PyramidLite(SegmentationNetwork):
    """See ``pyramid_lite0`` for the options."""

    def __init__(self, num_classes: int, backbone: EfficientNetLite, channels: int, fine: int, auxiliary: bool) -> None:
        super().__init__(num_classes, stride=2, packing=2)
        widths = (fine, channels, channels, channels)
        inputs = backbone.channels[1:]
        self.lateral = nn.ModuleList(
            nn.Sequential(nn.Conv2d(i, n, 1, bias=False), nn.BatchNorm2d(n))
            for i, n in zip(inputs, widths, strict=True)
        )
        self.bridge = nn.ModuleList(
            nn.Identity() if coarse == n else nn.Conv2d(coarse, n, 1, bias=False) for n, coarse in pairwise(widths)
        )
        self.smooth = nn.ModuleList(ConvBlock(n, n, 3) for n in widths)
        self.classify = nn.Conv2d(fine, num_classes * self.packing**2, 1)
        if auxiliary:
            self.auxiliary["context"] = Head(channels, num_classes)
            self.auxiliary["eighth"] = Head(channels, num_classes)
        self.apply(initialize)
        self.detail = Detail(backbone.channels[0], fine)
        self.backbone = backbone

    @property
    def classifier(self) -> nn.Conv2d:
        return self.classify

    def native(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        finest, *rest = self.backbone(x)
        maps = [lateral(c) for lateral, c in zip(self.lateral, rest, strict=True)]
        maps[0] = maps[0] + self.detail(finest)
        levels = [self.smooth[-1](F.relu(maps[-1]))]
        for index in range(len(maps) - 2, -1, -1):
            rows, columns = maps[index].shape[-2:]
            enlarged = F.interpolate(self.bridge[index](levels[0]), scale_factor=2.0, mode="bilinear")
            summed = F.relu(maps[index] + enlarged[..., :rows, :columns])
            levels.insert(0, self.smooth[index](summed))
        return self.classify(levels[0]), {"context": levels[3], "eighth": levels[1]}


def pyramid_lite0(
    num_classes: int, *, channels: int = 48, fine: int = 36, pretrained: bool = False, auxiliary: bool = False
) -> PyramidLite:
    """A plain feature pyramid on the backbone of aaff_lite0, logits at 1/2, by default of its operations within 1 %.

    Args:
        num_classes: channels of the logits.
        channels: of the maps at 1/8, 1/16 and 1/32.
        fine: channels of the map at 1/4.
        pretrained: begin with ImageNet weights.
        auxiliary: supervise the maps at 1/32 and 1/8 too in training.
    """
    return PyramidLite(num_classes, _backbone(pretrained), channels, fine, auxiliary)


class TwoSides(AAFFLite):
    """AAFFLite whose maps at 1/8, 1/16 and 1/32 are sums of two sides of AAFF blocks with weights of their own."""

    def __init__(self, num_classes: int, backbone: EfficientNetLite, auxiliary: bool) -> None:
        super().__init__(
            num_classes,
            backbone,
            width=1.0,
            gate="sigmoid",
            stride=2,
            context=True,
            detail=True,
            auxiliary=auxiliary,
        )
        _, c4, c8, c16, c32 = backbone.channels
        self.right = nn.ModuleList(
            [Fusion(c4, c8, 64, "sigmoid"), Fusion(64, c16, 64, "sigmoid"), Fusion(64, c32, 128, "sigmoid")]
        )
        self.right.apply(initialize)

    def down(self, c4: Tensor, c8: Tensor, c16: Tensor, c32: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        left, right = super().down(c4, c8, c16, c32), []
        finer = c4
        for block, own in zip(self.right, (c8, c16, c32), strict=True):
            finer = block(finer, own)
            right.append(finer)
        return left[0] + right[0], left[1] + right[1], left[2] + right[2]


def two_sides_lite0(num_classes: int, *, pretrained: bool = False, auxiliary: bool = False) -> TwoSides:
    """aaff_lite0 with two sides of AAFF blocks.

    Args:
        num_classes: channels of the logits.
        pretrained: begin with ImageNet weights.
        auxiliary: supervise the maps at 1/32 and 1/8 too in training.
    """
    return TwoSides(num_classes, _backbone(pretrained), auxiliary)


def _backbone(pretrained: bool) -> EfficientNetLite:
    backbone = EfficientNetLite("lite0", 6, 2)
    if pretrained and next(backbone.parameters()).device.type != "meta":
        backbone.load_imagenet()
    return backbone
