"""The smallest network with every kind of layer that export and engines must treat: it exports in a second or two.

Tests of what stands around a network use it in place of one of the package's own, whose graph takes ten times as long.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from torch import Tensor, nn

from aaff.networks.base import SegmentationNetwork
from aaff.networks.blocks import ConvBlock, resize_to
from aaff.runtime.model_file import LOGITS, NORMALIZED, OUTPUT


class TinyNetwork(SegmentationNetwork):
    """A stem, a depthwise convolution, and a coarse branch with a gate from global pooling; logits at 1/4."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes, stride=4)
        self.stem = ConvBlock(3, 16, 3, stride=4)
        self.depthwise = nn.Sequential(
            nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False), nn.BatchNorm2d(16), nn.ReLU()
        )
        self.coarse = ConvBlock(16, 16, 3, stride=2)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 16, 1), nn.Sigmoid())
        self.classify = nn.Conv2d(16, num_classes, 1)

    @property
    def classifier(self) -> nn.Conv2d:
        return self.classify

    def native(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        fine = self.depthwise(self.stem(x))
        coarse = self.coarse(fine)
        return self.classify(fine + resize_to(coarse * self.gate(coarse), fine.shape[-2:])), {}


def without_confidence(model: onnx.ModelProto) -> onnx.ModelProto:
    """An exported graph as it would be without confidence: tracing a network a second time takes seconds."""
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    del plain.metadata_props[:]  # of an exported file they say that it has one
    graph = plain.graph
    wanted = {OUTPUT, NORMALIZED, LOGITS}
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            wanted.update(node.input)
    for values in (graph.output, graph.value_info, graph.initializer):
        kept = [value for value in values if value.name in wanted]
        del values[:]
        values.extend(kept)
    nodes = [node for node in graph.node if wanted.intersection(node.output)]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(plain)
    return plain


def tiny(num_classes: int) -> TinyNetwork:
    """A tiny network for tests."""
    return TinyNetwork(num_classes)
