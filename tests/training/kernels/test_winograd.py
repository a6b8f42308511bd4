"""The fast convolution gives what the direct one gives, forward and backward."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from aaff.networks import create_model
from aaff.training.kernels.winograd import WinogradConv2d, use_winograd


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (5, 7), (12, 15), (9, 2)])
def test_equals_the_direct_convolution_in_value_and_gradients(size):
    torch.manual_seed(0)
    x = torch.randn(2, 128, *size).to(memory_format=torch.channels_last)
    conv = nn.Conv2d(128, 64, 3, padding=1)
    g = torch.randn(2, 64, *size)
    exact_x = x.double().requires_grad_()
    exact_w = conv.weight.detach().double().requires_grad_()
    expected = F.conv2d(exact_x, exact_w, conv.bias.detach().double(), padding=1)
    expected.backward(g.double())
    fast_x = x.clone().requires_grad_()
    assert use_winograd(conv) == 1
    y = conv(fast_x)
    y.backward(g)
    for got, wanted in ((y, expected), (fast_x.grad, exact_x.grad), (conv.weight.grad, exact_w.grad)):
        assert (got.double() - wanted).norm() < 1e-5 * wanted.norm()


def test_a_network_keeps_its_weights_and_answers():
    torch.manual_seed(0)
    net = create_model("depthwise_aaff", 11).eval()
    x = torch.randn(1, 3, 65, 97)
    with torch.inference_mode():
        before = net(x)
        names = list(net.state_dict())
        assert use_winograd(net) == 4
        after = net(x)
    assert list(net.state_dict()) == names
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-4)


def test_only_wide_plain_3x3_convolutions_change():
    net = nn.ModuleList(
        [
            nn.Conv2d(128, 128, 3, padding=1, stride=2),
            nn.Conv2d(128, 128, 3, padding=2, dilation=2),
            nn.Conv2d(128, 128, 3, padding=1, groups=128),
            nn.Conv2d(128, 128, 1),
            nn.Conv2d(16, 16, 3, padding=1),
            nn.Conv2d(128, 128, 3),
        ]
    )
    assert use_winograd(net) == 0
    assert not any(isinstance(m, WinogradConv2d) for m in net)
