"""The networks of the paper's section II: unpooling, supervision, dropout; the page about all networks."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from aaff.bench.untrained import fit_logits
from aaff.card import ModelCard
from aaff.data.sample import Sample
from aaff.export.export import describe
from aaff.export.graph import build_graph, takes_any_size
from aaff.export.quantization import quantize
from aaff.labels import CAMVID11
from aaff.networks import create_model
from aaff.networks.base import SegmentationNetwork
from aaff.networks.blocks import ConvBlock, make_gate
from aaff.networks.complexity import complexity
from aaff.networks.engine import TorchEngine
from aaff.networks.unpooling import max_pool, max_unpool
from aaff.preprocess import Size
from aaff.runtime.onnxruntime_engine import OnnxRuntimeEngine
from aaff.runtime.openvino_engine import OpenVinoEngine
from aaff.synthetic import render
from scripts import network_counts

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (5, 4), (1, 1)], ids=str)
def test_unpooling_is_that_of_indices(size):
    """Many values are equal, as behind a ReLU: the first of them counts, as in torch's own pooling."""
    torch.manual_seed(0)
    x = torch.relu(torch.randn(2, 3, *size)).round()
    expected, indices = F.max_pool2d(x, 2, ceil_mode=True, return_indices=True)
    pooled, positions = max_pool(x)
    assert torch.equal(pooled, expected)
    values = torch.randn_like(pooled)
    scattered = torch.zeros(2, 3, size[0] * size[1]).scatter_(2, indices.flatten(2), values.flatten(2))
    assert torch.equal(max_unpool(values, positions), scattered.view(2, 3, *size))


class Unpooling(SegmentationNetwork):
    """The smallest network that pools and unpools, with an odd map, a transposed convolution and a pixel shuffle."""

    def __init__(self) -> None:
        super().__init__(CAMVID11.num_classes, stride=1)
        self.down, self.deep = ConvBlock(3, 16), ConvBlock(16, 16)
        self.enlarge = nn.Sequential(nn.ConvTranspose2d(16, 16, 3, stride=2, padding=1, output_padding=1), nn.ReLU())
        self.shuffle = nn.Sequential(nn.Conv2d(16, 64, 1), nn.PixelShuffle(2), nn.ReLU())
        self.classify = nn.Conv2d(16, CAMVID11.num_classes, 3, padding=1)

    @property
    def classifier(self):
        return self.classify

    def native(self, x):
        pooled, positions = max_pool(self.down(x))
        y = self.deep(pooled)
        rows, columns = positions.size
        larger = max_unpool(y, positions) + (self.enlarge(y) + self.shuffle(y))[..., :rows, :columns]
        return self.classify(larger), {}


def test_unpooling_is_exported_and_quantised():
    torch.manual_seed(0)
    size = Size(49, 33)
    scenes = [render(number, 0, size) for number in range(4)]
    frames = np.stack([scene.image for scene in scenes])
    net, card = Unpooling().eval(), ModelCard("unpooling", {}, CAMVID11, "camvid11", size)
    fit_logits(net, card, [Sample("", scene.image, scene.label) for scene in scenes])
    expected = TorchEngine(net, card).infer(frames)[0]
    graph = build_graph(net, card)  # traced once, as that takes longest
    for precision, least in (("fp32", 0.999), ("int8", 0.95)):
        exported = graph if precision == "fp32" else quantize(graph, list(frames))
        model = describe(exported.SerializeToString(), card, Path("x.onnx"), precision=precision, stride=net.stride)
        maps = [engine(model, precision=precision).infer(frames)[0] for engine in (OpenVinoEngine, OnnxRuntimeEngine)]
        assert all((found == expected).mean() >= least for found in maps)
    even = Size(52, 40)  # halves to other odd sides than the size of the export
    other = describe(
        graph.SerializeToString(),
        card,
        Path("x.onnx"),
        precision="fp32",
        stride=net.stride,
        any_size=takes_any_size(graph),
    ).at(even)
    frames = np.stack([render(number, 0, even).image for number in range(2)])
    expected = TorchEngine(net, other.card).infer(frames)[0]
    assert (OnnxRuntimeEngine(other).infer(frames)[0] == expected).mean() >= 0.999


def test_macs_of_a_transposed_convolution_are_those_of_its_inputs():
    found = {layer.name: layer for layer in complexity(Unpooling(), Size(64, 32)).layers}
    assert found["enlarge.0"].macs == 9 * 16 * 16 * 32 * 16
    assert found["enlarge.0"].kind == "transposed conv 3×3/2"


def test_the_cascade_and_the_scores_of_fcn_are_supervised_at_their_strides():
    x = torch.randn(2, 3, 64, 96)
    for name, strides in (("icnet", (16, 8)), ("fcn8s", (32, 16)), ("enet", (8,))):
        _, auxiliary = create_model(name, 4, width=0.1, auxiliary=True).logits_with_auxiliary(x)
        assert [logits.shape for logits in auxiliary.values()] == [(2, 4, 64 // s, 96 // s) for s in strides]


def test_dropout_rests_in_evaluation():
    x = torch.randn(2, 3, 64, 64)
    for name in ("fcn32s", "unet", "enet"):
        net = create_model(name, 4, width=0.1)
        assert not torch.equal(net(x), net(x))
        net.eval()
        assert torch.equal(net(x), net(x))


def test_reduction_narrows_squeeze_and_excitation():
    sizes = [sum(p.numel() for p in make_gate(64, "squeeze_excitation", r).parameters()) for r in (4, 16, 1000)]
    assert sizes == [2 * 64 * n + n + 64 for n in (16, 4, 1)]


def test_counts_are_those_of_the_code():
    written = network_counts.read()["rows"]
    assert {row["network"] for row in written} == set(network_counts.own_networks())
    names = ["enet", "fcn32s", "fcn8s", "icnet", "segnet", "unet"]
    found = [row for row in written if row["network"] in names]
    assert found == network_counts.rows(names), "run: python -m scripts.network_counts"


def test_the_page_has_a_picture_and_a_heading_for_every_network():
    text = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    headings = " ".join(re.findall(r"^### (.+)$", text, re.MULTILINE))
    for name in network_counts.own_networks():
        assert re.search(rf"\b{name}\b", headings)
    for picture in re.findall(r"\]\((images/.+?)\)", text):
        assert (ROOT / "docs" / picture).is_file(), "run: python -m scripts.network_pictures"
