"""Add a model card to an ONNX file from elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino

from aaff.card import ModelCard
from aaff.errors import ModelError
from aaff.export.export import Precision, describe, write
from aaff.runtime.model_file import CONFIDENCE, ModelFile
from aaff.runtime.openvino_core import DEVICE, core


def describe_foreign(data: bytes, card: ModelCard, path: Path, *, precision: Precision) -> ModelFile:
    """Check the inputs and outputs of an ONNX file, and add a model card.

    The graph must take frames uint8 [N, H, W, 3] RGB, with height and width as in ``card.size``, and return a class map
    of integers [N, H, W].  It may have a second output ``confidence``, uint8.

    Args:
        data: the ONNX file, with its weights inside.
        card: classes, colours and size.
        path: where the file will be written.
        precision: the precision of the graph.

    Raises:
        ModelError: it is not an ONNX file, does not run, or has other inputs or outputs; the message says which.
    """
    described = describe(data, card, path, precision=precision)  # first, since it detects what is not an ONNX file
    try:
        network = core().read_model(data)
        inputs, outputs = network.inputs, network.outputs
        shape = [1, card.size.height, card.size.width, 3]
        if len(inputs) != 1 or inputs[0].element_type != openvino.Type.u8:
            raise ModelError(f"the graph must take one input uint8 {_wanted(card)}, not {_told(inputs)}")
        network.reshape(shape)
        frame = np.zeros(shape, np.uint8)
        results = core().compile_model(network, DEVICE, {"INFERENCE_PRECISION_HINT": "f32"})(frame)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ModelError(f"the graph does not run on a frame uint8 {_wanted(card)}: {reason}") from error
    class_map = results[0]
    if class_map.dtype.kind not in "iu" or class_map.shape != tuple(shape[:3]):
        raise ModelError(
            f"the graph must output a class map of integers {shape[:3]}, not {class_map.dtype} "
            f"{list(class_map.shape)}; put the argmax, and a resize if needed, into the graph"
        )
    if class_map.max() >= card.labels.num_classes or class_map.min() < 0:
        raise ModelError(
            f"the graph outputs class {class_map.max()}, but the card names {card.labels.num_classes} classes"
        )
    confidence = len(outputs) == 2 and CONFIDENCE in outputs[1].get_names()
    if confidence:
        described = describe(data, card, path, precision=precision, confidence=True)
    return write(described, {})


def _wanted(card: ModelCard) -> str:
    return f"[N, {card.size.height}, {card.size.width}, 3]"


def _told(ports: list[openvino.Output]) -> str:
    return ", ".join(f"{port.element_type.get_type_name()} {port.partial_shape}" for port in ports)
