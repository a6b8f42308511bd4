"""Native strides other than the paper's, and blocks of other papers: they train, export, run and are measured."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from aaff.bench.contenders import contenders, plan
from aaff.bench.subjects import Subject
from aaff.card import ModelCard
from aaff.errors import ModelError
from aaff.export.export import build
from aaff.export.graph import build_graph
from aaff.labels import CAMVID11
from aaff.networks.base import PaperNetwork, SegmentationNetwork, Tail
from aaff.networks.bisenetv2 import GuidedAggregation
from aaff.networks.blocks import ConvBlock
from aaff.networks.engine import TorchEngine
from aaff.networks.pidnet import (
    LightBoundaryGuidedFusion,
    ParallelAggregationPyramidPooling,
    PixelAttentionGuidedFusion,
)
from aaff.networks.pp_liteseg import SimplePyramidPooling, UnifiedAttentionFusion
from aaff.networks.stdc import DenseConcatenation
from aaff.preprocess import Size
from aaff.runtime.onnxruntime_engine import OnnxRuntimeEngine
from aaff.runtime.openvino_engine import OpenVinoEngine
from aaff.training.objective import Objective
from aaff.training.options import LossOptions
from benchmarks.network_exports import quantized
from tests.tiny import without_confidence

SIZE = Size(104, 72)


class Strided(SegmentationNetwork):
    """Convolutions of stride 2 down to its logits, which are not made by the last node of its graph."""

    def __init__(self, stride: int, packing: int = 1) -> None:
        super().__init__(CAMVID11.num_classes, stride, packing)
        layers: list[nn.Module] = []
        for _ in range((stride * packing).bit_length() - 1):
            layers += [nn.Conv2d(8 if layers else 3, 8, 3, 2, 1), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.classify = nn.Conv2d(8, CAMVID11.num_classes * packing**2, 1)

    @property
    def classifier(self):
        return self.classify

    def native(self, x):
        return 2 * self.classify(self.body(x)), {}


class Tailed(PaperNetwork):
    """The paper's tail, which enlarges logits at 1/8 to 1/4 of any size."""

    def __init__(self) -> None:
        super().__init__(CAMVID11.num_classes, 4)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 4, 1))
        self.tail = Tail(8, CAMVID11.num_classes, 8)

    def features(self, x):
        return 5 * self.body(x), {}


class Blocks(SegmentationNetwork):
    """What networks of other papers have and the paper's have not, each once: the whole graphs are slow to export."""

    def __init__(self) -> None:
        super().__init__(CAMVID11.num_classes, 8)
        self.stem = nn.Sequential(ConvBlock(3, 8, 3, 4), DenseConcatenation(8, 16, 2))
        self.down = nn.Sequential(nn.Conv2d(16, 16, 3, 4, 1), nn.ReLU())
        self.aggregation = GuidedAggregation(16, nearest=True, relu=True)
        self.pools = nn.ModuleList([SimplePyramidPooling(16, 16), ParallelAggregationPyramidPooling(16, 8, 16)])
        self.unified = UnifiedAttentionFusion(16, 16, 16)
        self.guided = PixelAttentionGuidedFusion(16, 8)
        self.boundary = LightBoundaryGuidedFusion(16, 16)
        self.classify = nn.Conv2d(16, CAMVID11.num_classes, 1)

    @property
    def classifier(self):
        return self.classify

    def native(self, x):
        fine = self.stem(x)
        coarse = self.down(fine)
        a, b = (pool(coarse) for pool in self.pools)
        fine = self.aggregation(fine, a)
        return self.classify(self.boundary(self.unified(fine, b), self.guided(fine, b), fine)), {}


@pytest.mark.filterwarnings("ignore")
def test_the_blocks_of_other_papers_give_the_same_maps_deployed(frames):
    torch.manual_seed(0)
    net = Blocks()
    size = Size(97, 65)  # neither a multiple of the strides nor of the pooled cells
    frames = np.ascontiguousarray(np.resize(frames, (2, size.height, size.width, 3)))
    for _ in range(3):
        net(torch.randn(4, 3, size.height, size.width))  # statistics of batch norm
    card = ModelCard("blocks", {}, CAMVID11, "camvid11", size)
    net.eval()
    graph = build_graph(net, card)
    model = build(net, card, Path("blocks.onnx"), graph=graph)
    for other in (size, Size(129, 161)):
        resized, there = replace(card, size=other), np.resize(frames, (2, other.height, other.width, 3))
        expected, _ = TorchEngine(net, resized).infer(there)
        for engine in (OpenVinoEngine(model.at(other)), OnnxRuntimeEngine(model.at(other))):
            assert (engine.infer(there)[0] == expected).mean() > 0.999
    int8 = build(net, card, Path("blocks.onnx"), calibration=list(frames), graph=graph)
    assert quantized(int8, frames, TorchEngine(net, card).infer(frames)[0])["passed"]


@pytest.fixture(
    params=[(Strided, 2, 1), (Strided, 8, 2), (Tailed,)],
    ids=["stride 2", "stride 8 packed by 2", "the paper's tail"],
    scope="module",
)
def net(request):
    torch.manual_seed(2)
    network, *values = request.param
    return network(*values).eval()


CARD = ModelCard("strided", {}, CAMVID11, "camvid11", SIZE, temperature=1.5)


@pytest.fixture(scope="module")
def model(net):
    """Its exported file, which takes seconds to make."""
    return build(net, CARD, Path("strided.onnx"), confidence=True)


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 256, (2, SIZE.height, SIZE.width, 3), np.uint8)


def test_it_learns(net):
    net = copy.deepcopy(net).train()
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    x = torch.randn(4, 3, 64, 96)
    label = (x[:, 0] > 0).to(torch.uint8)
    objective = Objective(LossOptions(), CAMVID11.num_classes)
    losses = []
    for _ in range(30):
        logits, auxiliary = net.logits_with_auxiliary(x)
        loss = objective(logits, auxiliary, label).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("size", [SIZE, Size(97, 65), Size(66, 47)], ids=str)
def test_both_engines_give_the_maps_of_the_network(net, model, size):
    """At sizes that are no multiples of the stride as well: a graph of open size computes its own there."""
    assert (model.stride, model.packing) == (net.stride, net.packing)
    frames = np.random.default_rng(0).integers(0, 256, (2, size.height, size.width, 3), np.uint8)
    expected, certain = TorchEngine(net, replace(CARD, size=size)).infer(frames)
    assert len(np.unique(expected)) > 1
    for engine in (OpenVinoEngine(model.at(size)), OnnxRuntimeEngine(model.at(size))):
        class_map, confidence = engine.infer(frames)
        assert (class_map == expected).mean() > 0.999
        assert np.abs(confidence.astype(int) - certain).max() <= 2


def test_it_is_quantised(net, model, frames):
    graph = without_confidence(onnx.ModelProto.FromString(model.data))
    small = build(net, CARD, model.path, calibration=list(frames), graph=graph)
    maps = [engine.infer(frames)[0] for engine in (OpenVinoEngine(small), OnnxRuntimeEngine(small))]
    assert (maps[0] == maps[1]).mean() > 0.95


def test_it_is_measured(net, model, frames):
    subject = Subject("strided", CARD, net, {"fp32": model}, "made up", macs=1)
    rows = list(contenders(subject, plan(precisions=["fp32"]), frames[0], threads=1))
    assert {row.engine for row in rows} == {"openvino", "onnxruntime", "torch"}
    for row in rows:
        row.whole(frames[0])
        assert row.alone is not None
        row.alone()


def test_a_network_that_asks_for_its_size_is_exported_for_that_size_alone(frames):
    class Asking(Strided):
        def native(self, x):
            return super().native(2 * x if x.shape[-1] == SIZE.width else x)

    net = Asking(2).eval()
    model = build(net, CARD, Path("asking.onnx"))
    assert not model.any_size
    assert (OpenVinoEngine(model).infer(frames)[0] == TorchEngine(net, CARD).infer(frames)[0]).mean() > 0.999


def test_another_stride_is_refused():
    with pytest.raises(ModelError, match="stride 3"):
        Strided(3)
