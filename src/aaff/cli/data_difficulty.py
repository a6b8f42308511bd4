"""``aaff data difficulty``: measure that the drawn street scenes are learnable but not trivial."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aaff.preprocess import Size


@dataclass
class Args:
    """Measure how hard the drawn street scenes are: position prior, linear classifier, class presence, a network.

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
    """Where to keep the data set; a temporary folder if left out."""
    json: Path | None = None
    """Write the numbers here."""


def run(args: Args) -> int:
    """Measure and print."""
    from aaff.files import write_json
    from aaff.report.scenes import measure

    found = measure(
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
