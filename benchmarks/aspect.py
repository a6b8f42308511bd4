"""``python -m benchmarks.aspect``: how frames of another aspect than the model's should be brought to the network."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from aaff.labels import UInt8Array
from aaff.preprocess import Size, resize_image, resize_label
from benchmarks.command import start

Predict = Callable[[UInt8Array], UInt8Array]
"""From a frame RGB uint8 [H, W, 3] at a size to its class map uint8 [H, W]."""


@dataclass(kw_only=True)
class Args:
    """Score a model on the middle of every frame, cut to other aspects, for each way to resize it."""

    data: Path
    """Folder of the data set."""
    model: Path | None = None
    """A checkpoint, or an exported file for any size; default: the bundled model."""
    split: str = "val"
    """Split to score."""
    every: int = 1
    """Score every this many frames."""
    json: Path | None = None
    """Write the figures here."""


ASPECTS = {"1:1": 1.0, "4:3": 4 / 3, "16:9": 16 / 9, "2:1": 2.0}
"""Width over height of what is cut out of the frames."""


def cut(picture: UInt8Array, aspect: float) -> UInt8Array:
    """The largest part in the middle with this aspect; images and labels alike."""
    height, width = picture.shape[:2]
    rows, columns = min(height, round(width / aspect)), min(width, round(height * aspect))
    top, left = (height - rows) // 2, (width - columns) // 2
    return np.ascontiguousarray(picture[top : top + rows, left : left + columns])


def same_area(frame: Size, model: Size) -> Size:
    """The frame's aspect with as many pixels as the model's size, in multiples of 8."""
    factor = (model.width * model.height / (frame.width * frame.height)) ** 0.5
    width, height = (max(8, 8 * round(side * factor / 8)) for side in frame)
    return Size(width, height)


def letterbox(frame: UInt8Array, size: Size, predict: Predict) -> UInt8Array:
    """Class map of a frame that keeps its aspect inside the model's size, with grey bars beside it."""
    factor = min(size.width / frame.shape[1], size.height / frame.shape[0])
    inner = Size(round(frame.shape[1] * factor), round(frame.shape[0] * factor))
    top, left = (size.height - inner.height) // 2, (size.width - inner.width) // 2
    canvas = np.full((size.height, size.width, 3), (124, 116, 104), np.uint8)  # the mean, which the network sees as 0
    canvas[top : top + inner.height, left : left + inner.width] = resize_image(frame, inner)
    return predict(canvas)[top : top + inner.height, left : left + inner.width]


def run(args: Args) -> int:
    """Print and write the figures; status 0."""
    from aaff.data import open_dataset
    from aaff.evaluation.confusion import ConfusionMatrix
    from aaff.files import write_json
    from aaff.loading import find_model, load_engine, read_card
    from aaff.provenance import file_hash, provenance

    file = find_model(args.model)
    card = read_card(file)
    dataset = open_dataset(args.data, args.split)

    @cache
    def at(size: Size) -> Predict:
        engine = load_engine(file, size=size, confidence=False)
        return lambda frame: engine.infer(frame[None])[0][0]

    def stretch(frame: UInt8Array) -> UInt8Array:
        return at(card.size)(resize_image(frame, card.size))

    def keep(frame: UInt8Array) -> UInt8Array:
        size = same_area(Size.of(frame), card.size)
        return at(size)(resize_image(frame, size))

    ways: dict[str, Predict] = {
        "stretch": stretch,
        "own aspect": keep,
        "letterbox": lambda f: letterbox(f, card.size, at(card.size)),
    }
    rows: list[dict[str, Any]] = []
    for name, aspect in ASPECTS.items():
        for way, predict in ways.items():
            confusion = ConfusionMatrix(dataset.labels.num_classes)
            for index in range(0, len(dataset), args.every):
                frame = cut(dataset.image(index), aspect)
                label = cut(dataset.label(index), aspect)
                confusion.update(label, resize_label(predict(frame), Size.of(frame)))
            rows.append({"aspect": name, "way": way, **confusion.metrics().means()})
            print(f"{name:<5} {way:<11} mean IoU {100 * rows[-1]['miou']:5.1f} %", flush=True)
    if args.json is not None:
        found = {"network": card.network, "model": file_hash(file), "size": str(card.size), "split": args.split}
        write_json(args.json, {**found, "every": args.every, "rows": rows, "provenance": provenance()})
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """Read the options and measure; returns the exit status."""
    return start("benchmarks.aspect", Args, run, words)


if __name__ == "__main__":
    sys.exit(main())
