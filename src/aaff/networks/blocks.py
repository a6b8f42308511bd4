"""Building blocks of the networks.

Notation of the docstrings: N batch, C channels, h × w feature size.  Every convolution followed by
batch norm has no bias; padding is k//2 (the dilation, for a dilated 3×3) on each side.  Resizing is
bilinear with ``align_corners=False`` to the size of the tensor it meets, so that any input size works.

Sources: Y. Cheng, "Attention and Feature Fusion Network for Real-time Semantic Segmentation",
section III (AAFF block, depthwise spatial path); C. Yu et al., "BiSeNet", ECCV 2018 (ARM, FFM,
spatial and context path); F. Chollet, "Xception", CVPR 2017 (separable convolutions).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aaff.errors import OptionError, UnknownNameError


def check_name(kind: str, name: str, valid: Collection[str]) -> str:
    """Return ``name`` if it is valid.

    Raises:
        UnknownNameError: the name is not valid; the message suggests the nearest valid one.
    """
    if name not in valid:
        raise UnknownNameError(kind, name, valid)
    return name


def check_dropout(share: float) -> float:
    """Return the share of the values that dropout zeroes if it is valid.

    Raises:
        OptionError: it is not in [0, 1).
    """
    if not 0 <= share < 1:
        raise OptionError(f"dropout is {share}; it must be in [0, 1)")
    return share


def resize_to(x: Tensor, size: Sequence[int]) -> Tensor:
    """``x`` [N, C, h, w] resized bilinearly to ``size`` (rows, columns)."""
    if list(x.shape[-2:]) == list(size):
        return x
    return F.interpolate(x, size=list(size), mode="bilinear", align_corners=False)


def divided_up(side: int, parts: int) -> int:
    """⌈``side`` / ``parts``⌉ of a side of a batch.

    ``-(-side // parts)`` does not work in exported graphs with dynamic sides: ONNX Runtime rounds it towards zero.

    >>> divided_up(65, 4)
    17
    """
    return (side + parts - 1) // parts


class GridPool(nn.Module):
    """Averages over a grid of ``bins`` × ``bins`` cells, [N, C, h, w] → [N, C, bins, bins], as adaptive pooling does.

    ``F.adaptive_avg_pool2d`` is exported for the size of the example only: at other sizes, a graph with dynamic sides
    fails in ONNX Runtime and silently averages the wrong cells in OpenVINO.

    >>> GridPool(2)(torch.arange(6.0).view(1, 1, 2, 3)).flatten().tolist()
    [0.5, 1.5, 3.5, 4.5]
    """

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins

    def forward(self, x: Tensor) -> Tensor:
        if self.bins == 1:
            return F.adaptive_avg_pool2d(x, 1)
        rows, columns = self._average(x.shape[-2], x), self._average(x.shape[-1], x)
        return rows @ x @ columns.mT

    def _average(self, length: int, like: Tensor) -> Tensor:
        """float [bins, length]: weight of each cell along one axis in each bin; neighbouring bins may share a cell."""
        cell = torch.arange(length, device=like.device)
        bin_ = torch.arange(self.bins, device=like.device)[:, None]
        inside = ((cell + 1) * self.bins > bin_ * length) & (cell * self.bins < (bin_ + 1) * length)
        weights = inside.to(like.dtype)
        return weights / weights.sum(1, keepdim=True)


class ConvBlock(nn.Sequential):
    """Convolution → batch norm → activation; [N, C, h, w] → [N, out, ⌈h/stride⌉, ⌈w/stride⌉]."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        stride: int = 1,
        dilation: int = 1,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__(
            nn.Conv2d(
                inputs,
                outputs,
                kernel,
                stride=stride,
                padding=kernel // 2 * dilation,
                dilation=dilation,
                bias=False,
            ),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True) if activation is None else activation,
        )


class SeparableBlock(nn.Sequential):
    """3×3 depthwise → 1×1 pointwise → batch norm → ReLU, in Xception's order: one norm, after the pointwise.

    The depthwise convolution carries the stride.  Equation 2 of the paper counts its parameters.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, relu: bool = True) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, inputs, 3, stride=stride, padding=1, groups=inputs, bias=False),
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        super().__init__(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class GlobalContext(nn.Module):
    """Global average pooling → ``ConvBlock`` 1×1: one vector [N, out, 1, 1] with the context of the whole frame.

    The author's reference code computes it but does not use it; here it is added, as in the BiSeNet paper.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.project = ConvBlock(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.project(F.adaptive_avg_pool2d(x, 1))
        return pooled


class ChannelGate(nn.Module):
    """x · gate(GAP(x)): every channel is weighted according to the whole frame (section III-B).

    Args:
        gate: module from the pooled [N, C, 1, 1] to the weights [N, C, 1, 1]; None: the identity, without parameters.
    """

    def __init__(self, gate: nn.Module | None) -> None:
        super().__init__()
        self.gate = gate

    def weights(self, x: Tensor) -> Tensor | None:
        """The gate's output [N, C, 1, 1], or None for the identity."""
        if self.gate is None:
            return None
        weights: Tensor = self.gate(F.adaptive_avg_pool2d(x, 1))
        return weights

    def forward(self, x: Tensor) -> Tensor:
        weights = self.weights(x)
        return x if weights is None else x * weights


class FeaturePyramidAttention(nn.Module):
    """FPA of PAN (H. Li et al., "Pyramid Attention Network", BMVC 2018, section 3.1).

    W(x) · pyramid(x) + global(x): W is a 1×1 ``ConvBlock``, global a ``GlobalContext``.  The pyramid goes down
    by 7×7, 5×5 and 3×3 convolutions of stride 2 and adds its levels on the way up.  It weighs pixels, so it has one
    channel (the paper gives no number).

    Args:
        channels: of the input and the output [N, channels, h, w].
    """

    KERNELS = (7, 5, 3)

    def __init__(self, channels: int) -> None:
        super().__init__()
        inputs = (channels, 1, 1)
        self.master = ConvBlock(channels, channels, 1)
        self.context = GlobalContext(channels, channels)
        self.down = nn.ModuleList(ConvBlock(n, 1, kernel, 2) for n, kernel in zip(inputs, self.KERNELS, strict=True))
        self.lateral = nn.ModuleList(ConvBlock(1, 1, kernel, activation=nn.Identity()) for kernel in self.KERNELS)

    def forward(self, x: Tensor) -> Tensor:
        levels, level = [x], x
        for down in self.down:
            level = down(level)
            levels.append(level)
        attention: Tensor | None = None
        for lateral, level, finer in zip(self.lateral[::-1], levels[:0:-1], levels[-2::-1], strict=True):
            own = lateral(level)
            attention = resize_to(own if attention is None else own + attention, finer.shape[-2:])
        weighted: Tensor = self.master(x) * attention + self.context(x)
        return weighted


def _normalized(activation: Callable[[], nn.Module]) -> Callable[[int, int], nn.Module]:
    """A(BN(W · GAP(x))) with a 1×1 convolution W without bias, C → C.

    There is no ReLU between W and the batch norm or the activation: the reference code has one only because its layer
    library adds it by default.

    Batch norm of a pooled 1×1 map sees one value per frame, so training needs at least two frames per batch, and about
    eight for useful statistics.
    """

    def build(channels: int, _: int) -> nn.Module:
        convolution = nn.Conv2d(channels, channels, 1, bias=False)
        return ChannelGate(nn.Sequential(convolution, nn.BatchNorm2d(channels), activation()))

    return build


def _squeeze_excitation(channels: int, reduction: int) -> nn.Module:
    """sigmoid(W₂ relu(W₁ · GAP(x))), C → C/reduction → C (J. Hu et al., "Squeeze-and-Excitation", CVPR 2018)."""
    narrow = max(1, channels // reduction)
    return ChannelGate(
        nn.Sequential(
            nn.Conv2d(channels, narrow, 1), nn.ReLU(inplace=True), nn.Conv2d(narrow, channels, 1), nn.Sigmoid()
        )
    )


GATES: dict[str, Callable[[int, int], nn.Module]] = {
    "sigmoid": _normalized(nn.Sigmoid),
    "relu": _normalized(nn.ReLU),
    "hard_sigmoid": _normalized(nn.Hardsigmoid),  # PyTorch's, of slope 1/6
    "none": lambda channels, reduction: ChannelGate(None),
    "squeeze_excitation": _squeeze_excitation,
    "feature_pyramid": lambda channels, reduction: FeaturePyramidAttention(channels),
}
"""Name → function of channels and reduction that makes an attention module [N, C, h, w] → [N, C, h, w]; ``none`` is the
identity."""


def make_gate(channels: int, gate: str = "sigmoid", reduction: int = 16) -> nn.Module:
    """Make one of ``GATES``.

    Args:
        channels: number of channels C.
        gate: name of the gate.
        reduction: reduction of ``squeeze_excitation``; ignored by the others.

    Raises:
        UnknownNameError: there is no such gate; the message suggests the nearest one.
        OptionError: ``reduction`` is below 1.
    """
    if reduction < 1:
        raise OptionError(f"reduction is {reduction}; it must be at least 1")
    return GATES[check_name("gate", gate, GATES)](channels, reduction)


class AttentionRefinement(nn.Sequential):
    """ARM: 3×3 ``ConvBlock``, then attention, a ``ChannelGate`` unless another is named (BiSeNet, section 3.2)."""

    def __init__(self, inputs: int, outputs: int, gate: str = "sigmoid", reduction: int = 16) -> None:
        super().__init__(ConvBlock(inputs, outputs, 3), make_gate(outputs, gate, reduction))


class FeatureFusion(nn.Module):
    """FFM: f = 3×3 ``ConvBlock`` of the concatenated inputs; f + f · weights(GAP f) (BiSeNet, section 3.3).

    Args:
        inputs: channels of all inputs together.
        outputs: channels of f.
        normalized: False: 1×1 with bias → ReLU → 1×1 with bias → sigmoid.  True (DepthwiseAAFF2):
            both 1×1 without bias, each followed by batch norm and ReLU.
    """

    def __init__(self, inputs: int, outputs: int, normalized: bool = False) -> None:
        super().__init__()
        self.fuse = ConvBlock(inputs, outputs, 3)
        if normalized:
            self.attention = nn.Sequential(ConvBlock(outputs, outputs, 1), ConvBlock(outputs, outputs, 1))
        else:
            self.attention = nn.Sequential(
                nn.Conv2d(outputs, outputs, 1),
                nn.ReLU(inplace=True),
                nn.Conv2d(outputs, outputs, 1),
                nn.Sigmoid(),
            )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        fused: Tensor = self.fuse(torch.cat(list(features), dim=1))
        weights: Tensor = self.attention(F.adaptive_avg_pool2d(fused, 1))
        return fused + fused * weights


FUSIONS = ("concat", "add", "multiply", "global_attention")
"""How an AAFF block fuses the gated features with its second input."""


class AttentionFeatureFusion(nn.Module):
    """The AAFF block (section III-B, Fig. 3): attention on the finer input, fusion with the coarser one.

    f = 3×3 stride-2 ``ConvBlock`` of the first input, g = f weighted by its gate, then
    ``concat``: 1×1 ``ConvBlock`` of [g, second], exactly three convolutions, two of them 1×1;
    ``add`` / ``multiply``: 1×1 ``ConvBlock`` of g + s or g · s with s = 1×1 ``ConvBlock`` of the second;
    ``global_attention``: 1×1 ``ConvBlock`` of g · c + s with c = ``GlobalContext`` of the second.  So PAN's
    global attention upsampling (H. Li et al., BMVC 2018, section 3.2) weighs its finer input by the coarser one;
    the block's first convolution is its 3×3 one.

    Args:
        first: channels of the first input [N, first, 2h, 2w] (odd sizes: h = ⌈H/2⌉).
        second: channels of the second input [N, second, h, w].
        outputs: channels of the output [N, outputs, h, w].
        gate: a key of ``GATES``.
        fusion: one of ``FUSIONS``.
        reduction: see ``make_gate``.
    """

    def __init__(
        self,
        first: int,
        second: int,
        outputs: int,
        gate: str = "sigmoid",
        fusion: str = "concat",
        reduction: int = 16,
    ) -> None:
        super().__init__()
        self.fusion = check_name("fusion", fusion, FUSIONS)
        self.down = ConvBlock(first, outputs, 3, stride=2)
        self.gate = make_gate(outputs, gate, reduction)
        self.project: ConvBlock | None = None
        self.guide = GlobalContext(second, outputs) if fusion == "global_attention" else None
        if fusion == "concat":
            self.fuse = ConvBlock(outputs + second, outputs, 1)
        else:
            self.project = ConvBlock(second, outputs, 1)
            self.fuse = ConvBlock(outputs, outputs, 1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        attended = self.gate(self.down(first))
        if self.project is None:
            joined = torch.cat([attended, second], dim=1)
        elif self.guide is not None:
            joined = attended * self.guide(second) + self.project(second)
        elif self.fusion == "add":
            joined = attended + self.project(second)
        else:
            joined = attended * self.project(second)
        fused: Tensor = self.fuse(joined)
        return fused


def scaled(channels: int, width: float) -> int:
    """``channels`` times ``width``, rounded to a whole number, at least 1."""
    return max(1, round(channels * width))


def spatial_path(depthwise: bool, width: float = 1.0) -> tuple[nn.Sequential, int]:
    """The vertical branch: three strided convolutions that keep detail at 1/8 of the input.

    Returns:
        The module and its output channels: 256 with plain convolutions (BiSeNet), 32 with separable ones (section
        III-A), which have batch norm and ReLU as in Xception, unlike the reference code.
    """
    a, b, c, narrow = (scaled(n, width) for n in (64, 128, 256, 32))
    if depthwise:
        layers = [ConvBlock(3, a, 3, 2), SeparableBlock(a, b, 2), SeparableBlock(b, c, 2), ConvBlock(c, narrow, 1)]
        return nn.Sequential(*layers), narrow
    return nn.Sequential(ConvBlock(3, a, 3, 2), ConvBlock(a, b, 3, 2), ConvBlock(b, c, 3, 2)), c


def initialize(module: nn.Module) -> None:
    """Kaiming-normal (fan-out, ReLU) convolutions and zero biases, for ``net.apply``."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
