"""Strided depthwise convolutions: the gradients of PyTorch's own, by another way."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from aaff.networks import create_model, list_models
from aaff.networks.strided import StridedDepthwiseConv2d, _Convolution, use_strided


@pytest.mark.parametrize("stride", [2, 3, (1, 2)])
@pytest.mark.parametrize("size", [(12, 16), (13, 7), (1, 2)])
def test_gradients_are_those_of_the_usual_way(stride: int | tuple[int, int], size: tuple[int, int]) -> None:
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
def test_a_layer_answers_alike_in_every_precision(autocast: bool) -> None:
    torch.manual_seed(0)
    usual = nn.Conv2d(16, 16, 3, 2, 1, groups=16).to(memory_format=torch.channels_last)
    fast = nn.Sequential(nn.Conv2d(16, 16, 3, 2, 1, groups=16)).to(memory_format=torch.channels_last)
    fast[0].load_state_dict(usual.state_dict())
    assert use_strided(fast) == 1
    assert list(fast.state_dict()) == ["0.weight", "0.bias"]
    x = torch.randn(4, 16, 20, 24).to(memory_format=torch.channels_last)
    found = []
    for net in (usual, fast):
        own = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            y = net(own)
        y.float().square().sum().backward()
        found.append((y, own.grad, *(p.grad for p in net.parameters())))
    assert found[1][0].dtype == (torch.bfloat16 if autocast else torch.float32)
    for mine, theirs in zip(found[1], found[0], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0.02, atol=0.1 if autocast else 1e-4)


def test_every_network_without_a_plain_strided_depthwise_layer_left() -> None:
    changed = {}
    for name in list_models():
        net = create_model(name, 11)
        changed[name] = use_strided(net)
        assert changed[name] == sum(type(m) is StridedDepthwiseConv2d for m in net.modules())
        assert use_strided(net) == 0
    assert changed["depthwise_aaff"] >= 3
