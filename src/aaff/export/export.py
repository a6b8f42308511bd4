"""From a checkpoint to the deployed model: built, quantised where asked, compared, and only then written."""

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
    """The exported file, in memory and not yet compared.

    Args:
        net: a trained network.
        card: its description; ``card.size`` is the size of the frames that it is given by default.
        path: where it shall go.
        calibration: frames RGB uint8 [H, W, 3] at that size to quantise by; fp32 when left out.
        confidence: add the output ``confidence``.
        graph: what ``build_graph`` gave for these, which takes longest; made when left out.

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
    """Put a card into an ONNX file.

    Args:
        data: the ONNX file.
        card: what it says about itself.
        path: where it shall go.
        precision: what its graph computes in.
        stride: of the native logits, when it has the tensors inside that ``aaff.runtime.model_file`` names.
        packing: of these logits (``aaff.networks.base.SegmentationNetwork.packed_logits``).
        confidence: it has the output ``confidence``.
        native_confidence: it has the confidence at the native stride inside.
        any_size: height and width of its input are open.

    Raises:
        ModelError: ``data`` is no ONNX file.
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
    """Compare a file with its network: OpenVINO and ONNX Runtime, every type given.

    Args:
        pairs: frames, with labels for a file in int8.
        source: names them.
        progress: told the number of frames done.

    Raises:
        AaffError: an engine cannot run the file, or ``aaff.export.parity.compare`` cannot judge it.
    """
    engines: list[Engine] = [OpenVinoEngine(model, precision=model.precision, confidence=False)]
    engines.append(OnnxRuntimeEngine(model, precision=model.precision, confidence=False))
    reference = TorchEngine(net, model.card, precision="fp32", confidence=False)
    return compare(reference, engines, pairs, source, progress=progress)


def write(model: ModelFile, parity: dict[str, Any]) -> ModelFile:
    """Write a file with its comparison, in one step.

    Raises:
        AaffError: it cannot be written; an older file is still whole.
    """
    data = write_metadata(model.data, {PARITY: to_json(parity)}, str(model.path))
    with replacing(model.path) as temporary:
        temporary.write_bytes(data)
    return parse_model_file(data, model.path)
