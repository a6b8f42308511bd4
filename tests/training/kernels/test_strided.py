"""Strided depthwise convolutions: the gradients of PyTorch's own, computed at stride 1."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aaff.networks import create_model, list_models
from aaff.training.kernels.strided import StridedDepthwiseConv2d, _Convolution, use_strided


@pytest.mark.parametrize("stride", [2, 3, (1, 2)])
@pytest.mark.parametrize("size", [(12, 16), (13, 7), (1, 2)])
def test_gradients_are_those_of_pytorch(stride: int | tuple[int, int], size: tuple[int, int]) -> None:
    """In float64, where nothing hides in rounding."""
    torch.manual_seed(0)
    conv = nn.Conv2d(5, 5, 3, stride, 1, groups=5, bias=False).double()
    x = torch.randn(2, 5, *size, dtype=torch.float64, requires_grad=True)
    y = conv(x)
    g = torch.randn_like(y)
    wanted = torch.autograd.grad(y, (x, conv.weight), g)
    other = _Convolution.apply(x, conv.weight, conv.stride)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(other, y)
    torch.testing.assert_close(torch.autograd.grad(other, (x, conv.weight), g), wanted)


@pytest.mark.parametrize("autocast", [True, False])
def test_a_layer_is_as_exact_as_pytorchs_own(autocast: bool) -> None:
    """Against float64, with what rounding allows: its unit at the size of the sums, however they are taken."""
    torch.manual_seed(0)
    exact = nn.Conv2d(16, 16, 3, 2, 1, groups=16)
    fast = nn.Sequential(copy.deepcopy(exact)).to(memory_format=torch.channels_last)
    assert use_strided(fast) == 1
    assert list(fast.state_dict()) == ["0.weight", "0.bias"]
    x = torch.randn(4, 16, 20, 24).to(memory_format=torch.channels_last)
    kind = torch.bfloat16 if autocast else torch.float32
    inputs = (x, exact.weight.detach(), torch.randn(4, 16, 10, 12))
    if autocast:  # both see numbers that bfloat16 holds, so that only the sums round
        inputs = tuple(t.bfloat16().float() for t in inputs)
    frames, weight, gradient = inputs
    fast[0].weight.data.copy_(weight)
    own = frames.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        y = fast(own)
    assert y.dtype == kind
    y.backward(gradient.to(kind))
    found = (y, own.grad, fast[0].weight.grad, fast[0].bias.grad)
    sums, sizes = reference(exact.double(), *(t.double() for t in inputs))
    # Every term rounds once to the unit, and partial sums once more each: at most this many roundings of Σ |term|.
    unit = torch.finfo(kind).eps
    for mine, value, size, terms in zip(found, sums, sizes, (10, 9, 480, 480), strict=True):
        assert mine is not None
        excess = (mine.detach().double() - value).abs() - unit * (terms**0.5 + 2) * size
        assert float(excess.max()) <= 0


def reference(conv: nn.Conv2d, x: Tensor, weight: Tensor, gradient: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Output and gradients in float64: the sums, and the sums of the terms' absolute values."""
    assert conv.bias is not None
    found = []
    for each in (lambda t: t, torch.abs):
        own, w, b = (each(t.detach().clone()).requires_grad_() for t in (x, weight, conv.bias))
        y = F.conv2d(own, w, b, 2, 1, groups=16)
        found.append([y.detach(), *torch.autograd.grad(y, (own, w, b), each(gradient))])
    return found[0], found[1]


def test_every_network_without_a_plain_strided_depthwise_layer_left() -> None:
    changed = {}
    for name in list_models():
        with torch.device("meta"):
            net = create_model(name, 11)
        changed[name] = use_strided(net)
        assert changed[name] == sum(type(m) is StridedDepthwiseConv2d for m in net.modules())
        assert use_strided(net) == 0
    assert changed["depthwise_aaff"] >= 3
