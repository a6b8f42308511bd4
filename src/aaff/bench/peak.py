"""Peak arithmetic rate of this machine: a large convolution in each engine and precision.

The share of the peak that a network reaches shows how much faster it could run at the same number of operations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from aaff.errors import require
from aaff.provenance import usable_cores

CHANNELS, SIDE, LAYERS = 256, 48, 3
"""Three 3×3 convolutions with 256 channels on 48×48: they fit into the cache and use full vectors."""

MACS = LAYERS * 9 * CHANNELS**2 * SIDE**2
"""Multiply-accumulates per call; each counts as two operations."""


def convolution(engine: str, precision: str, threads: int | None) -> Callable[[], object]:
    """A function that performs ``MACS`` multiply-accumulates in an engine and precision.

    Args:
        engine: ``"openvino"``, ``"onnxruntime"`` or ``"torch"``.
        precision: ``"fp32"``, ``"bf16"`` or ``"int8"``; ``"int8-bf16"`` is the same as ``"int8"``.
        threads: CPU threads; default: all cores.

    Raises:
        MissingExtraError: onnx, which builds the graph, or the engine is not installed.
    """
    threads = threads or usable_cores()
    if engine == "torch":
        return _in_torch(precision)
    graph = _graph(quantised=precision.startswith("int8"))
    frame = np.random.default_rng(0).random((1, CHANNELS, SIDE, SIDE), np.float32)
    if engine == "openvino":
        from aaff.runtime.openvino_core import DEVICE, core

        config = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
        }
        request = core().compile_model(core().read_model(graph), DEVICE, config).create_infer_request()
        request.get_input_tensor().data[:] = frame
        infer: Callable[[], object] = request.infer
        return infer
    runtime = require("onnxruntime", "onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    session = runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x0": frame})


def _in_torch(precision: str) -> Callable[[], object]:
    import torch

    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    x = torch.rand(1, CHANNELS, SIDE, SIDE).to(kind, memory_format=torch.channels_last)
    weight = (torch.rand(CHANNELS, CHANNELS, 3, 3) / (9 * CHANNELS)).to(kind, memory_format=torch.channels_last)

    def run() -> object:
        y = x
        with torch.inference_mode():
            for _ in range(LAYERS):
                y = torch.conv2d(y, weight, padding=1)
        return y

    return run


def _graph(*, quantised: bool) -> bytes:
    """The convolutions as an ONNX model; quantised as in exported models, with uint8 inputs and int8 weights."""
    onnx: Any = require("onnx", "train")
    node, array = onnx.helper.make_node, onnx.numpy_helper.from_array
    weights = np.random.default_rng(0).integers(-127, 128, (CHANNELS, CHANNELS, 3, 3))
    scale = np.float32(1e-4)
    nodes = []
    if quantised:
        tables = [
            array(weights.astype(np.int8), "stored"),
            array(np.full(CHANNELS, scale), "scales"),
            array(np.zeros(CHANNELS, np.int8), "zeros"),
            array(np.float32(0.02), "step"),
            array(np.uint8(0), "zero"),
        ]
        nodes.append(node("DequantizeLinear", ["stored", "scales", "zeros"], ["weights"], axis=0))
    else:
        tables = [array((weights * scale).astype(np.float32), "weights")]
    for layer in range(LAYERS):
        given = f"x{layer}"
        if quantised:
            nodes.append(node("QuantizeLinear", [given, "step", "zero"], [f"q{layer}"]))
            nodes.append(node("DequantizeLinear", [f"q{layer}", "step", "zero"], [f"d{layer}"]))
            given = f"d{layer}"
        nodes.append(node("Conv", [given, "weights"], [f"y{layer}"], pads=[1, 1, 1, 1]))
        nodes.append(node("Relu", [f"y{layer}"], [f"x{layer + 1}"]))
    info = onnx.helper.make_tensor_value_info
    ends = [info(name, onnx.TensorProto.FLOAT, [1, CHANNELS, SIDE, SIDE]) for name in ("x0", f"x{LAYERS}")]
    graph = onnx.helper.make_graph(nodes, "convolutions", [ends[0]], [ends[1]], tables)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    data: bytes = model.SerializeToString()
    return data
