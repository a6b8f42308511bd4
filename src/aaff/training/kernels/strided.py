"""Strided depthwise convolutions with a fast backward pass, for training in bfloat16 on CPUs.

In bfloat16, PyTorch's CPU back end (2.13, AVX-512) computes the gradients of a depthwise convolution quickly at
stride 1 but twenty times more slowly at stride 2: a handful of such layers took a seventh of a training step.  A
convolution of stride s returns every s-th output of the one of stride 1, so its gradients are those of the latter for
an output gradient with zeros in between.  The sums have the same terms, so the result is the same up to rounding.  In
float32 the back end's own implementation is faster.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _Convolution(torch.autograd.Function):
    """y = depthwise 3×3 convolution of x [N, C, H, W] with weight [C, 1, 3, 3], padding 1, any stride."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, weight: Tensor, stride: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride  # type: ignore[attr-defined]
        return F.conv2d(x, weight, None, stride, 1, groups=x.shape[1])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight = ctx.saved_tensors  # type: ignore[attr-defined]
        down, across = ctx.stride  # type: ignore[attr-defined]
        full = torch.zeros_like(x)  # stride 1 has an output for every input
        full[:, :, ::down, ::across] = gradient
        wanted = [*ctx.needs_input_grad[:2], False]  # type: ignore[attr-defined]
        d_x, d_weight, _ = torch.ops.aten.convolution_backward(
            full, x, weight, None, [1, 1], [1, 1], [1, 1], False, [0, 0], x.shape[1], wanted
        )
        return d_x, d_weight, None


class StridedDepthwiseConv2d(nn.Conv2d):
    """A depthwise 3×3 convolution of stride above 1 with the fast backward pass for bfloat16 on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight
        if x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):  # autocast casts only for PyTorch's functions
            kind = torch.get_autocast_dtype("cpu")
            x, weight = x.to(kind), weight.to(kind)
        if x.device.type != "cpu" or x.dtype != torch.bfloat16 or weight.dtype != x.dtype:
            return super().forward(x)
        y: Tensor = _Convolution.apply(x, weight, self.stride)  # type: ignore[no-untyped-call]
        return y if self.bias is None else y + self.bias.to(y.dtype).view(1, -1, 1, 1)


def use_strided(net: nn.Module) -> int:
    """Use the fast backward pass in every strided depthwise 3×3 convolution of ``net``.

    Parameters, their names and everything else are unchanged.

    Returns:
        Number of convolutions changed.
    """
    changed = 0
    for module in net.modules():
        if type(module) is nn.Conv2d and _fits(module):
            module.__class__ = StridedDepthwiseConv2d
            changed += 1
    return changed


def _fits(conv: nn.Conv2d) -> bool:
    return (
        conv.kernel_size == (3, 3)
        and max(conv.stride) > 1
        and conv.dilation == (1, 1)
        and conv.padding == (1, 1)
        and conv.groups == conv.in_channels == conv.out_channels
        and conv.padding_mode == "zeros"
    )
