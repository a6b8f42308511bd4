"""ICNet: H. Zhao, X. Qi, X. Shen, J. Shi and J. Jia, "ICNet for Real-Time Semantic Segmentation on High-Resolution
Images", ECCV 2018, section 3; numbers of channels from the authors' Caffe files.

Three resolutions.  The quarter-size branch is a PSPNet-50 with half the channels; it shares its first layers with
the half-size branch, as the authors compute them once and shrink the result.  The full-size branch is three strided
convolutions.  Cascade feature fusion joins them; in training each join has labels of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from aaff.networks.base import SegmentationNetwork
from aaff.networks.blocks import ConvBlock, GridPool, divided_up, initialize, resize_to, scaled
from aaff.networks.registry import register_model

BINS = (1, 2, 3, 6)
"""Sides of the grids of the pyramid pooling."""


class Residual(nn.Module):
    """ResNet's bottleneck in Caffe's order: 1×1 with the stride, 3×3, 1×1 to four times the channels."""

    def __init__(self, inputs: int, inner: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        outputs = 4 * inner
        self.branch = nn.Sequential(
            ConvBlock(inputs, inner, 1, stride),
            ConvBlock(inner, inner, 3, dilation=dilation),
            ConvBlock(inner, outputs, 1, activation=nn.Identity()),
        )
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs:
            self.shortcut = ConvBlock(inputs, outputs, 1, stride, activation=nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.shortcut(x) + self.branch(x))


class CascadeFusion(nn.Module):
    """CFF (section 3.3): relu(BN(3×3 dilated by 2 of the enlarged coarse map) + BN(1×1 of the fine map)).

    Args:
        coarse: channels of the coarse map [N, coarse, h, w].
        fine: channels of the fine map [N, fine, 2h, 2w].
        outputs: channels of the result [N, outputs, 2h, 2w].
    """

    def __init__(self, coarse: int, fine: int, outputs: int) -> None:
        super().__init__()
        self.coarse = ConvBlock(coarse, outputs, 3, dilation=2, activation=nn.Identity())
        self.fine = ConvBlock(fine, outputs, 1, activation=nn.Identity())

    def forward(self, enlarged: Tensor, fine: Tensor) -> Tensor:
        return F.relu(self.coarse(enlarged) + self.fine(fine))


class ICNet(SegmentationNetwork):
    """See ``icnet`` for the options."""

    def __init__(self, num_classes: int, *, width: float, auxiliary: bool) -> None:
        super().__init__(num_classes, stride=4)
        c32, c64, c128, c256 = (scaled(n, width) for n in (32, 64, 128, 256))
        self.stem = nn.Sequential(
            ConvBlock(3, c32, 3, 2), ConvBlock(c32, c32), ConvBlock(c32, c64), nn.MaxPool2d(3, stride=2, padding=1)
        )
        self.stage2 = _stage(c64, c32, 3)
        self.shared3 = Residual(4 * c32, c64, stride=2)
        self.stage3 = _stage(4 * c64, c64, 3)
        self.stage4 = _stage(4 * c64, c128, 6, dilation=2)
        self.stage5 = _stage(4 * c128, c256, 3, dilation=4)
        self.pools = nn.ModuleList(GridPool(bins) for bins in BINS)
        self.context = ConvBlock(4 * c256, c256, 1)
        self.full = nn.Sequential(ConvBlock(3, c32, 3, 2), ConvBlock(c32, c32, 3, 2), ConvBlock(c32, c64, 3, 2))
        self.fuse16 = CascadeFusion(c256, 4 * c64, c128)
        self.fuse8 = CascadeFusion(c128, c64, c128)
        self.classify = nn.Conv2d(c128, num_classes, 1)
        if auxiliary:
            self.auxiliary["sixteenth"] = nn.Conv2d(c256, num_classes, 1)
            self.auxiliary["eighth"] = nn.Conv2d(c128, num_classes, 1)
        self.apply(initialize)

    @property
    def classifier(self) -> nn.Conv2d:
        return self.classify

    def native(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        half = self.shared3(self.stage2(self.stem(resize_to(x, _halved(x)))))  # 1/16 of the frame
        quarter = self.stage5(self.stage4(self.stage3(resize_to(half, _halved(half)))))  # 1/32
        size = quarter.shape[-2:]
        pooled = [resize_to(pool(quarter), size) for pool in self.pools]
        context = self.context(sum(pooled, quarter))
        full = self.full(x)
        sixteenth = resize_to(context, half.shape[-2:])
        eighth = resize_to(self.fuse16(sixteenth, half), full.shape[-2:])
        # Classified before it is enlarged to 1/4, as a 1×1 convolution and bilinear interpolation commute exactly.
        logits = self.classify(self.fuse8(eighth, full))
        quarter_size = [divided_up(side, self.stride) for side in x.shape[-2:]]
        return resize_to(logits, quarter_size), {"sixteenth": sixteenth, "eighth": eighth}


def _stage(inputs: int, inner: int, blocks: int, dilation: int = 1) -> nn.Sequential:
    later = (Residual(4 * inner, inner, dilation=dilation) for _ in range(blocks - 1))
    return nn.Sequential(Residual(inputs, inner, dilation=dilation), *later)


def _halved(x: Tensor) -> list[int]:
    return [divided_up(side, 2) for side in x.shape[-2:]]


@register_model(paper="H. Zhao et al., ICNet, ECCV 2018")
def icnet(num_classes: int, *, width: float = 1.0, auxiliary: bool = False) -> ICNet:
    """Three resolutions of the frame joined by cascade feature fusion, logits at 1/4.

    Args:
        num_classes: channels of the logits.
        width: factor on all channels; 1 is the network after the paper's compression to half, 2 the one before.
        auxiliary: cascade label guidance, heads at 1/16 and 1/8 for training; the paper weighs them 0.16 and 0.4.
    """
    return ICNet(num_classes, width=width, auxiliary=auxiliary)
