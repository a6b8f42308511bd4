"""Optimiser, schedule and weight average against torch's own."""

from __future__ import annotations

import copy
import itertools
import json
import math
import warnings
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, PolynomialLR, SequentialLR
from torch.optim.swa_utils import AveragedModel

from aaff.errors import ModelError, OptionError
from aaff.training.optimization import (
    WeightAverage,
    learning_rate_factor,
    make_optimizer,
    parameter_groups,
    set_learning_rate,
)
from aaff.training.options import OptimOptions


class Tiny(nn.Module):
    """A backbone and a head, with convolutions, a batch norm and a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Conv2d(4, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.head(self.backbone(x))
        return result


@pytest.fixture
def net() -> Tiny:
    torch.manual_seed(3)
    return Tiny()


def backward(net: nn.Module, seed: int, layout: torch.memory_format = torch.contiguous_format) -> None:
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(seed)).to(memory_format=layout)
    net.zero_grad()
    net(x).square().mean().backward()


# --- groups


def names_of(net: nn.Module, parameters: list[nn.Parameter]) -> set[str]:
    return {name for name, p in net.named_parameters() if any(p is q for q in parameters)}


def test_norms_and_biases_do_not_decay_and_the_backbone_is_slower(net: Tiny) -> None:
    groups = parameter_groups(net, OptimOptions(weight_decay=0.1, backbone_lr_factor=0.2))
    found = {(g["weight_decay"], g["lr_factor"]): names_of(net, g["params"]) for g in groups}
    assert found == {
        (0.1, 0.2): {"backbone.0.weight"},
        (0.0, 0.2): {"backbone.1.weight", "backbone.1.bias"},
        (0.1, 1.0): {"head.weight"},
        (0.0, 1.0): {"head.bias"},
    }


def test_decay_of_everything_and_frozen_parameters(net: Tiny) -> None:
    net.head.weight.requires_grad_(False)
    (group,) = parameter_groups(net, OptimOptions(weight_decay=0.1, decay_norm_bias=True))
    assert names_of(net, group["params"]) == {"backbone.0.weight", "backbone.1.weight", "backbone.1.bias", "head.bias"}


def test_a_factor_without_a_backbone_is_refused() -> None:
    with pytest.raises(OptionError, match=r"backbone_lr_factor is 0.1"):
        make_optimizer(nn.Linear(2, 2), OptimOptions(backbone_lr_factor=0.1))


# --- optimiser


@pytest.mark.parametrize("name", ["adamw", "sgd"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_steps_equal_torchs_plain_optimiser(net: Tiny, name: str, layout: torch.memory_format) -> None:
    options = OptimOptions(optimizer=name, weight_decay=0.1, backbone_lr_factor=0.5)  # type: ignore[arg-type]
    twin = copy.deepcopy(net)
    net.to(memory_format=layout)  # type: ignore[call-overload]
    ours = make_optimizer(net, options)
    groups = [
        {
            "params": [
                p for n, p in twin.named_parameters() if n.startswith("backbone.") == inside and wide == (p.ndim > 1)
            ],
            "lr": options.lr * (0.5 if inside else 1),
            "weight_decay": 0.1 if wide else 0.0,
        }
        for inside in (True, False)
        for wide in (True, False)
    ]
    theirs: torch.optim.Optimizer
    if name == "adamw":
        theirs = torch.optim.AdamW(groups, foreach=False)
    else:
        theirs = torch.optim.SGD(groups, momentum=0.9, foreach=False)
    for step in range(5):
        backward(net, step, layout)
        backward(twin, step)
        ours.step()
        theirs.step()
    for ours_p, theirs_p in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours_p.detach().contiguous(), theirs_p.detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_a_resumed_optimiser_goes_on_bit_for_bit(net: Tiny, name: str) -> None:
    """The state comes back from a file without its memory layout, and its groups through JSON."""
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    options = OptimOptions(optimizer=name)  # type: ignore[arg-type]
    optimizer = make_optimizer(net, options)
    for step in range(3):
        backward(net, step, torch.channels_last)
        optimizer.step()
    twin = copy.deepcopy(net)
    state = optimizer.state_dict()
    stored = {
        "state": {i: {k: _stored(v) for k, v in s.items()} for i, s in state["state"].items()},
        "param_groups": json.loads(json.dumps(state["param_groups"])),
    }
    resumed = make_optimizer(twin, options)
    resumed.load_state_dict(stored)
    for step in range(3, 6):
        for each, its in ((net, optimizer), (twin, resumed)):
            backward(each, step, torch.channels_last)
            its.step()
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), twin.parameters(), strict=True))


def _stored(value: object) -> object:
    return value.clone(memory_format=torch.contiguous_format) if isinstance(value, Tensor) else value


def test_gradients_of_another_layout_are_not_mixed_up(net: Tiny) -> None:
    twin = copy.deepcopy(net).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for each in (net, twin):
        for parameter in each.parameters():
            parameter.grad = torch.linspace(0, 40, parameter.numel()).sin().view(parameter.shape)
        make_optimizer(each, OptimOptions()).step()
    for a, b in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a.detach(), b.detach().contiguous())


# --- schedule


def factors_of(make: Callable[[torch.optim.Optimizer], LRScheduler], steps: int) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make(optimizer)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SequentialLR still passes the deprecated epoch argument
        for _ in range(steps):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
    return found


@pytest.mark.parametrize("warmup", [0, 2])
@pytest.mark.parametrize("schedule", ["poly", "cosine", "constant"])
def test_schedules_equal_torchs(schedule: str, warmup: int) -> None:
    total, per_epoch, power = 60, 5, 0.7
    warm = warmup * per_epoch
    options = OptimOptions(
        lr=0.5,
        warmup=warmup,
        schedule=schedule,
        power=power,
        min_lr=0.1 if schedule == "cosine" else 0.0,  # type: ignore[arg-type]
    )

    def theirs(optimizer: torch.optim.Optimizer) -> LRScheduler:
        main: LRScheduler
        if schedule == "poly":
            main = PolynomialLR(optimizer, total - warm, power)
        elif schedule == "cosine":
            main = CosineAnnealingLR(optimizer, total - warm, eta_min=0.2)
        else:
            main = LinearLR(optimizer, 1.0, 1.0)
        if not warm:
            return main
        return SequentialLR(optimizer, [LinearLR(optimizer, 1 / (warm + 1), 1.0, warm), main], [warm])

    ours = [learning_rate_factor(step, total, per_epoch, options) for step in range(total)]
    assert ours == pytest.approx(factors_of(theirs, total), abs=1e-9)


@settings(max_examples=200)
@given(
    st.integers(2, 300),
    st.integers(1, 40),
    st.floats(0, 3),
    st.sampled_from(["poly", "cosine"]),
    st.sampled_from([0.0, 1e-4]),
)
def test_the_rate_rises_once_then_falls_to_its_least(
    epochs: int, per_epoch: int, warmup: float, schedule: str, least: float
) -> None:
    options = OptimOptions(lr=1e-2, warmup=min(warmup, epochs - 1), schedule=schedule, min_lr=least)  # type: ignore[arg-type]
    total = epochs * per_epoch
    factors = [learning_rate_factor(step, total, per_epoch, options) for step in range(total + 3)]
    warm = math.ceil(min(options.warmup * per_epoch, total / 2))
    assert 0 < factors[0] <= 1
    assert all(a < b for a, b in itertools.pairwise(factors[:warm]))
    assert all(a >= b for a, b in itertools.pairwise(factors[warm:]))
    assert max(factors) <= 1
    assert factors[total] == factors[-1] == pytest.approx(least / options.lr)


def test_set_learning_rate_keeps_the_groups_factors(net: Tiny) -> None:
    optimizer = make_optimizer(net, OptimOptions(lr=1.0, backbone_lr_factor=0.1))
    for rate in (1.0, 0.25):
        set_learning_rate(optimizer, rate)
        assert {g["lr"] for g in optimizer.param_groups} == {rate, rate * 0.1}


# --- average


def test_average_equals_torchs_with_the_same_decays(net: Tiny) -> None:
    average = WeightAverage(net, 0.5)
    decays = [0.1, 2 / 11, 3 / 12, 4 / 13, 5 / 14, 6 / 15, 7 / 16, 8 / 17, 0.5, 0.5]

    def blend(old: list[Tensor], new: list[Tensor], averaged: Tensor) -> None:
        decay = decays[int(averaged) - 1]
        for a, b in zip(old, new, strict=True):
            if a.is_floating_point():
                a.mul_(decay).add_(b, alpha=1 - decay)
            else:
                a.copy_(b)

    theirs = AveragedModel(net, multi_avg_fn=blend, use_buffers=True)
    theirs.n_averaged += 1  # its first update would copy; both start from the weights given
    optimizer = make_optimizer(net, OptimOptions(lr=0.1))
    for step in range(10):
        backward(net, step)
        optimizer.step()
        average.update(net, step)
        theirs.update_parameters(net)
    expected = theirs.module.state_dict()
    found = average.state_dict()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value)
    assert found["backbone.1.num_batches_tracked"] == 10


def test_average_is_float32_and_resumes_bit_for_bit(net: Tiny) -> None:
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = WeightAverage(net, 0.9)
    average.update(net, 0)
    stored = {name: value.contiguous().clone() for name, value in average.state_dict().items()}
    resumed = WeightAverage(Tiny(), 0.9)
    resumed.load_state_dict(stored)
    backward(net, 1)
    make_optimizer(net, OptimOptions()).step()
    for each in (average, resumed):
        each.update(net, 1)
    assert all(torch.equal(average.state_dict()[k], v) for k, v in resumed.state_dict().items())
    low = WeightAverage(Tiny().bfloat16(), 0.9)
    assert all(v.dtype == torch.float32 for v in low.state_dict().values() if v.is_floating_point())


def test_an_average_of_another_network_is_refused(net: Tiny) -> None:
    average = WeightAverage(net, 0.9)
    other = average.state_dict() | {"head.weight": torch.zeros(5, 4, 3, 3)}
    with pytest.raises(ModelError, match=r"head\.weight"):
        average.load_state_dict(other)
    with pytest.raises(ModelError, match=r"head\.bias"):
        average.load_state_dict({k: v for k, v in average.state_dict().items() if k != "head.bias"})


# --- options


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"lr": 0.0}, r"optim\.lr is 0"),
        ({"lr": float("nan")}, r"optim\.lr is nan"),
        ({"weight_decay": -1.0}, r"optim\.weight_decay"),
        ({"momentum": 1.0}, r"optim\.momentum"),
        ({"betas": (0.9, 1.0)}, r"optim\.betas"),
        ({"power": 0.0}, r"optim\.power"),
        ({"warmup": -1.0}, r"optim\.warmup"),
        ({"lr": 1e-3, "min_lr": 1e-2}, r"optim\.min_lr is 0.01 and optim\.lr 0.001"),
        ({"schedule": "constant", "min_lr": 1e-4}, r"optim\.schedule is constant"),
        ({"clip_norm": -0.1}, r"optim\.clip_norm"),
        ({"backbone_lr_factor": 0.0}, r"optim\.backbone_lr_factor"),
        ({"ema": 1.0}, r"optim\.ema"),
    ],
)
def test_senseless_options_name_themselves(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        OptimOptions(**wrong)  # type: ignore[arg-type]


def test_a_warm_up_takes_at_most_half_of_the_training() -> None:
    options = OptimOptions(warmup=5, schedule="cosine")
    factors = [learning_rate_factor(step, 10, 10, options) for step in range(11)]
    assert factors.index(1.0) == 5
    assert factors[10] == 0
