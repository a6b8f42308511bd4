"""``python -m benchmarks.robustness``: what another camera, light or recording costs a model, and how it flickers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from aaff.labels import IGNORE, UInt8Array
from aaff.preprocess import Size, resize_image, resize_label
from benchmarks.command import start

if TYPE_CHECKING:
    from aaff.data.sample import Dataset
    from aaff.runtime import Segmenter

Effect = Callable[[UInt8Array], UInt8Array]
"""From a frame RGB uint8 [H, W, 3] to the frame as it would be under another condition; its size may change."""


@dataclass(kw_only=True)
class Args:
    """Score a model on a data set whose frames are changed in one way at a time; print and write each loss."""

    data: Path
    """Folder of the data set."""
    model: Path | None = None
    """A model or the folder of a run; default: the bundled model."""
    split: str = "val"
    """Split to score."""
    protocol: str | None = None
    """Protocol of the scores; default: the data set's own."""
    every: int = 1
    """Score every this many frames."""
    json: Path | None = None
    """Write the figures here."""


def gains(red: float, green: float, blue: float) -> Effect:
    """Each channel times a factor, as another white balance gives it."""
    return lambda frame: np.clip(frame * np.array([red, green, blue], np.float32) + 0.5, 0, 255).astype(np.uint8)


def gamma(exponent: float) -> Effect:
    """Another tone curve."""
    curve = np.rint(255 * (np.arange(256) / 255) ** exponent).astype(np.uint8)
    return lambda frame: np.asarray(cv2.LUT(frame, curve), np.uint8)


def blur(sigma: float) -> Effect:
    """Gaussian blur, σ in pixels."""
    return lambda frame: np.asarray(cv2.GaussianBlur(frame, (0, 0), sigma), np.uint8)


def noise(sigma: float) -> Effect:
    """Gaussian noise, σ of 255; the same for every frame."""

    def add(frame: UInt8Array) -> UInt8Array:
        drawn = np.random.default_rng(0).standard_normal(frame.shape, np.float32)
        return np.clip(frame + sigma * drawn, 0, 255).astype(np.uint8)

    return add


def jpeg(quality: int) -> Effect:
    """JPEG compression."""

    def compress(frame: UInt8Array) -> UInt8Array:
        packed = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR_RGB), np.uint8)

    return compress


def resized(factor: float) -> Effect:
    """A camera of another resolution."""
    return lambda frame: resize_image(frame, Size(round(frame.shape[1] * factor), round(frame.shape[0] * factor)))


CONDITIONS: dict[str, Effect] = {
    "unchanged": lambda frame: frame,
    "red and blue × 0.85": gains(0.85, 1, 0.85),
    "red and blue × 0.90": gains(0.9, 1, 0.9),
    "red and blue × 1.15": gains(1.15, 1, 1.15),
    "red × 0.85, blue × 1.15": gains(0.85, 1, 1.15),
    "red × 1.15, blue × 0.85": gains(1.15, 1, 0.85),
    "green × 0.85": gains(1, 0.85, 1),
    "green × 1.15": gains(1, 1.15, 1),
    "exposure × 0.5": gains(0.5, 0.5, 0.5),
    "exposure × 1.5": gains(1.5, 1.5, 1.5),
    "gamma 0.6": gamma(0.6),
    "gamma 1.7": gamma(1.7),
    "blur σ 1": blur(1.0),
    "blur σ 2": blur(2.0),
    "noise σ 10": noise(10),
    "noise σ 20": noise(20),
    "JPEG quality 20": jpeg(20),
    "half size": resized(0.5),
    "double size": resized(2.0),
}
"""Each condition with its effect; the losses are those beside the first."""


def score(segmenter: Segmenter, dataset: Dataset, effect: Effect, indices: Sequence[int]) -> dict[str, Any]:
    """Scores under one condition, at the resolution of the labels."""
    from aaff.evaluation import count

    def predict(frame: UInt8Array) -> UInt8Array:
        return resize_label(segmenter(effect(frame)).class_map, Size.of(frame))

    metrics = count(predict, dataset, indices=indices).metrics()
    return {**metrics.means(), "iou": dict(zip(dataset.labels.names, metrics.iou, strict=True))}


def flicker(segmenter: Segmenter, dataset: Dataset) -> dict[str, float]:
    """Share of the pixels whose class changes from one frame to the next, of the predictions and of the labels.

    Only pixels that are labelled in both frames count.  Streets move, so the labels' own share is what a perfect model
    would have.
    """
    shares: dict[str, list[float]] = {"prediction": [], "ground_truth": []}
    seen = ((segmenter(sample.image).class_map, sample.label) for sample in dataset)
    for (one_map, one_label), (next_map, next_label) in pairwise(seen):
        labelled = (one_label != IGNORE) & (next_label != IGNORE)
        shares["prediction"].append(float((one_map != next_map)[labelled].mean()))
        shares["ground_truth"].append(float((one_label != next_label)[labelled].mean()))
    return {what: float(np.mean(values)) for what, values in shares.items()}


def run(args: Args) -> int:
    """Print and write the figures; status 0."""
    from aaff.cli.console import print_table
    from aaff.data import open_dataset
    from aaff.files import write_json
    from aaff.loading import find_model, load
    from aaff.provenance import file_hash, provenance

    segmenter = load(args.model)
    dataset = open_dataset(args.data, args.split, protocol=args.protocol)
    indices = range(0, len(dataset), args.every)
    results = {name: score(segmenter, dataset, effect, indices) for name, effect in CONDITIONS.items()}
    base = results["unchanged"]["miou"]
    flickering = flicker(segmenter, dataset) if args.every == 1 else None
    figures = {
        "protocol": dataset.protocol,
        "split": args.split,
        "images": len(indices),
        "network": segmenter.card.network,
        "engine": segmenter.engine.name,
        "precision": segmenter.engine.precision,
        "size": str(segmenter.card.size),
        "checkpoint": file_hash(find_model(args.model)),
        "conditions": {name: {**scores, "loss": base - scores["miou"]} for name, scores in results.items()},
        "flicker": flickering,
        "provenance": provenance(),
    }
    rows = [
        (name, f"{100 * s['miou']:.1f}", f"{100 * s['pixel_accuracy']:.1f}", f"{100 * (base - s['miou']):+.1f}")
        for name, s in results.items()
    ]
    print_table(("condition", "mean IoU %", "pixel accuracy %", "loss"), rows, title=f"{dataset.protocol} {args.split}")
    if flickering:
        print(
            "pixels that change class from frame to frame: {prediction:.1%}, labels {ground_truth:.1%}".format(
                **flickering
            )
        )
    if args.json is not None:
        write_json(args.json, figures)
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """Read the options and measure; returns the exit status."""
    return start("benchmarks.robustness", Args, run, words)


if __name__ == "__main__":
    sys.exit(main())
