"""Score a finished run once, and keep everything that the report shows: ``python -m experiments.runner.measure RUN …``.

The weights are those of the last epoch (``last.safetensors``), as the rule wants it.  What is written carries
their hash, so a result is never taken for that of other weights.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from aaff.data.layouts import open_dataset
from aaff.data.sample import Dataset
from aaff.errors import AaffError
from aaff.evaluation import ConfusionMatrix, Subject
from aaff.evaluation import report as make_report
from aaff.files import write_json
from aaff.labels import UInt8Array
from aaff.networks.blocks import ChannelGate, FeatureFusion, resize_to
from aaff.networks.engine import TorchEngine
from aaff.networks.weights import load_checkpoint
from aaff.plugins import import_module
from aaff.preprocess import resize_image
from aaff.provenance import file_hash
from aaff.training.run_folder import LAST
from experiments.runner.details import Borders, Calibration, Objects, pack_frames
from experiments.runner.planned import Scoring
from experiments.runner.receptive_field import measure_receptive_field
from experiments.runner.states import content_hash, measurement_file

FLOAT = npt.NDArray[np.float32]


def measure_run(folder: Path, scorings: Sequence[Scoring], data: Mapping[str, Path], layout: str | None = None) -> None:
    """Score a run on each split and write ``measured/NAME.json`` into its folder; what is there already is kept.

    Args:
        folder: of the run.
        scorings: the splits.
        data: folders of the data sets by name, the first one's empty.
        layout: of the first data set; detected by default.

    Raises:
        AaffError: the checkpoint or a frame cannot be read.
    """
    checkpoint = file_hash(folder / LAST)
    for scoring in scorings:
        path = measurement_file(folder, scoring.name)
        if path.is_file() and f'"checkpoint": "{checkpoint}"' in path.read_text(encoding="utf-8"):
            continue
        own = layout if not scoring.source else None
        dataset = open_dataset(data[scoring.source], scoring.split, protocol=scoring.protocol, layout=own)
        scores = measure_checkpoint(folder / LAST, dataset, full=scoring.full)
        if scoring.receptive_field:
            net, card = load_checkpoint(folder / LAST)
            scores["receptive_field"] = measure_receptive_field(net, dataset, card.normalization)
        write_json(path, scores)


def measure_checkpoint(path: Path, dataset: Dataset, *, full: bool) -> dict[str, Any]:
    """Scores of a checkpoint on a split, see ``measure_engine``.

    Raises:
        AaffError: the checkpoint or a frame cannot be read.
    """
    net, card = load_checkpoint(path)
    subject = Subject(
        card.network, "torch", "fp32", str(card.size), "logits", file_hash(path), None, {"epoch": card.epoch}
    )
    return measure_engine(TorchEngine(net, card, confidence=False), dataset, subject, full=full)


def measure_engine(engine: TorchEngine, dataset: Dataset, subject: Subject, *, full: bool) -> dict[str, Any]:
    """Scores of a network on a split, JSON-ready.

    Args:
        engine: the network.
        dataset: the split.
        subject: what is scored.
        full: with ``calibration``, ``borders``, ``objects``, ``gates`` and the score of each frame.

    Returns:
        What ``aaff evaluate --json`` writes, ``frames_sha256`` (names, images and labels), the confusion matrix of
        each frame (``experiments.runner.details.unpack_frames`` reads them) and the details.
    """
    matrix = ConfusionMatrix(dataset.labels.num_classes)
    calibration, borders = Calibration(), Borders(dataset.labels.num_classes)
    objects, frames = Objects(dataset.labels.num_classes), {}
    confusions: dict[str, npt.NDArray[np.int64]] = {}
    with GateRecorder(engine.net) as gates:
        for sample in dataset:
            predicted, confidence = classify(engine, sample.image)
            before = matrix.counts.copy()
            matrix.update(sample.label, predicted, f"frame {sample.name}")
            confusions[sample.name] = matrix.counts - before
            if full:
                calibration.update(sample.label, predicted, confidence)
                borders.update(sample.label, predicted)
                objects.update(sample.label, predicted)
                frames[sample.name] = accuracy(confusions[sample.name])
    result = make_report(matrix, dataset, subject).to_dict() | {"frames_sha256": content_hash(dataset)}
    result["frame_confusions"] = pack_frames(confusions)
    if full:
        result["calibration"] = calibration.to_dict()
        result["borders"] = borders.to_dict()
        result["objects"] = objects.to_dict()
        result["gates"] = gates.to_dict()
        result["frames"] = frames
    return result


def classify(engine: TorchEngine, frame: UInt8Array) -> tuple[UInt8Array, FLOAT]:
    """Class map uint8 [H, W] of a frame by the research convention, and the softmax probability of that class.

    The same map as ``aaff.networks.engine.TorchEngine.segment``, with probabilities that are not rounded.
    """
    with torch.inference_mode():
        logits = engine.native_logits(resize_image(frame, engine.card.size)[None])
        resized = resize_to(logits.contiguous(), frame.shape[:2])[0]
        highest, ids = resized.max(dim=0)
        total = (resized - highest).exp_().sum(dim=0)
    return ids.to(torch.uint8).cpu().numpy(), (1 / total).float().cpu().numpy()


def frame_score(ground_truth: UInt8Array, predicted: UInt8Array, num_classes: int) -> float | None:
    """Pixel accuracy of one frame, to find the worst ones; None for a frame without a label."""
    matrix = ConfusionMatrix(num_classes)
    matrix.update(ground_truth, predicted)
    return accuracy(matrix.counts)


def accuracy(counts: npt.NDArray[np.int64]) -> float | None:
    """Pixel accuracy of a confusion matrix; None without a pixel."""
    total = int(counts.sum())
    return round(float(np.trace(counts)) / total, 5) if total else None


class GateRecorder:
    """Notes what every gate puts out, frame by frame, while a network runs in evaluation mode.

    Gates are those of the AAFF blocks and ARMs (``ChannelGate``) and the weights of the FFM.

    >>> from aaff.networks import create_model
    >>> net = create_model("depthwise_aaff", 11).eval()
    >>> with torch.inference_mode(), GateRecorder(net) as gates:
    ...     _ = net.logits(torch.zeros(1, 3, 64, 64))
    >>> sorted(gates.to_dict())[0]
    'fusion'
    """

    def __init__(self, net: nn.Module) -> None:
        self._outputs: dict[str, list[FLOAT]] = {}
        self._watched: list[tuple[str, nn.Module]] = []
        for name, module in net.named_modules():
            if isinstance(module, ChannelGate) and module.gate is not None:
                self._watched.append((name, module.gate))
            elif isinstance(module, FeatureFusion):
                self._watched.append((name, module.attention))
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> GateRecorder:
        for name, module in self._watched:
            self._outputs[name] = []
            self._handles.append(module.register_forward_hook(self._note(name)))
        return self

    def __exit__(self, *_: object) -> None:
        while self._handles:
            self._handles.pop().remove()

    def _note(self, name: str) -> Any:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            self._outputs[name].append(output.detach().flatten(1).float().cpu().numpy())

        return hook

    def outputs(self, name: str) -> FLOAT:
        """What a gate put out: float32 [frames, channels]."""
        return np.concatenate(self._outputs[name])

    def to_dict(self) -> dict[str, dict[str, float]]:
        """Of every gate: mean, spread over channels, spread over frames, and the share of channels that never move.

        ``between_channels`` is the standard deviation over channels of their means, ``between_frames`` the mean
        over channels of the standard deviation over frames: 0 means that the gate does not look at the image.
        ``closed`` channels stay below 0.01 in every frame, ``open`` ones above 0.99.
        """
        result = {}
        for name, noted in self._outputs.items():
            if noted:
                result[name] = gate_statistics(np.concatenate(noted))
        return result


def gate_statistics(outputs: FLOAT) -> dict[str, float]:
    """Statistics of a gate's outputs [frames, channels], as ``GateRecorder.to_dict`` names them."""
    means = outputs.mean(axis=0)
    return {
        "mean": float(means.mean()),
        "between_channels": float(means.std()),
        "between_frames": float(outputs.std(axis=0).mean()),
        "closed": float((outputs.max(axis=0) < 0.01).mean()),
        "open": float((outputs.min(axis=0) > 0.99).mean()),
        "channels": float(outputs.shape[1]),
    }


def to_words(folder: Path, scorings: Sequence[Scoring], data: Mapping[str, Path], layout: str | None) -> list[str]:
    """The command line, after ``python -m experiments.runner.measure``, that ``main`` reads."""
    words = [str(folder), *(["--layout", layout] if layout else [])]
    for scoring in scorings:
        words += ["--data", scoring.source, str(data[scoring.source])]
        detail = "field" if scoring.receptive_field else "full" if scoring.full else "counts"
        words += ["--split", scoring.split, scoring.protocol or "", detail, scoring.source]
    return words


def main(words: Sequence[str] | None = None) -> int:
    """Read ``to_words`` and measure; the work on a plan scores so in a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m experiments.runner.measure")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", nargs=2, action="append", required=True, metavar=("SOURCE", "DIR"))
    parser.add_argument("--layout")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--import", dest="module")
    parser.add_argument(
        "--split", nargs=4, action="append", required=True, metavar=("SPLIT", "PROTOCOL", "DETAIL", "SOURCE")
    )
    args = parser.parse_args(words)
    torch.set_num_threads(args.threads)
    scorings = [
        Scoring(split, protocol or None, detail != "counts", detail == "field", source)
        for split, protocol, detail, source in args.split
    ]
    try:
        if args.module:
            import_module(args.module)
        measure_run(args.folder, scorings, {source: Path(folder) for source, folder in args.data}, args.layout)
    except AaffError as error:
        print(f"aaff: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
