"""The convolutions of VGG-16, the trunk of FCN and the encoder of SegNet.

K. Simonyan and A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015,
configuration D: five stages of 3×3 convolutions, each followed by max pooling.
"""

from __future__ import annotations

from torch import nn

from aaff.networks.blocks import ConvBlock, scaled

STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Channels of the 13 convolutions; a 2×2 max pooling follows each stage."""


class PlainConv(nn.Sequential):
    """Convolution with bias → ReLU, as networks before batch norm have it; the size stays."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.ReLU(inplace=True))


def convolution(inputs: int, outputs: int, kernel: int = 3, *, batch_norm: bool) -> nn.Sequential:
    """A ``ConvBlock`` with batch norm, or else a ``PlainConv``."""
    return ConvBlock(inputs, outputs, kernel) if batch_norm else PlainConv(inputs, outputs, kernel)


def vgg16(width: float = 1.0, *, batch_norm: bool) -> list[nn.Sequential]:
    """The five stages without their poolings.

    Args:
        width: factor on all channels.
        batch_norm: batch norm in place of biases.
    """
    stages, inputs = [], 3
    for channels in STAGES:
        layers = []
        for outputs in (scaled(n, width) for n in channels):
            layers.append(convolution(inputs, outputs, batch_norm=batch_norm))
            inputs = outputs
        stages.append(nn.Sequential(*layers))
    return stages
