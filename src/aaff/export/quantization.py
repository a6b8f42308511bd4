"""Post-training quantisation to int8: the ranges of all activations are calibrated on some frames, without training."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence

import onnx

from aaff.errors import DataError
from aaff.labels import UInt8Array
from aaff.privacy import some_home
from aaff.runtime.model_file import INPUT, LOGITS, NORMALIZED

FRAMES = 96
"""Number of calibration frames: enough to cover the drives and lighting of a data set, in under a minute."""


def quantize(model: onnx.ModelProto, frames: Sequence[UInt8Array]) -> onnx.ModelProto:
    """Quantise a graph to int8, with pairs of ``QuantizeLinear`` and ``DequantizeLinear`` that runtimes fuse.

    Weights are quantised per channel, and activations per tensor.  Weights of dense convolutions have 7 bits, so that
    sums do not overflow on any CPU.  Normalisation before the network, and resizing and argmax after it, are not
    quantised.

    Args:
        model: a graph from ``aaff.export.graph.build_graph``.
        frames: RGB uint8 [H, W, 3] at the graph's size, from the training data, to calibrate the activation ranges.

    Raises:
        DataError: there is no frame to calibrate on.
        MissingExtraError: nncf is not installed.
    """
    if not frames:
        raise DataError("no frame to calibrate on; int8 needs some frames of the training data")
    with some_home(), contextlib.redirect_stdout(sys.stderr):  # NNCF's progress does not belong on standard output
        import nncf
        from nncf.quantization.advanced_parameters import OverflowFix, QuantizationParameters

        nncf.set_log_level("ERROR")
        quantized: onnx.ModelProto = nncf.quantize(
            model,
            nncf.Dataset([frame[None] for frame in frames], lambda batch: {INPUT: batch}),
            subset_size=len(frames),
            ignored_scope=nncf.IgnoredScope(names=_around(model)),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                # 7 bits in dense layers: without VNNI instructions two products are summed in 16 bits, which 8-bit
                # weights would overflow.
                overflow_fix=OverflowFix.ENABLE,
                # By default channels before a depthwise convolution get ranges of their own: ONNX Runtime cannot.
                activations_quantization_params=QuantizationParameters(per_channel=False),
            ),
        )
    onnx.checker.check_model(quantized)
    return quantized


def _around(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes outside the network, that is, not between its normalised input and its logits."""
    made_by = {tensor: node for node in model.graph.node for tensor in node.output}
    inside: set[str] = set()
    wanted = [LOGITS]
    while wanted:
        tensor = wanted.pop()
        node = made_by.get(tensor)
        if node is None or tensor == NORMALIZED or node.name in inside:
            continue
        inside.add(node.name)
        wanted += node.input
    return [node.name for node in model.graph.node if node.name not in inside]
