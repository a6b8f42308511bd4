"""How hard the synthetic street scenes are: ``python -m benchmarks.synthetic_difficulty``.

The scenes should be learnable but not trivial.  Four claims are measured on drives that training has not seen:

* the position prior (most frequent training class of each pixel) scores at most 0.25 mean IoU;
* a linear classifier on a pixel's colour and place scores at most 0.40;
* every class is in at least 20 % of the frames;
* ``depthwise_aaff`` scores at least 0.60 after minutes of training (with ``--train-flags``).

Beside them: how far apart the splits are (perceptual hash, as ``aaff data check`` measures) and how long
a frame takes to render.  scikit-learn is needed (the ``dev`` extra).
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aaff.data.duplicates import Frame, fingerprint, leaks_between
from aaff.data.layouts import open_dataset
from aaff.data.sample import Dataset
from aaff.errors import AaffError, require
from aaff.evaluation.baselines import learn_priors
from aaff.evaluation.confusion import ConfusionMatrix
from aaff.labels import CAMVID11, IGNORE
from aaff.preprocess import Size, resize_label
from aaff.provenance import provenance
from aaff.synthetic import frames
from aaff.synthetic.write import write_scenes

LIMITS = {"position_prior": 0.25, "linear_classifier": 0.40, "class_presence": 0.20, "network": 0.60}
_PIXELS = 400  # of each training frame that the linear classifier learns from


def measure_difficulty(
    *,
    size: Size = Size(480, 360),
    train: int = 300,
    val: int = 60,
    seed: int = 0,
    train_flags: str = "",
    data: Path | None = None,
) -> dict[str, Any]:
    """Make a data set and measure all claims.

    Args:
        size: of the frames.
        train: number of training frames.
        val: number of validation frames, of other drives.
        seed: which streets.
        train_flags: flags of ``aaff train`` for ``depthwise_aaff``; empty leaves the network out.
        data: where to keep the data set, which is taken as it is when there; None: a temporary folder.

    Returns:
        The numbers, JSON-ready; ``holds`` tells for each claim whether it does.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = data or Path(folder) / "scenes"
        if not root.exists():
            write_scenes(root, size=size, train=train, val=val, test=0, seed=seed)
        learned, scored = (open_dataset(root, split) for split in ("train", "val"))
        found: dict[str, Any] = {
            "what": "how hard the synthetic street scenes are; limits: " + str(LIMITS),
            "settings": {"size": str(size), "train": len(learned), "val": len(scored), "seed": seed},
            "position_prior": position_prior(learned, scored),
            "linear_classifier": linear_classifier(learned, scored),
            "class_presence": class_presence(learned),
            "bits_between_splits": bits_between(learned, scored),
            "drawing": drawing_time(size),
        }
        if train_flags:
            found["network"] = network(root, train_flags, Path(folder) / "run")
    found["holds"] = {
        "position_prior": found["position_prior"]["miou"] <= LIMITS["position_prior"],
        "linear_classifier": found["linear_classifier"]["miou"] <= LIMITS["linear_classifier"],
        "class_presence": min(found["class_presence"].values()) >= LIMITS["class_presence"],
    }
    if "network" in found:
        found["holds"]["network"] = found["network"]["miou"] >= LIMITS["network"]
    found["provenance"] = provenance()
    return found


def position_prior(train: Dataset, val: Dataset) -> dict[str, Any]:
    """Scores of the most frequent training class of each pixel."""
    priors = learn_priors(train)
    matrix = ConfusionMatrix(CAMVID11.num_classes)
    for sample in val:
        matrix.update(sample.label, resize_label(priors.position, Size.of(sample.label)))
    return _scores(matrix)


def linear_classifier(train: Dataset, val: Dataset, seed: int = 0) -> dict[str, Any]:
    """Scores of a multinomial logistic regression on R, G, B and the pixel's place, and what it was fitted with.

    It is fitted once on the pixels as they come and once with balanced classes; the better score counts.
    """
    linear_model, preprocessing, pipeline = (
        require(f"sklearn.{name}", "dev") for name in ("linear_model", "preprocessing", "pipeline")
    )
    rng = np.random.default_rng(seed)
    pixels, classes = [], []
    for sample in train:
        counted = np.flatnonzero(sample.label.ravel() != IGNORE)
        chosen = rng.choice(counted, min(_PIXELS, len(counted)), replace=False)
        pixels.append(_features(sample.image)[chosen])
        classes.append(sample.label.ravel()[chosen])
    x, y = np.concatenate(pixels), np.concatenate(classes)
    best: dict[str, Any] = {"miou": -1.0}
    for weight in (None, "balanced"):
        model = pipeline.make_pipeline(
            preprocessing.StandardScaler(), linear_model.LogisticRegression(max_iter=300, class_weight=weight)
        )
        model.fit(x, y)
        matrix = ConfusionMatrix(CAMVID11.num_classes)
        for sample in val:
            guess = model.predict(_features(sample.image)).astype(np.uint8).reshape(sample.label.shape)
            matrix.update(sample.label, guess)
        scores = _scores(matrix) | {
            "model": f"LogisticRegression on R, G, B, x, y; class weight {weight}",
            "fitted_on_pixels": len(y),
        }
        if scores["miou"] > best["miou"]:
            best = scores
    return best


def _features(image: Any) -> Any:
    height, width = image.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    return np.column_stack([image.reshape(-1, 3), x.ravel() / width, y.ravel() / height]).astype(np.float32)


def class_presence(dataset: Dataset) -> dict[str, float]:
    """Share of the frames in which a class has at least one pixel in 5000, which is enough to be seen."""
    seen = np.zeros(CAMVID11.num_classes)
    for sample in dataset:
        counts = np.bincount(sample.label.ravel(), minlength=256)[: CAMVID11.num_classes]
        seen += counts * 5000 >= sample.label.size
    return {name: round(float(n) / len(dataset), 3) for name, n in zip(CAMVID11.names, seen, strict=True)}


def bits_between(train: Dataset, val: Dataset) -> dict[str, int]:
    """Fewest bits of 256 by which a frame of one split differs from one of the other, and how many are too near."""
    prints = {
        d.split: [Frame(d.split, p.image, fingerprint(s.image)) for p, s in zip(d.pairs, d, strict=True)]
        for d in (train, val)
    }
    leaks, closest = leaks_between(prints)
    return {"closest": min(pair.distance for pair in closest.values()), "leaks": len(leaks)}


def drawing_time(size: Size, count: int = 60) -> dict[str, float]:
    """Milliseconds to render one frame of a video: median and 95th percentile, and CPU time on average."""
    taken, scenes = [], frames(0, count, size)
    busy = time.process_time()
    while True:
        start = time.perf_counter()
        if next(scenes, None) is None:
            break
        taken.append(1000 * (time.perf_counter() - start))
    busy = 1000 * (time.process_time() - busy) / count
    median, high = np.percentile(taken, (50, 95)).tolist()
    return {"median_ms": round(median, 1), "p95_ms": round(high, 1), "processor_ms": round(busy, 1)}


def network(root: Path, flags: str, folder: Path) -> dict[str, Any]:
    """Train ``depthwise_aaff`` as ``aaff train`` does, and score its last weights on val.

    The last and not the best, so that val has selected nothing.
    """
    words = ["train", "--data", str(root), "--model", "depthwise_aaff", "--out", str(folder), *shlex.split(flags)]
    start = time.perf_counter()
    _aaff(words)
    minutes = (time.perf_counter() - start) / 60
    scores = folder / "scores.json"
    _aaff(["evaluate", str(folder / "last.safetensors"), "--data", str(root), "--split", "val", "--json", str(scores)])
    report = json.loads(scores.read_text(encoding="utf-8"))
    return {
        "model": "depthwise_aaff",
        "command": f"aaff train --model depthwise_aaff {flags}",
        "minutes": round(minutes, 1),
        "miou": round(report["miou"], 4),
        "pixel_accuracy": round(report["pixel_accuracy"], 4),
        "iou": {name: row["iou"] for name, row in report["per_class"].items()},
    }


def _aaff(words: list[str]) -> None:
    """Run a command as a user would, in a process of its own.

    Raises:
        AaffError: it failed; what went wrong has been printed.
    """
    if subprocess.run([sys.executable, "-m", "aaff", *words], check=False).returncode:
        raise AaffError(f"aaff {words[0]} failed, see above")


def _scores(matrix: ConfusionMatrix) -> dict[str, Any]:
    metrics = matrix.metrics()
    rows = metrics.per_class(CAMVID11.names)
    means = metrics.means()
    return {
        "miou": round(means["miou"], 4),
        "pixel_accuracy": round(means["pixel_accuracy"], 4),
        "iou": {name: None if row["iou"] is None else round(row["iou"], 4) for name, row in rows.items()},
    }


@dataclass
class Args:
    """Measure how hard the synthetic street scenes are: position prior, linear classifier, class presence, a network.

    Status 0: all claims hold, 1: one does not.  scikit-learn is needed (the dev extra).
    """

    size: Size = Size(480, 360)
    """Size of the frames."""
    train: int = 300
    """Training frames."""
    val: int = 60
    """Validation frames, of other drives."""
    seed: int = 0
    """Which streets."""
    train_flags: str = ""
    """Train depthwise_aaff with these flags too, written --train-flags="--epochs 20 --batch 8"; empty: do not train."""
    data: Path | None = None
    """Where to keep the data set; default: a temporary folder."""
    json: Path | None = None
    """Write the numbers here."""


def main(words: Sequence[str] | None = None) -> int:
    """Read the options and measure; returns the exit status."""
    from aaff.cli import exit_status
    from aaff.cli.options import parse

    given = sys.argv[1:] if words is None else words
    return exit_status(lambda: run(parse(Args, given, prog="python -m benchmarks.synthetic_difficulty")))


def run(args: Args) -> int:
    """Measure and print."""
    from aaff.files import write_json

    found = measure_difficulty(
        size=args.size, train=args.train, val=args.val, seed=args.seed, train_flags=args.train_flags, data=args.data
    )
    for name, holds in found["holds"].items():
        print(f"{name}: {'holds' if holds else 'does not hold'}")
    for key in ("position_prior", "linear_classifier", "class_presence", "bits_between_splits", "drawing", "network"):
        if key in found:
            print(key, found[key])
    if args.json is not None:
        write_json(args.json, found)
        print(f"written: {args.json}")
    return 0 if all(found["holds"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
