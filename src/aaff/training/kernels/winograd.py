"""Wide 3×3 convolutions with a quarter of the multiplications, for training in float32 on CPUs.

F(4×4, 3×3) of A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016: a
tile of 6×6 inputs gives 4×4 outputs with 36 multiplications per pair of channels in place of 144.
Forward and both backward passes share the transforms, since the formula is linear in the input and in
the weights and its adjoint has the same shape.  The result is that of the direct convolution to
rounding: about 3e-6 of its size in float32, where the direct one has 1e-6.

PyTorch's CPU back end computes 3×3 convolutions directly; for the fusion module of these networks, which is half of all
their arithmetic, forward and backward pass take less than half the time with this algorithm.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_TILE = 4
"""Outputs of a tile along one axis; a tile reads two inputs more."""

_INPUT = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_WEIGHT = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_OUTPUT = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))

_WORTH = 128 * 64
"""Minimum number of channel pairs for which the transforms cost less than they save (measured on two AVX2 cores)."""


@functools.lru_cache
def _transform(rows: Sequence[Sequence[float]]) -> Tensor:
    """A one-dimensional transform as one matrix for both axes of a tile."""
    matrix = torch.tensor(rows, dtype=torch.float64)
    with torch.inference_mode(False):
        return torch.kron(matrix, matrix).float()


class _Convolution(torch.autograd.Function):
    """y = 3×3 convolution of x [N, C, H, W] (channels last) with weight [K, C, 3, 3], padding 1."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, weight: Tensor) -> Tensor:
        n, c, h, w = x.shape
        k = weight.shape[0]
        down, across = -(-h // _TILE), -(-w // _TILE)
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, across * _TILE + 1 - w, 1, down * _TILE + 1 - h))
        s = padded.stride()
        view = padded.as_strided(
            (6, 6, n, down, across, c), (s[1], s[2], s[0], _TILE * s[1], _TILE * s[2], s[3]), padded.storage_offset()
        )
        tiles = (_transform(_INPUT) @ view.reshape(36, -1)).view(36, -1, c)
        weights = (_transform(_WEIGHT) @ weight.permute(2, 3, 1, 0).reshape(9, -1)).view(36, c, k)
        products = torch.bmm(tiles, weights)
        blocks = (_transform(_OUTPUT) @ products.view(36, -1)).view(_TILE, _TILE, n, down, across, k)
        y = blocks.permute(2, 3, 0, 4, 1, 5).reshape(n, down * _TILE, across * _TILE, k)[:, :h, :w]
        ctx.save_for_backward(tiles, weights)
        ctx.shape = x.shape  # type: ignore[attr-defined]
        return y.contiguous().permute(0, 3, 1, 2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        tiles, weights = ctx.saved_tensors  # type: ignore[attr-defined]
        n, c, h, w = ctx.shape  # type: ignore[attr-defined]
        k = gradient.shape[1]
        down, across = -(-h // _TILE), -(-w // _TILE)
        padded = F.pad(gradient.permute(0, 2, 3, 1), (0, 0, 0, across * _TILE - w, 0, down * _TILE - h))
        blocks = padded.reshape(n, down, _TILE, across, _TILE, k).permute(2, 4, 0, 1, 3, 5).reshape(_TILE**2, -1)
        products = (_transform(_OUTPUT).t() @ blocks).view(36, -1, k)
        d_weight = d_x = None
        if ctx.needs_input_grad[1]:  # type: ignore[attr-defined]
            d_weights = torch.bmm(tiles.transpose(1, 2), products)
            d_weight = (_transform(_WEIGHT).t() @ d_weights.view(36, -1)).view(3, 3, c, k).permute(3, 2, 0, 1)
        if ctx.needs_input_grad[0]:  # type: ignore[attr-defined]
            d_tiles = torch.bmm(products, weights.transpose(1, 2))
            d_view = (_transform(_INPUT).t() @ d_tiles.view(36, -1)).view(6, 6, n, down, across, c)
            d_x = _overlap_add(d_view)[:, 1 : 1 + h, 1 : 1 + w].contiguous().permute(0, 3, 1, 2)
        return d_x, d_weight


def _overlap_add(tiles: Tensor) -> Tensor:
    """The adjoint of cutting tiles: [6, 6, N, down, across, C] to the padded frame [N, 4·down+2, 4·across+2, C].

    The first four rows and columns of all tiles lie side by side; the last two fall on their neighbours.
    """
    _, _, n, down, across, c = tiles.shape
    height, width = down * _TILE, across * _TILE
    frame = tiles.new_zeros(n, height + 2, width + 2, c)
    blocks = frame[:, :height, :width].view(n, down, _TILE, across, _TILE, c)
    blocks.copy_(tiles[:_TILE, :_TILE].permute(2, 3, 0, 4, 1, 5))
    for a in (_TILE, _TILE + 1):
        rows = frame[:, a::_TILE, :width][:, :down].view(n, down, across, _TILE, c)
        rows.add_(tiles[a, :_TILE].permute(1, 2, 3, 0, 4))
        columns = frame[:, :height, a::_TILE][:, :, :across].view(n, down, _TILE, across, c)
        columns.add_(tiles[:_TILE, a].permute(1, 2, 0, 3, 4))
        for b in (_TILE, _TILE + 1):
            frame[:, a::_TILE, b::_TILE][:, :down, :across].add_(tiles[a, b])
    return frame


class WinogradConv2d(nn.Conv2d):
    """A 3×3 convolution of stride 1 that is fast for float32 on a CPU, else the usual one."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != torch.float32 or x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        y: Tensor = _Convolution.apply(x, self.weight)  # type: ignore[no-untyped-call]
        return y if self.bias is None else y + self.bias.view(1, -1, 1, 1)


def use_winograd(net: nn.Module) -> int:
    """Use the Winograd algorithm in every wide 3×3 convolution of stride 1 of ``net``.

    Parameters, their names and everything else are unchanged.

    Returns:
        Number of convolutions changed.
    """
    changed = 0
    for module in net.modules():
        if type(module) is nn.Conv2d and _fits(module):
            module.__class__ = WinogradConv2d
            changed += 1
    return changed


def _fits(conv: nn.Conv2d) -> bool:
    return (
        conv.kernel_size == (3, 3)
        and conv.stride == (1, 1)
        and conv.dilation == (1, 1)
        and conv.padding == (1, 1)
        and conv.groups == 1
        and conv.padding_mode == "zeros"
        and conv.in_channels * conv.out_channels >= _WORTH
    )
