"""Residual blocks and pre-activated convolutions: ResNet, DDRNet and PIDNet are built from them.

K. He et al., "Deep Residual Learning", CVPR 2016; "Identity Mappings in Deep Residual Networks", ECCV 2016.  The names
of the modules are those of torchvision and of the authors' releases, so that published weights need no renaming here.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from aaff.networks.blocks import initialize, scaled


def stem_channels(channels: int, width: float) -> int:
    """``channels`` times ``width``, but at least 8.

    With fewer inputs the backward pass of a 1×1 convolution of stride 2, as shortcuts have it, overwrites memory that
    is not its own (torch 2.13 on a CPU, channels last).

    >>> stem_channels(32, 0.5), stem_channels(32, 0.125)
    (16, 8)
    """
    return max(8, scaled(channels, width))


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class BasicBlock(nn.Module):
    """3×3 → 3×3 with a shortcut; [N, inputs, h, w] → [N, channels, ⌈h/stride⌉, ⌈w/stride⌉].

    Args:
        inputs: channels of the input.
        channels: channels of the output.
        stride: of the first convolution and the shortcut.
        relu: apply ReLU to the sum; a stage whose output goes to several places leaves it to them.
    """

    def __init__(self, inputs: int, channels: int, stride: int = 1, relu: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(inputs, channels, stride)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        y = y + (x if self.downsample is None else self.downsample(x))
        return F.relu(y) if self.relu else y


class Bottleneck(nn.Module):
    """1×1 → 3×3 → 1×1 to twice the channels with a shortcut, no ReLU on the sum (DDRNet, section III-A).

    Args:
        inputs: channels of the input.
        channels: of the middle; the output has ``2 * channels``.
        stride: of the 3×3 convolution and the shortcut.
    """

    def __init__(self, inputs: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, 2 * channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(2 * channels)
        self.downsample = _shortcut(inputs, 2 * channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        sum_: Tensor = self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x))
        return sum_


def basic_stage(inputs: int, channels: int, blocks: int, stride: int = 1, relu: bool = False) -> nn.Sequential:
    """``blocks`` basic blocks, the first with the stride; ``relu`` says whether the last one applies ReLU."""
    return nn.Sequential(
        *(
            BasicBlock(inputs if i == 0 else channels, channels, stride if i == 0 else 1, relu or i < blocks - 1)
            for i in range(blocks)
        )
    )


def bottleneck_stage(inputs: int, channels: int, blocks: int, stride: int = 1) -> nn.Sequential:
    """``blocks`` bottlenecks to ``2 * channels``, the first with the stride."""
    return nn.Sequential(
        *(Bottleneck(inputs if i == 0 else 2 * channels, channels, stride if i == 0 else 1) for i in range(blocks))
    )


def conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """Convolution without bias → batch norm."""
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)]


def pre_activated(inputs: int, outputs: int, kernel: int = 1, groups: int = 1) -> list[nn.Module]:
    """Batch norm → ReLU → convolution without bias."""
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
    return [nn.BatchNorm2d(inputs), nn.ReLU(inplace=True), convolution]


def strided_stem(channels: int) -> nn.Sequential:
    """Two 3×3 convolutions of stride 2, each with batch norm and ReLU: to 1/4 of the input.

    The releases of DDRNet and PIDNet give these two a bias, which batch norm takes away again; it is left out.
    """
    first, second = conv_norm(3, channels, 3, 2), conv_norm(channels, channels, 3, 2)
    return nn.Sequential(*first, nn.ReLU(inplace=True), *second, nn.ReLU(inplace=True))


class PreActivatedHead(nn.Module):
    """Batch norm → ReLU → 3×3 → batch norm → ReLU → 1×1 with bias, at the stride of its input.

    Args:
        inputs: channels of the input.
        middle: channels between the convolutions.
        outputs: channels of the result: classes, or 1 for a boundary.
    """

    def __init__(self, inputs: int, middle: int, outputs: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, middle, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(x))))))
        return logits


class ResNet18(nn.Module):
    """ResNet-18 without its classifier; ``forward`` gives the maps at 1/8, 1/16 and 1/32.

    Args:
        width: factor on all channels.

    Attributes:
        channels: of the three maps.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        a, b, c, d = (stem_channels(n, width) for n in (64, 128, 256, 512))
        self.channels = (b, c, d)
        self.conv1 = nn.Conv2d(3, a, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(a)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = basic_stage(a, a, 2, relu=True)
        self.layer2 = basic_stage(a, b, 2, stride=2, relu=True)
        self.layer3 = basic_stage(b, c, 2, stride=2, relu=True)
        self.layer4 = basic_stage(c, d, 2, stride=2, relu=True)
        self.apply(initialize)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        c4 = self.layer1(self.maxpool(F.relu(self.bn1(self.conv1(x)))))
        c8 = self.layer2(c4)
        c16 = self.layer3(c8)
        return c8, c16, self.layer4(c16)
