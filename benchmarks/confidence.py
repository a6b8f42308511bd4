"""``python -m benchmarks.confidence``: the cost of confidence, and its value on images that are not streets."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aaff.labels import UInt8Array
from aaff.preprocess import Size, resize_image
from benchmarks.command import start


@dataclass(kw_only=True)
class Args:
    """Time a model with and without its confidence, in turns, and average the confidence over kinds of pictures."""

    data: Path
    """Folder of a data set of streets; its val split is read."""
    model: Path | None = None
    """An exported file with confidence; default: the bundled model."""
    other: tuple[Path, ...] = ()
    """Further pictures or folders of them, each a kind of its own."""
    runs: int = 100
    """Frames timed each way."""
    json: Path | None = None
    """Write the figures here."""


def made_up(size: Size) -> dict[str, list[UInt8Array]]:
    """Pictures of no street: noise, and the two photographs that scikit-learn brings, where it is installed."""
    noise = np.random.default_rng(0).integers(0, 256, (4, size.height, size.width, 3), np.uint8)
    found = {"uniform noise": list(noise)}
    try:
        from sklearn.datasets import load_sample_image  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        return found
    return found | {f"photograph {name}": [load_sample_image(name)] for name in ("flower.jpg", "china.jpg")}


def run(args: Args) -> int:
    """Print and write the figures; status 0."""
    from aaff.cli.console import print_table
    from aaff.data import open_dataset
    from aaff.errors import ModelError
    from aaff.files import write_json
    from aaff.images import read_image
    from aaff.loading import find_model, load, load_engine
    from aaff.provenance import file_hash, provenance
    from aaff.runtime.frames import find_images

    file = find_model(args.model)
    segmenter = load(file)
    dataset = open_dataset(args.data, "val")
    streets = [dataset.image(i) for i in range(len(dataset))]
    kinds: dict[str, Iterable[UInt8Array]] = {f"val frames of {dataset.protocol}": streets}
    kinds |= {f"{place.name}": map(read_image, find_images(place)) for place in args.other}
    kinds |= made_up(segmenter.card.size)

    def mean(pictures: Iterable[UInt8Array]) -> float:
        maps = [segmenter(picture).confidence for picture in pictures]
        if any(found is None for found in maps):
            raise ModelError(f"{file} gives no confidence; export it with --confidence")
        return float(np.mean([found.mean() / 255 for found in maps if found is not None]))

    means = {name: mean(pictures) for name, pictures in kinds.items()}
    engines = {name: load_engine(file, confidence=name == "with") for name in ("without", "with")}
    taken: dict[str, list[float]] = {name: [] for name in engines}
    for i in range(args.runs + 5):  # the first ones warm up
        frame = resize_image(streets[i % len(streets)], segmenter.card.size)[None]
        for name, engine in engines.items():
            started = time.perf_counter()
            engine.infer(frame)
            taken[name].append(1000 * (time.perf_counter() - started))
    latency = {name: float(np.median(each[5:])) for name, each in taken.items()}
    print_table(("pictures", "mean confidence"), [(name, f"{value:.2f}") for name, value in means.items()])
    print("latency {without:.1f} ms, with confidence {with:.1f} ms".format(**latency))
    if args.json is not None:
        found = {"network": segmenter.card.network, "model": file_hash(file), "precision": segmenter.engine.precision}
        figures = {"runs": args.runs, "latency_ms": latency, "mean_confidence": means, "provenance": provenance()}
        write_json(args.json, found | figures)
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """Read the options and measure; returns the exit status."""
    return start("benchmarks.confidence", Args, run, words)


if __name__ == "__main__":
    sys.exit(main())
