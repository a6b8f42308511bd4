"""Does every registered network give the same class maps in both engines, in fp32 and int8?

    python -m benchmarks.network_exports                # all networks, minutes each
    python -m benchmarks.network_exports segnet enet

Too slow for the tests: tracing a network of a hundred layers alone takes many seconds.  Networks are narrow, untrained
but for their classifier, and see synthetic scenes of 97×65.  ``results/network_exports.json`` is extended network by
network, so a run that was stopped resumes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aaff.bench.untrained import fit_logits
from aaff.card import ModelCard
from aaff.data.sample import Sample
from aaff.export.export import build
from aaff.files import write_json
from aaff.labels import CAMVID11, UInt8Array
from aaff.networks import create_model, list_models
from aaff.networks.engine import TorchEngine
from aaff.preprocess import Size
from aaff.provenance import provenance
from aaff.runtime.onnxruntime_engine import OnnxRuntimeEngine
from aaff.runtime.openvino_engine import OpenVinoEngine
from aaff.synthetic import render

SIZE = Size(97, 65)
SCENES = 6
RESULT = Path(__file__).parents[1] / "results" / "network_exports.json"


def compare(name: str, width: float) -> dict[str, Any]:
    """Shares of equal pixels: of each engine with the PyTorch network, and of the engines with each other."""
    torch.manual_seed(0)
    scenes = [render(number, 0, SIZE) for number in range(SCENES)]
    frames = np.stack([scene.image for scene in scenes])
    net = create_model(name, CAMVID11.num_classes, width=width).train()
    card = ModelCard(name, {"width": width}, CAMVID11, "camvid11", SIZE)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (card.normalization.mean, card.normalization.std))
    for _ in range(10):  # moving statistics of batch norm
        net((torch.from_numpy(frames).permute(0, 3, 1, 2).float() - mean) / std)
    net.eval()
    fit_logits(net, card, [Sample(str(index), scene.image, scene.label) for index, scene in enumerate(scenes)])
    expected = TorchEngine(net, card, confidence=False).infer(frames)[0]
    found: dict[str, Any] = {"width": width, "size": str(SIZE), "frames": SCENES}
    for precision in ("fp32", "int8"):
        calibration: list[UInt8Array] | None = list(frames) if precision == "int8" else None
        model = build(net, card, Path(f"{name}.onnx"), calibration=calibration)
        openvino = OpenVinoEngine(model, precision=precision, confidence=False).infer(frames)[0]
        runtime = OnnxRuntimeEngine(model, precision=precision, confidence=False).infer(frames)[0]
        found[precision] = {
            "openvino": round(float((openvino == expected).mean()), 4),
            "onnxruntime": round(float((runtime == expected).mean()), 4),
            "both_engines": round(float((openvino == runtime).mean()), 4),
        }
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
