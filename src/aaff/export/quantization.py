"""int8 by post-training quantisation: what every activation spans is read off some frames, nothing is trained."""

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
"""Frames to calibrate on: enough to see every drive and light of a data set, in under a minute."""


def quantize(model: onnx.ModelProto, frames: Sequence[UInt8Array]) -> onnx.ModelProto:
    """The same graph in int8, as pairs of ``QuantizeLinear`` and ``DequantizeLinear`` that runtimes fuse.

    Weights are quantised per channel, those of dense convolutions to 7 bits, so that sums overflow on no processor;
    activations per tensor.  What stands before the network (normalisation) and behind its logits (resizing, choice of
    the class) stays as it is.

    Args:
        model: what ``aaff.export.graph.build_graph`` gave.
        frames: RGB uint8 [H, W, 3] at the graph's size, from the training data: the ranges of the
            activations are theirs.

    Raises:
        DataError: no frame to calibrate on.
        MissingExtraError: nncf is not installed.
    """
    if not frames:
        raise DataError("no frame to calibrate on; int8 needs some frames of the training data")
    with some_home(), contextlib.redirect_stdout(sys.stderr):  # its progress is not this command's output
        import nncf
        from nncf.quantization.advanced_parameters import OverflowFix, QuantizationParameters

        nncf.set_log_level("ERROR")
        quantized: onnx.ModelProto = nncf.quantize(
            model,
            nncf.Dataset([frame[None] for frame in frames], lambda batch: {INPUT: batch}),
            subset_size=len(frames),
            ignored_scope=nncf.IgnoredScope(names=_around(model)),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                # 7 bits in dense layers: without VNNI instructions two products are added in 16 bits, which weights of
                # 8 bits overflow.
                overflow_fix=OverflowFix.ENABLE,
                # Left alone, it gives each channel before a depthwise convolution its own range: ONNX Runtime cannot.
                activations_quantization_params=QuantizationParameters(per_channel=False),
            ),
        )
    onnx.checker.check_model(quantized)
    return quantized


def _around(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes outside the network: those that do not lie between its normalised input and its logits."""
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
