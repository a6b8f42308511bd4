"""Does every registered network give the same class maps in both engines, in fp32 and int8?

    python -m benchmarks.network_exports                # all networks, minutes each
    python -m benchmarks.network_exports segnet enet

Too slow for the tests: tracing a network of a hundred layers alone takes many seconds.  Networks are narrow, untrained
but for their classifier, and see synthetic scenes of 97×65.  ``results/network_exports.json`` is extended network by
network, so a run that was stopped resumes.

In fp32 the engines must give the maps of the PyTorch network, at a size that the file was not exported for too.

In int8 every layer rounds to 256 values.  An engine rounds at other places than the file is written, since it joins
layers; over a hundred layers of a network without training that moves every tenth pixel to another class.  So pixels
are not compared with the other engine's, but all with the PyTorch network's: an engine passes if it comes as close to
them as the file does that is computed as it is written, every rounding a node of its own.  ``rounding`` is the share
of the pixels that this leaves alone after the scales of the weights have changed by a millionth.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from aaff.bench.untrained import fit_logits
from aaff.card import ModelCard
from aaff.data.sample import Sample
from aaff.export.export import build
from aaff.export.graph import build_graph
from aaff.files import write_json
from aaff.labels import CAMVID11, UInt8Array
from aaff.networks import create_model, list_models
from aaff.networks.engine import TorchEngine
from aaff.preprocess import Size
from aaff.provenance import provenance
from aaff.runtime.model_file import INPUT, OUTPUT, ModelFile
from aaff.runtime.onnxruntime_engine import OnnxRuntimeEngine
from aaff.runtime.openvino_engine import OpenVinoEngine
from aaff.synthetic import render

SIZE = Size(97, 65)
OTHER = Size(161, 129)
"""A size that the file was not exported for."""
SCENES = 6
RESULT = Path(__file__).parents[1] / "results" / "network_exports.json"


MILLIONTH = 1e-6
SLACK = 0.02
"""Share of the pixels by which an engine in int8 may be further from the network than the file as it is written."""


def compare(name: str, width: float) -> dict[str, Any]:
    """Shares of equal pixels, see ``both_engines`` and ``quantized``."""
    torch.manual_seed(0)
    scenes = [render(number, 0, SIZE) for number in range(SCENES)]
    frames = np.stack([scene.image for scene in scenes])
    net = create_model(name, CAMVID11.num_classes, width=width).train()
    card = ModelCard(name, {"width": width}, CAMVID11, "camvid11", SIZE)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (card.normalization.mean, card.normalization.std))
    with torch.no_grad():
        for _ in range(10):  # moving statistics of batch norm
            net((torch.from_numpy(frames).permute(0, 3, 1, 2).float() - mean) / std)
    net.eval()
    fit_logits(net, card, [Sample(str(index), scene.image, scene.label) for index, scene in enumerate(scenes)])
    expected = TorchEngine(net, card, confidence=False).infer(frames)[0]
    graph = build_graph(net, card)
    path = Path(f"{name}.onnx")
    model = build(net, card, path, graph=graph)
    fp32 = both_engines(model, frames, expected)
    other = np.stack([render(number, 0, OTHER).image for number in range(SCENES)])
    there = TorchEngine(net, replace(card, size=OTHER), confidence=False).infer(other)[0]
    fp32[str(OTHER)] = min(both_engines(model.at(OTHER), other, there).values())
    int8 = quantized(build(net, card, path, calibration=list(frames), graph=graph), frames, expected)
    return {"width": width, "size": str(SIZE), "frames": SCENES, "fp32": fp32, "int8": int8}


def both_engines(model: ModelFile, frames: UInt8Array, expected: UInt8Array) -> dict[str, float]:
    """Shares of the pixels to which an engine gives the expected class, and to which both give the same."""
    openvino = OpenVinoEngine(model, precision=model.precision, confidence=False).infer(frames)[0]
    runtime = OnnxRuntimeEngine(model, precision=model.precision, confidence=False).infer(frames)[0]
    pairs = {"openvino": (openvino, expected), "onnxruntime": (runtime, expected), "both_engines": (openvino, runtime)}
    return {key: round(float((one == other).mean()), 4) for key, (one, other) in pairs.items()}


def quantized(model: ModelFile, frames: UInt8Array, expected: UInt8Array) -> dict[str, Any]:
    """Of a file in int8, shares of the pixels with the class of the PyTorch network.

    Returns:
        ``openvino``, ``onnxruntime`` and ``as_written``; ``both_engines``, the share on which the engines agree;
        ``rounding``, see above; ``passed``.
    """
    written = as_written(model.data, frames)
    rounding = float((as_written(changed(model.data), frames) == written).mean())
    shares: dict[str, Any] = both_engines(model, frames, expected)
    own = round(float((written == expected).mean()), 4)
    passed = min(shares["openvino"], shares["onnxruntime"]) >= own - SLACK
    return {**shares, "as_written": own, "rounding": round(rounding, 4), "passed": passed}


def as_written(data: bytes, frames: UInt8Array) -> UInt8Array:
    """Class maps of an ONNX file, every node by itself and in float32: nothing is fused or computed in integers."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    maps: UInt8Array = np.concatenate([session.run([OUTPUT], {INPUT: frame[None]})[0] for frame in frames])
    return maps


def changed(data: bytes) -> bytes:
    """The same file with the scales of its weights changed by about a millionth."""
    rng = np.random.default_rng(0)
    model = onnx.load_from_string(data)
    tables = {table.name: table for table in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type == "DequantizeLinear" and node.input[0] in tables]
    for name in {node.input[1]: None for node in nodes}:
        scale = onnx.numpy_helper.to_array(tables[name])
        noisy = scale * (1 + MILLIONTH * rng.standard_normal(scale.shape))
        tables[name].CopyFrom(onnx.numpy_helper.from_array(noisy.astype(np.float32), name))
    found: bytes = model.SerializeToString()
    return found


def main() -> None:
    """Compare the networks that are named, or those that have no result yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", help="default: all that have no result yet")
    parser.add_argument("--width", type=float, default=0.25)
    args = parser.parse_args()
    rows: dict[str, Any] = json.loads(RESULT.read_text(encoding="utf-8"))["networks"] if RESULT.exists() else {}
    for name in args.networks or [name for name in list_models() if name not in rows]:
        rows[name] = compare(name, args.width)
        print(name, rows[name], flush=True)
        write_json(RESULT, {"networks": dict(sorted(rows.items())), "provenance": provenance()})


if __name__ == "__main__":
    main()
