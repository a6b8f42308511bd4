"""From a network to the deployed model: build the file, quantise it if requested, compare it, then write it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import onnx

from aaff.card import ModelCard
from aaff.export.graph import build_graph, takes_any_size
from aaff.export.parity import Pair, Parity, compare
from aaff.export.quantization import quantize
from aaff.files import replacing
from aaff.labels import UInt8Array
from aaff.networks.base import SegmentationNetwork
from aaff.networks.engine import TorchEngine
from aaff.runtime.engine import Engine
from aaff.runtime.model_file import (
    ANY_SIZE,
    CARD,
    CONFIDENT,
    NATIVE,
    PACKING,
    PARITY,
    PRECISION,
    ModelFile,
    parse_model_file,
    write_metadata,
)
from aaff.runtime.onnxruntime_engine import OnnxRuntimeEngine
from aaff.runtime.openvino_engine import OpenVinoEngine
from aaff.textfile import to_json

Precision = Literal["fp32", "int8"]


def build(
    net: SegmentationNetwork,
    card: ModelCard,
    path: Path,
    *,
    calibration: Sequence[UInt8Array] | None = None,
    confidence: bool = False,
    graph: onnx.ModelProto | None = None,
) -> ModelFile:
    """Build the exported file in memory, without comparing it.

    Args:
        net: a trained network.
        card: its model card; ``card.size`` is the default size of the frames.
        path: where the file will be written.
        calibration: frames RGB uint8 [H, W, 3] at that size for int8 quantisation; default: fp32.
        confidence: add the output ``confidence``.
        graph: result of ``build_graph`` for the same arguments, which takes longest to compute; default: build it.

    Raises:
        AaffError: see ``aaff.export.quantization.quantize``.
    """
    graph = graph or build_graph(net, card, confidence=confidence)
    if calibration is not None:
        graph = quantize(graph, calibration)
    return describe(
        graph.SerializeToString(deterministic=True),
        card,
        path,
        precision="fp32" if calibration is None else "int8",
        stride=net.stride,
        packing=net.packing,
        confidence=confidence,
        native_confidence=confidence,
        any_size=takes_any_size(graph),
    )


def describe(
    data: bytes,
    card: ModelCard,
    path: Path,
    *,
    precision: Precision,
    stride: int | None = None,
    packing: int = 1,
    confidence: bool = False,
    native_confidence: bool = False,
    any_size: bool = False,
) -> ModelFile:
    """Add a model card to an ONNX file.

    Args:
        data: the ONNX file.
        card: the model card.
        path: where the file will be written.
        precision: the precision of the graph.
        stride: stride of the native logits, if the graph contains the tensors named in ``aaff.runtime.model_file``.
        packing: packing factor of these logits (``aaff.networks.base.SegmentationNetwork.packed_logits``).
        confidence: whether the graph has the output ``confidence``.
        native_confidence: whether the graph contains the confidence at the native stride.
        any_size: whether height and width of the input are dynamic.

    Raises:
        ModelError: ``data`` is not an ONNX file.
    """
    entries = {CARD: to_json(card.to_dict()), PRECISION: precision}
    entries |= {NATIVE: str(stride)} if stride is not None else {}
    entries |= {PACKING: str(packing)} if packing > 1 else {}
    entries |= {CONFIDENT: "native" if native_confidence else "yes"} if confidence else {}
    entries |= {ANY_SIZE: "yes"} if any_size else {}
    return parse_model_file(write_metadata(data, entries, str(path)), path)


def check(
    model: ModelFile,
    net: SegmentationNetwork,
    pairs: Iterable[Pair],
    source: str,
    *,
    progress: Callable[[int], None] | None = None,
) -> Parity:
    """Compare a file in OpenVINO and ONNX Runtime, in all its precisions, with its network.

    Args:
        model: the exported file.
        net: the network it was exported from.
        pairs: frames, with labels for an int8 file.
        source: description of the frames.
        progress: called with the number of frames done.

    Raises:
        AaffError: an engine cannot run the file, or ``aaff.export.parity.compare`` raises an error.
    """
    engines: list[Engine] = [OpenVinoEngine(model, precision=model.precision, confidence=False)]
    engines.append(OnnxRuntimeEngine(model, precision=model.precision, confidence=False))
    reference = TorchEngine(net, model.card, precision="fp32", confidence=False)
    return compare(reference, engines, pairs, source, progress=progress)


def write(model: ModelFile, parity: dict[str, Any]) -> ModelFile:
    """Write a file with its comparison, atomically.

    Raises:
        AaffError: the file cannot be written; an existing file is unchanged.
    """
    data = write_metadata(model.data, {PARITY: to_json(parity)}, str(model.path))
    with replacing(model.path) as temporary:
        temporary.write_bytes(data)
    return parse_model_file(data, model.path)
