"""SegNet: V. Badrinarayanan, A. Kendall and R. Cipolla, "SegNet: A Deep Convolutional Encoder-Decoder Architecture
for Image Segmentation", TPAMI 2017, section 3.

The encoder is VGG-16's convolutions with batch norm.  The decoder mirrors it: values are unpooled to where the
encoder's maxima were (``aaff.networks.unpooling``), and convolutions make the sparse maps dense.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from aaff.networks.base import Head, SegmentationNetwork
from aaff.networks.blocks import ConvBlock, initialize, scaled
from aaff.networks.registry import register_model
from aaff.networks.unpooling import max_pool, max_unpool
from aaff.networks.vgg import STAGES, vgg16


class SegNet(SegmentationNetwork):
    """See ``segnet`` for the options; the logits have the size of the frame."""

    def __init__(self, num_classes: int, *, width: float, auxiliary: bool) -> None:
        super().__init__(num_classes, stride=1)
        stages = [[scaled(n, width) for n in channels] for channels in STAGES]
        self.backbone = nn.ModuleList(vgg16(width, batch_norm=True))
        self.decoder = nn.ModuleList()
        for stage, above in zip(stages[:0:-1], stages[-2::-1], strict=True):
            # As many convolutions as the encoder's stage has; the last one goes to the channels of the stage above.
            channels = [*stage, above[-1]]
            self.decoder.append(nn.Sequential(*map(ConvBlock, channels[:-1], channels[1:])))
        first = stages[0][-1]
        self.last = ConvBlock(first, first)
        self.classify = nn.Conv2d(first, num_classes, 3, padding=1)
        if auxiliary:
            self.auxiliary["encoder"] = Head(stages[-1][-1], num_classes)
        self.apply(initialize)

    @property
    def classifier(self) -> nn.Conv2d:
        return self.classify

    def native(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        places = []
        for stage in self.backbone:
            x, positions = max_pool(stage(x))
            places.append(positions)
        encoded = x
        for stage in (*self.decoder, self.last):
            x = stage(max_unpool(x, places.pop()))
        return self.classify(x), {"encoder": encoded}


@register_model(paper="V. Badrinarayanan et al., SegNet, TPAMI 2017")
def segnet(num_classes: int, *, width: float = 1.0, auxiliary: bool = False) -> SegNet:
    """VGG-16 encoder and its mirror image as decoder, unpooling with indices, logits at full size.

    Args:
        num_classes: channels of the logits.
        width: factor on all channels.
        auxiliary: also supervise the encoder's last map, at 1/32, in training (not in the paper).
    """
    return SegNet(num_classes, width=width, auxiliary=auxiliary)
