"""The base class of all networks, and the tail and heads they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aaff.errors import ModelError
from aaff.networks.blocks import ConvBlock, divided_up, resize_to


class Tail(nn.Module):
    """3×3 ``ConvBlock`` → resized to ``size`` → 3×3 dilation-2 ``ConvBlock`` → 1×1 logits with bias.

    The reference upsamples AAFF2 before its logits convolution; a 1×1 convolution and bilinear interpolation commute
    exactly, so the cheaper order is the same network.
    """

    def __init__(self, inputs: int, num_classes: int, channels: int = 64) -> None:
        super().__init__()
        self.reduce = ConvBlock(inputs, channels, 3)
        self.refine = ConvBlock(channels, channels, 3, dilation=2)
        self.classify = nn.Conv2d(channels, num_classes, 1)

    def forward(self, x: Tensor, size: Sequence[int]) -> Tensor:
        logits: Tensor = self.classify(self.refine(resize_to(self.reduce(x), size)))
        return logits


class Head(nn.Sequential):
    """3×3 ``ConvBlock`` → 1×1 convolution, at the stride of its input (BiSeNet, section 3.3).

    Args:
        inputs: channels of the input [N, inputs, h, w].
        outputs: channels of the result [N, outputs, h, w]: classes, or 1 for a boundary.
        channels: channels between the two convolutions.
        bias: add a bias to the last convolution.
    """

    def __init__(self, inputs: int, outputs: int, channels: int = 64, bias: bool = True) -> None:
        last = nn.Conv2d(channels, outputs, 1, bias=bias)
        super().__init__(ConvBlock(inputs, channels, 3), last)

    @property
    def classify(self) -> nn.Conv2d:
        """The last convolution."""
        last = self[1]
        assert isinstance(last, nn.Conv2d)
        return last


STRIDES = (1, 2, 4, 8, 16, 32)
"""Native strides that training, export, the runtime and the benchmark support."""


class SegmentationNetwork(nn.Module):
    """Base class of all networks, with the interface for training, export, runtime and benchmark.

    ``net(x)`` takes a normalised float32 batch [N, 3, H, W] of any size and returns logits
    [N, num_classes, H, W]; ``logits`` returns them at the native stride.

    A subclass implements ``native`` and ``classifier``, and fills ``auxiliary`` with heads if requested.

    Args:
        num_classes: number of classes C, the channels of the logits.
        stride: native stride; the native logits have ⌈H/stride⌉ rows and ⌈W/stride⌉ columns.
        packing: packing factor of the logits that ``native`` returns.

    Raises:
        ModelError: the stride is not one of ``STRIDES``.
    """

    stride: int
    packing: int
    """n, if n×n neighbouring native logits are stored as channels, as before a pixel shuffle by n; else 1."""
    auxiliary: nn.ModuleDict
    auxiliary_losses: Mapping[str, str]
    """Name of the head → name of its loss in ``aaff.training.losses.auxiliary``, for auxiliary heads not trained
    with the cross-entropy.  The number of channels of such a head may differ from the number of classes."""

    def __init__(self, num_classes: int, stride: int = 4, packing: int = 1) -> None:
        super().__init__()
        if stride not in STRIDES:
            raise ModelError(
                f"{type(self).__name__} has logits at stride {stride}; it must be one of {', '.join(map(str, STRIDES))}"
            )
        self.num_classes = num_classes
        self.stride = stride
        self.packing = packing
        self.auxiliary = nn.ModuleDict()
        self.auxiliary_losses = {}

    @property
    def classifier(self) -> nn.Conv2d:
        """The last convolution, with ``packing``² outputs per class."""
        raise NotImplementedError

    def native(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Packed native logits, and the inputs of the auxiliary heads by the names of the heads."""
        raise NotImplementedError

    def packed_logits(self, x: Tensor) -> Tensor:
        """The native logits in packed form: [N, num_classes·n², ⌈H/(n·stride)⌉, ⌈W/(n·stride)⌉] with n = ``packing``.

        Channel c·n² + i·n + j contains class c at row i and column j of every n×n block.  Exported models end here,
        since the upsampling to class maps can read the logits in this order at no cost.

        Raises:
            ModelError: see ``logits``.
        """
        self._check(x)
        return self.native(x)[0]

    def unpack(self, packed: Tensor, size: Sequence[int]) -> Tensor:
        """Unpack the result of ``packed_logits`` for a batch of this height and width to native logits."""
        if self.packing == 1:
            return packed
        rows, columns = (divided_up(side, self.stride) for side in size)
        return F.pixel_shuffle(packed, self.packing)[..., :rows, :columns]

    def logits(self, x: Tensor) -> Tensor:
        """Native logits [N, num_classes, ⌈H/stride⌉, ⌈W/stride⌉] of a normalised batch [N, 3, H, W].

        Raises:
            ModelError: a batch of one frame in training mode, or a tensor that is not a batch of RGB frames.
        """
        return self.unpack(self.packed_logits(x), x.shape[-2:])

    def logits_with_auxiliary(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Native logits, and the outputs of all auxiliary heads at their own strides, by name; training mode only.

        Raises:
            ModelError: the network is in evaluation mode, where the heads are not used; or see ``logits``.
        """
        if not self.training:
            raise ModelError("auxiliary logits exist only in training mode; call net.train() first, or net.logits(x)")
        self._check(x)
        packed, supervised = self.native(x)
        auxiliary = {name: head(supervised[name]) for name, head in self.auxiliary.items()}
        return self.unpack(packed, x.shape[-2:]), auxiliary

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, num_classes, H, W]: the native ones resized bilinearly to the input's size."""
        return resize_to(self.logits(x), x.shape[-2:])

    def _check(self, x: Tensor) -> None:
        if torch.compiler.is_compiling():
            return  # shapes are symbolic while tracing, and were checked before
        if x.ndim != 4 or x.shape[1] != 3:
            raise ModelError(
                f"a network takes a batch [N, 3, H, W] of RGB frames, not a tensor of shape {list(x.shape)}"
            )
        if self.training and x.shape[0] < 2:
            raise ModelError(
                "a training batch of one frame: batch norm after global pooling would see a single value and "
                "return a constant; use a batch of at least 2, better 8 or more, or call net.eval()"
            )


class PaperNetwork(SegmentationNetwork):
    """Base of the paper's four networks: fused features at 1/8, then the ``Tail`` to logits at 1/4."""

    tail: Tail

    @property
    def classifier(self) -> nn.Conv2d:
        return self.tail.classify

    def features(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Fused features [N, C, ⌈H/8⌉, ⌈W/8⌉], and the inputs of the auxiliary heads."""
        raise NotImplementedError

    def native(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        fused, supervised = self.features(x)
        size = [divided_up(side, self.stride) for side in x.shape[-2:]]
        return self.tail(fused, size), supervised
