"""Complexity of a network: parameters, multiply-accumulates per frame, layers.

One multiply-accumulate (MAC) is two floating-point operations.  MACs are counted for all convolutions, including
transposed ones and those after global pooling, and for nothing else; auxiliary heads are always excluded.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from aaff.networks.base import SegmentationNetwork
from aaff.networks.registry import create_model
from aaff.preprocess import Size

DEFAULT_SIZE = Size(480, 360)
"""Default frame size for MACs: that of CamVid's SegNet release."""


def convolution_parameters(kernel: int, inputs: int, outputs: int) -> int:
    """Equation 1 of the paper: n²·Ic·Oc, a plain convolution without bias.

    >>> convolution_parameters(5, 3, 256)
    19200
    """
    return kernel * kernel * inputs * outputs


def separable_parameters(kernel: int, inputs: int, outputs: int) -> int:
    """Equation 2 of the paper: (n² + Oc)·Ic, a depthwise convolution followed by a 1×1 one.

    >>> separable_parameters(5, 3, 256)
    843
    """
    return (kernel * kernel + outputs) * inputs


@dataclass(frozen=True)
class Layer:
    """One layer with parameters, in the order of the forward pass.

    Attributes:
        name: path inside the network, such as ``"sides.left.aaff4.down.0"``.
        kind: class of the module, with kernel and stride for a convolution.
        output: output shape [C, h, w] for one frame.
        parameters: number of parameters.
        macs: MACs for one frame; 0 unless the layer is a convolution.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    macs: int


@dataclass(frozen=True)
class Complexity:
    """Complexity of a network for a frame of ``size``; its native logits are at 1/``stride``."""

    size: Size
    layers: tuple[Layer, ...]
    stride: int

    @property
    def parameters(self) -> int:
        """Number of trainable parameters."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one frame."""
        return sum(layer.macs for layer in self.layers)


def complexity(net: SegmentationNetwork, size: Size = DEFAULT_SIZE) -> Complexity:
    """Count parameters and MACs of ``net`` for one frame, by propagating shapes only; ``net`` is not changed.

    >>> from aaff.networks import create_model
    >>> complexity(create_model("depthwise_aaff", 11), Size(480, 360)).macs
    4103430080
    """
    shadow = copy.deepcopy(net).to("meta").eval()
    layers: list[Layer] = []
    met: set[str] = set()

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def record(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
            # A module that is called twice (the context of DepthwiseAAFF2) has twice the MACs but the parameters once.
            own = 0 if name in met else sum(p.numel() for p in module.parameters(recurse=False))
            met.add(name)
            kind, macs = type(module).__name__, 0
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                transposed = isinstance(module, nn.ConvTranspose2d)
                rows, columns = (given[0] if transposed else output).shape[-2:]
                macs = module.weight.numel() * rows * columns
                sort = "transposed " if transposed else "depthwise " if module.groups == module.in_channels > 1 else ""
                kind = f"{sort}conv {module.kernel_size[0]}×{module.kernel_size[1]}"
                kind += f"/{module.stride[0]}" if module.stride[0] > 1 else ""
                kind += f" dilation {module.dilation[0]}" if module.dilation[0] > 1 else ""
            layers.append(Layer(name, kind, tuple(output.shape[1:]), own, macs))

        return record

    for name, module in shadow.named_modules():
        if any(True for _ in module.parameters(recurse=False)):
            module.register_forward_hook(hook(name))
    with torch.no_grad():
        shadow.logits(torch.empty(1, 3, size.height, size.width, device="meta"))
    return Complexity(size, tuple(layers), net.stride)


@cache
def count(name: str, num_classes: int = 11, size: Size = DEFAULT_SIZE, **options: Any) -> Complexity:
    """Complexity of a registered network by name, without allocating its weights.

    Raises:
        AaffError: as ``aaff.networks.create_model``.

    >>> count("fcn32s", 21).parameters
    134346581
    """
    with torch.device("meta"):
        return complexity(create_model(name, num_classes, **options), size)
