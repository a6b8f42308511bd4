"""U-Net: O. Ronneberger, P. Fischer and T. Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
MICCAI 2015, section 2.

The paper's convolutions have no padding, so that its output is 184 pixels smaller than its input and skipped maps
are cropped.  Here they have padding 1 and the output has the size of the frame, as nearly everyone builds it since.
The 2×2 up-convolutions, whose windows do not overlap, are 1×1 convolutions with four outputs per channel that are
shuffled into place: the same sums, and int8 in every runtime.  A ReLU follows them, as in the authors' Caffe files.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aaff.networks.base import Head, SegmentationNetwork
from aaff.networks.blocks import check_dropout, initialize, scaled
from aaff.networks.registry import register_model
from aaff.networks.vgg import convolution


class UNet(SegmentationNetwork):
    """See ``unet`` for the options; the logits have the size of the frame."""

    def __init__(self, num_classes: int, *, width: float, batch_norm: bool, dropout: float, auxiliary: bool) -> None:
        super().__init__(num_classes, stride=1)
        channels = [scaled(n, width) for n in (64, 128, 256, 512, 1024)]

        def pair(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(
                convolution(inputs, outputs, batch_norm=batch_norm),
                convolution(outputs, outputs, batch_norm=batch_norm),
            )

        self.down = nn.ModuleList(map(pair, [3, *channels], channels))
        self.dropout = nn.Dropout(check_dropout(dropout))
        upwards = list(zip(channels[:0:-1], channels[-2::-1], strict=True))
        self.enlarge = nn.ModuleList(
            nn.Sequential(nn.Conv2d(deep, 4 * fine, 1), nn.PixelShuffle(2), nn.ReLU(inplace=True))
            for deep, fine in upwards
        )
        self.up = nn.ModuleList(pair(2 * fine, fine) for _, fine in upwards)
        self.classify = nn.Conv2d(channels[0], num_classes, 1)
        if auxiliary:
            self.auxiliary["deepest"] = Head(channels[-1], num_classes)
        self.apply(initialize)

    @property
    def classifier(self) -> nn.Conv2d:
        return self.classify

    def native(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        skipped: list[Tensor] = []
        for depth, stage in enumerate(self.down):
            x = stage(F.max_pool2d(x, 2, ceil_mode=True) if depth else x)
            if depth >= len(self.down) - 2:
                x = self.dropout(x)  # "at the end of the contracting path"
            skipped.append(x)
        deepest = skipped.pop()
        for enlarge, stage in zip(self.enlarge, self.up, strict=True):
            fine = skipped.pop()
            rows, columns = fine.shape[-2:]
            x = stage(torch.cat([fine, enlarge(x)[..., :rows, :columns]], dim=1))
        return self.classify(x), {"deepest": deepest}


@register_model(paper="O. Ronneberger et al., U-Net, MICCAI 2015")
def unet(
    num_classes: int,
    *,
    width: float = 1.0,
    batch_norm: bool = False,
    dropout: float = 0.5,
    auxiliary: bool = False,
) -> UNet:
    """Encoder and decoder with concatenated skip connections, logits at full size.

    Args:
        num_classes: channels of the logits.
        width: factor on all channels.
        batch_norm: batch norm instead of biases (the paper has none).
        dropout: after the last two stages of the encoder, in training mode.
        auxiliary: also supervise the deepest map, at 1/16, in training (not in the paper).
    """
    return UNet(num_classes, width=width, batch_norm=batch_norm, dropout=dropout, auxiliary=auxiliary)
