"""A warm start takes what fits and says what it left."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from aaff.errors import ModelError
from aaff.networks import create_model
from aaff.training.warm_start import warm_start


def test_a_checkpoint_with_other_classes_gives_all_but_the_classifier() -> None:
    other, net = create_model("depthwise_aaff", 31), create_model("depthwise_aaff", 11)
    with torch.no_grad():
        for value in other.state_dict().values():
            value.add_(1)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    report = warm_start(net, other.state_dict())
    assert report.fresh == {
        "tail.classify.weight": "checkpoint [31, 64, 1, 1], network [11, 64, 1, 1]",
        "tail.classify.bias": "checkpoint [31], network [11]",
    }
    assert report.unused == ()
    assert set(report.loaded) | set(report.fresh) == set(before)
    for name, value in net.state_dict().items():
        expected = before[name] if name in report.fresh else other.state_dict()[name]
        assert torch.equal(value, expected), name
    assert f"{len(before) - 2} of {len(before)}" in str(report)
    assert "tail.classify.weight" in str(report)


def test_auxiliary_heads_on_either_side_are_told() -> None:
    plain, helped = create_model("depthwise_aaff", 11), create_model("depthwise_aaff", 11, auxiliary=True)
    heads = {name for name in helped.state_dict() if name.startswith("auxiliary.")}
    assert heads
    assert set(warm_start(helped, plain.state_dict()).fresh) == heads
    assert set(warm_start(plain, helped.state_dict()).unused) == heads


def test_layout_and_precision_of_the_network_stay() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    state = {name: value.double() for name, value in nn.Sequential(nn.Conv2d(3, 4, 3)).state_dict().items()}
    warm_start(net, state)
    weight = net[0].weight
    assert weight.dtype == torch.float32
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(weight, state["0.weight"].float())


def test_excluded_names_keep_their_start() -> None:
    net, other = nn.Linear(3, 2), nn.Linear(3, 2)
    kept = net.bias.clone()
    report = warm_start(net, other.state_dict(), exclude=["bias"])
    assert report.fresh == {"bias": "excluded"}
    assert torch.equal(net.bias, kept)
    assert torch.equal(net.weight, other.weight)


def test_a_long_list_is_cut_short() -> None:
    net = nn.Sequential(*(nn.Linear(2, 2) for _ in range(6)))
    report = warm_start(net, {"0.weight": torch.zeros(2, 2)})
    assert "1 of 12" in str(report)
    assert "0.bias" in str(report)
    assert "5.bias" not in str(report)


def test_nothing_that_fits_is_an_error_that_changes_nothing() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = {"0.weight": torch.zeros(5, 3), "1.running_mean": torch.ones(2)}  # a statistic is no parameter
    with pytest.raises(ModelError, match=r"0\.weight"):
        warm_start(net, state)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
