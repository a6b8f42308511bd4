"""ENet: A. Paszke, A. Chaurasia, S. Kim and E. Culurciello, "ENet: A Deep Neural Network Architecture for Real-Time
Semantic Segmentation", arXiv:1606.02147, section 3 and table 1; where the paper is silent, the authors' Torch code.

So the encoder has PReLU and spatial dropout, the decoder ReLU and none.  Two things are put differently and compute
the same: convolutions before batch norm have no bias, which it would take back, and the last transposed convolution
(2×2 of stride 2, windows without overlap) is a 1×1 convolution whose four outputs per class are shuffled into place.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aaff.networks.base import SegmentationNetwork
from aaff.networks.blocks import ConvBlock, check_dropout, initialize, scaled
from aaff.networks.registry import register_model
from aaff.networks.unpooling import Positions, max_pool, max_unpool


class Initial(nn.Module):
    """3×3 convolution of stride 2 beside 2×2 max pooling of the frame, joined, then batch norm and PReLU."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.convolve = nn.Conv2d(3, outputs - 3, 3, stride=2, padding=1, bias=False)
        self.finish = nn.Sequential(nn.BatchNorm2d(outputs), nn.PReLU(outputs))

    def forward(self, x: Tensor) -> Tensor:
        joined = torch.cat([self.convolve(x), F.max_pool2d(x, 2, ceil_mode=True)], dim=1)
        finished: Tensor = self.finish(joined)
        return finished


class Bottleneck(nn.Module):
    """x + (1×1 → main convolution → 1×1), to a quarter of the channels in between; PReLU, spatial dropout.

    Args:
        channels: of input and output.
        dropout: share of the channels that training drops.
        dilation: of the 3×3 main convolution.
        asymmetric: the main convolution is this ×1 and then 1× this; 0 for a 3×3 one.
    """

    def __init__(self, channels: int, dropout: float, dilation: int = 1, asymmetric: int = 0) -> None:
        super().__init__()
        inner = max(1, channels // 4)
        if asymmetric:
            pad = asymmetric // 2
            main = nn.Sequential(
                nn.Conv2d(inner, inner, (1, asymmetric), padding=(0, pad), bias=False),
                nn.Conv2d(inner, inner, (asymmetric, 1), padding=(pad, 0), bias=False),
                nn.BatchNorm2d(inner),
                nn.PReLU(inner),
            )
        else:
            main = ConvBlock(inner, inner, 3, dilation=dilation, activation=nn.PReLU(inner))
        self.branch = nn.Sequential(
            ConvBlock(channels, inner, 1, activation=nn.PReLU(inner)),
            main,
            ConvBlock(inner, channels, 1, activation=nn.Dropout2d(dropout)),
        )
        self.activation = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        activated: Tensor = self.activation(x + self.branch(x))
        return activated


class Down(nn.Module):
    """A bottleneck that halves the size: 2×2 convolution of stride 2 beside max pooling, padded with channels of 0."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        inner = max(1, outputs // 4)
        self.added = outputs - inputs
        self.branch = nn.Sequential(
            nn.Conv2d(inputs, inner, 2, stride=2, bias=False),
            nn.BatchNorm2d(inner),
            nn.PReLU(inner),
            ConvBlock(inner, inner, 3, activation=nn.PReLU(inner)),
            ConvBlock(inner, outputs, 1, activation=nn.Dropout2d(dropout)),
        )
        self.activation = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> tuple[Tensor, Positions]:
        pooled, positions = max_pool(x)
        # A second row and column for windows at an odd border; where the side is even, the convolution leaves them out.
        halved = self.branch(F.pad(x, (0, 1, 0, 1)))
        return self.activation(halved + F.pad(pooled, (0, 0, 0, 0, 0, self.added))), positions


class DecoderBottleneck(nn.Module):
    """A bottleneck of the decoder: ReLU, no dropout; with other output channels it doubles the size by unpooling."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        inner = max(1, outputs // 4)
        self.reduce = ConvBlock(inputs, inner, 1)
        self.main: nn.Module
        self.shortcut: nn.Module | None = None
        if inputs == outputs:
            self.main = nn.Conv2d(inner, inner, 3, padding=1, bias=False)
        else:
            self.main = nn.ConvTranspose2d(inner, inner, 3, stride=2, padding=1, output_padding=1, bias=False)
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.expand = nn.Sequential(
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor, positions: Positions | None = None) -> Tensor:
        main = self.main(self.reduce(x))
        if self.shortcut is not None:
            assert positions is not None
            rows, columns = positions.size
            main, x = main[..., :rows, :columns], max_unpool(self.shortcut(x), positions)
        return F.relu(x + self.expand(main))


class ENet(SegmentationNetwork):
    """See ``enet`` for the options; the logits have the size of the frame."""

    def __init__(self, num_classes: int, *, width: float, dropout: float, auxiliary: bool) -> None:
        super().__init__(num_classes, stride=1, packing=2)
        check_dropout(dropout)
        c2 = scaled(13, width) + 3  # the frame's own three channels stay
        c4, c8 = max(c2, scaled(64, width)), max(c2, scaled(128, width))
        self.initial = Initial(c2)
        self.down1 = Down(c2, c4, dropout / 10)
        self.stage1 = nn.Sequential(*(Bottleneck(c4, dropout / 10) for _ in range(4)))
        self.down2 = Down(c4, c8, dropout)
        self.stage2, self.stage3 = (
            nn.Sequential(
                Bottleneck(c8, dropout),
                Bottleneck(c8, dropout, dilation=2),
                Bottleneck(c8, dropout, asymmetric=5),
                Bottleneck(c8, dropout, dilation=4),
                Bottleneck(c8, dropout),
                Bottleneck(c8, dropout, dilation=8),
                Bottleneck(c8, dropout, asymmetric=5),
                Bottleneck(c8, dropout, dilation=16),
            )
            for _ in range(2)
        )
        self.up4 = DecoderBottleneck(c8, c4)
        self.stage4 = nn.Sequential(DecoderBottleneck(c4, c4), DecoderBottleneck(c4, c4))
        self.up5 = DecoderBottleneck(c4, c2)
        self.stage5 = DecoderBottleneck(c2, c2)
        self.classify = nn.Conv2d(c2, 4 * num_classes, 1)
        if auxiliary:
            self.auxiliary["encoder"] = nn.Conv2d(c8, num_classes, 1)
        self.apply(initialize)

    @property
    def classifier(self) -> nn.Conv2d:
        return self.classify

    def native(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        y, first = self.down1(self.initial(x))
        y, second = self.down2(self.stage1(y))
        encoded = self.stage3(self.stage2(y))
        y = self.stage4(self.up4(encoded, second))
        y = self.stage5(self.up5(y, first))
        return self.classify(y), {"encoder": encoded}


@register_model(paper="A. Paszke et al., ENet, arXiv:1606.02147")
def enet(num_classes: int, *, width: float = 1.0, dropout: float = 0.1, auxiliary: bool = False) -> ENet:
    """Small bottlenecks, dilated and asymmetric convolutions, unpooling with indices, logits at full size.

    Args:
        num_classes: channels of the logits.
        width: factor on all channels.
        dropout: share of the channels that training drops in the encoder; a tenth of it in the first stage.
        auxiliary: supervise the encoder's map, at 1/8, too: the paper trains the encoder so before the decoder.
    """
    return ENet(num_classes, width=width, dropout=dropout, auxiliary=auxiliary)
