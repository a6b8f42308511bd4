"""Fig. 5: frame, ground truth, the networks' class maps and where they differ from it, side by side.

Either frames of the data set, for the reader's own eyes, or synthetic streets, for a report that is published:
frames of CamVid may not be redistributed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aaff.data.sample import Dataset, Sample
from aaff.files import read_json, replacing, write_json
from aaff.images import write_image
from aaff.labels import CAMVID11, IGNORE, LabelMap, UInt8Array
from aaff.networks.engine import TorchEngine
from aaff.networks.weights import load_checkpoint
from aaff.preprocess import Size, resize_image, resize_label
from aaff.provenance import file_hash
from aaff.synthetic import render
from experiments.paper.analysis import TITLES
from experiments.runner.measure import frame_score

WIDTH = 320
"""Pixels of a picture; enough for a phone, small in a repository."""

_RIGHT, _WRONG, _VOID = (226, 229, 233), (200, 50, 31), (70, 74, 80)
_DRAWN = tuple((7000 + 7 * i, 30 * i) for i in range(12))
"""Drives and frames of the synthetic streets to choose from; no training set has them."""


@dataclass(frozen=True)
class Shown:
    """A frame to show.

    Attributes:
        sample: the frame with its label.
        why: how it was chosen.
    """

    sample: Sample
    why: str


def choose(
    samples: Dataset | Sequence[Sample], scores: Mapping[str, float], *, chosen: int = 3, worst: int = 2
) -> list[Shown]:
    """Frames evenly spread over a split, and those on which the networks are worst.

    Args:
        samples: the split.
        scores: mean pixel accuracy of the networks by name of the frame.
        chosen, worst: how many of each.
    """
    places = [round((i + 0.5) * len(samples) / chosen - 0.5) for i in range(min(chosen, len(samples)))]
    by_name = {pair.name: i for i, pair in enumerate(samples.pairs)} if isinstance(samples, Dataset) else None
    if by_name is None:
        by_name = {sample.name: i for i, sample in enumerate(samples)}
    low = [by_name[name] for name in sorted(scores, key=scores.__getitem__) if by_name[name] not in places][:worst]
    return [Shown(samples[i], "chosen") for i in places] + [Shown(samples[i], "worst") for i in low]


def drawn_samples(size: Size) -> list[Sample]:
    """Synthetic streets that no training set of this package has."""
    made = [(f"D{drive}_{frame:05d}", render(drive, frame, size)) for drive, frame in _DRAWN]
    return [Sample(name, scene.image, scene.label) for name, scene in made]


def draw_pictures(
    folder: Path,
    checkpoints: Mapping[str, Path],
    source: Dataset | None,
    frame_scores: Mapping[str, float],
    size: Size = Size(480, 360),
) -> None:
    """Write the pictures and ``index.json``; nothing is done when they are there for the same weights.

    Args:
        folder: for them.
        checkpoints: by registered name of the network, in the order to show.
        source: split to take frames from; None renders streets of CamVid's classes.
        frame_scores: mean pixel accuracy by frame of ``source``, to find the worst; not used for synthetic streets.
        size: of synthetic streets.
    """
    hashes = {name: file_hash(path) for name, path in checkpoints.items()}
    where = f"{source.protocol} {source.split}" if source is not None else "synthetic streets"
    labels = source.labels if source is not None else CAMVID11
    classes = {
        name: "#{:02x}{:02x}{:02x}".format(*color) for name, color in zip(labels.names, labels.colors, strict=True)
    }
    key: dict[str, Any] = {"version": 3, "checkpoints": hashes, "source": where, "size": str(size), "classes": classes}
    index = folder / "index.json"
    if index.is_file() and read_json(index).get("key") == key:
        return
    engines = {name: TorchEngine(*load_checkpoint(path), confidence=False) for name, path in checkpoints.items()}
    if source is not None:
        shown = choose(source, frame_scores)
        about = f"Frames of {where}: three spread over the split, and those on which the networks are worst."
    else:
        samples = drawn_samples(size)
        shown = choose(samples, {s.name: _mean_score(engines, s, labels) for s in samples})
        about = (
            "Frames of CamVid may not be redistributed, so these are synthetic streets that no network was trained on: "
            "three spread over twelve, and the two on which the networks are worst. **The maps look broken because the "
            "networks learned from photographs of CamVid and are shown synthetic streets, which are far from them;** "
            "they say nothing about CamVid. With the data set at hand, `python -m experiments.paper --data camvid "
            "--report-only --results results/experiment` shows the published weights on its own frames."
        )
    frames = [_draw(folder, number, frame, engines, labels) for number, frame in enumerate(shown, start=1)]
    write_json(index, {"key": key, "about": about, "frames": frames})


def _mean_score(engines: Mapping[str, TorchEngine], sample: Sample, labels: LabelMap) -> float:
    scores = [frame_score(sample.label, e.segment(sample.image), labels.num_classes) or 0.0 for e in engines.values()]
    return float(np.mean(scores))


def _draw(
    folder: Path, number: int, shown: Shown, engines: Mapping[str, TorchEngine], labels: LabelMap
) -> dict[str, Any]:
    sample = shown.sample
    height = round(WIDTH * sample.label.shape[0] / sample.label.shape[1])
    size = Size(WIDTH, height)
    made: list[tuple[str, UInt8Array, str]] = [
        ("frame", resize_image(sample.image, size), "frame"),
        ("ground-truth", labels.colorize(resize_label(sample.label, size)), "ground truth"),
    ]
    for name, engine in engines.items():
        predicted = engine.segment(sample.image)
        score = frame_score(sample.label, predicted, labels.num_classes) or 0.0
        made.append(
            (name, labels.colorize(resize_label(predicted, size)), f"{TITLES[name]}, {100 * score:.1f} % right")
        )
        wrong = difference(sample.label, predicted)
        made.append((f"{name}-difference", resize_image(wrong, size), f"{TITLES[name]}, difference"))
    pictures = []
    for kind, image, caption in made:
        path = folder / f"{shown.why}-{number}-{kind}.{'jpg' if kind == 'frame' else 'png'}"
        if kind == "frame":
            write_image(path, image)
        else:
            _write_small(path, image)
        pictures.append({"file": path.name, "caption": caption})
    sheet = folder / f"maps-{number}.png"
    _write_small(sheet, _sheet([image for _, image, _ in made]))
    title = f"**{'Chosen' if shown.why == 'chosen' else 'Worst'}:** `{sample.name}`"
    return {"title": title, "sheet": sheet.name, "pictures": pictures}


def difference(ground_truth: UInt8Array, predicted: UInt8Array) -> UInt8Array:
    """Where a prediction is wrong: RGB uint8 [H, W, 3], red wrong, pale right, dark not counted."""
    table = np.array([_RIGHT, _WRONG, _VOID], np.uint8)
    return table[np.where(ground_truth == IGNORE, 2, (ground_truth != predicted).astype(np.uint8))]


def _sheet(images: Sequence[UInt8Array]) -> UInt8Array:
    """All pictures in two rows: frame and maps above, ground truth and differences below."""
    gap = 4
    above, below = images[0::2], images[1::2]
    height, width = images[0].shape[:2]
    sheet = np.full((2 * height + gap, len(above) * (width + gap) - gap, 3), 255, np.uint8)
    for row, line in enumerate((above, below)):
        for column, image in enumerate(line):
            y, x = row * (height + gap), column * (width + gap)
            sheet[y : y + height, x : x + width] = image
    return sheet


def _write_small(path: Path, image: UInt8Array) -> None:
    """A PNG of at most 256 colours, a quarter of the size."""
    picture = Image.fromarray(image).quantize(256, dither=Image.Dither.NONE)
    with replacing(path) as temporary:
        picture.save(temporary, optimize=True)
