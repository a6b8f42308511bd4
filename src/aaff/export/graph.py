"""From a network to the deployed graph: frames in, class maps out, with all pre- and postprocessing inside."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from aaff import __version__
from aaff.card import ModelCard
from aaff.networks.base import SegmentationNetwork
from aaff.networks.engine import classify, enlarge_confidence, native_confidence
from aaff.networks.normalize import normalize
from aaff.preprocess import Size
from aaff.runtime.model_file import AXES, CONFIDENCE, INPUT, LOGITS, NATIVE_CONFIDENCE, NORMALIZED, OUTPUT

OPSET = 18
"""ONNX opset version, supported by all recent runtimes."""


class DeployedNetwork(nn.Module):
    """Normalisation, network, resizing and argmax as one module.

    uint8 [N, H, W, 3] RGB → uint8 [N, H, W], and with ``confidence`` a second uint8 [N, H, W]; then the inner tensors
    that the runtime finds by name: the normalised input, the native logits and, with ``confidence``, the native
    confidence.
    """

    def __init__(self, net: SegmentationNetwork, card: ModelCard, *, confidence: bool = False) -> None:
        super().__init__()
        self.net = net
        self.temperature = card.temperature
        self.confidence = confidence
        self.normalization = card.normalization

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        normalized = normalize(frames, self.normalization)
        size = Size(frames.shape[2], frames.shape[1])
        packed = self.net.packed_logits(normalized)
        class_map = classify(self.net.unpack(packed, frames.shape[1:3]), size)
        if not self.confidence:
            return class_map, normalized, packed
        native = native_confidence(packed, self.net.num_classes, self.temperature)
        return class_map, enlarge_confidence(native, size), normalized, packed, native


def build_graph(net: SegmentationNetwork, card: ModelCard, *, confidence: bool = False) -> onnx.ModelProto:
    """Build the deployed graph in fp32.

    Batch norm is folded into the convolutions.  Batch, height and width are dynamic, so one file serves frames of any
    size; the engines fix height and width before compiling, so all inner sizes become constants.  A network that cannot
    be traced in this way gets a graph for ``card.size`` only.

    Args:
        net: a trained network.
        card: its model card; ``card.size`` is the default size of the engines.
        confidence: add the probability of the predicted class as a second output.

    Returns:
        A valid model with the inputs, outputs and inner tensors named in ``aaff.runtime.model_file``.
    """
    module = DeployedNetwork(net, card, confidence=confidence).cpu().eval()
    public = [OUTPUT, CONFIDENCE] if confidence else [OUTPUT]
    inside = [NORMALIZED, LOGITS, NATIVE_CONFIDENCE] if confidence else [NORMALIZED, LOGITS]
    names = [*public, *inside]  # the exporter lets us name only outputs
    try:
        program = _trace(module, card.size, names, open_axes=3)
    except torch.onnx.OnnxExporterError:
        # The control flow of some networks depends on the size, which cannot be traced while it is dynamic.
        program = _trace(module, card.size, names, open_axes=1)
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    model.graph.value_info.extend(model.graph.output[len(public) :])
    del model.graph.output[len(public) :]
    for dimension, name in zip(model.graph.input[0].type.tensor_type.shape.dim, AXES, strict=False):
        if dimension.dim_param:
            _rename_axis(model, dimension.dim_param, name)
    _strip(model)
    onnx.checker.check_model(model)
    return model


def _trace(
    module: DeployedNetwork, size: Size, names: Sequence[str], *, open_axes: int
) -> torch.onnx.ONNXProgram | None:
    example = torch.zeros(2, size.height, size.width, 3, dtype=torch.uint8)
    with _quiet():
        return torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            dynamic_shapes={"frames": dict.fromkeys(range(open_axes), torch.export.Dim.DYNAMIC)},
            input_names=[INPUT],
            output_names=names,
            opset_version=OPSET,
            verbose=False,
            optimize=True,
        )


def takes_any_size(model: onnx.ModelProto) -> bool:
    """Whether height and width of a graph's frames are dynamic."""
    axes = model.graph.input[0].type.tensor_type.shape.dim
    return bool(axes[1].dim_param and axes[2].dim_param)


def _rename_axis(model: onnx.ModelProto, name: str, new: str) -> None:
    """Rename a dynamic axis to the name that the runtime expects, wherever it appears alone."""
    graph = model.graph
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param == name:
                dimension.dim_param = new


def _strip(model: onnx.ModelProto) -> None:
    """Remove metadata that the exporter adds to the graph, such as file paths of this machine."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
        part.ClearField("doc_string")
    model.producer_name, model.producer_version = "aaff", __version__


@contextlib.contextmanager
def _quiet() -> Iterator[Any]:
    """Suppress the exporter's messages about packages that are not needed here."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
