"""``python -m benchmarks.logit_offset``: whether a class is missed only because its logit is too low."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.command import start


@dataclass(kw_only=True)
class Args:
    """Raise the logit of one class by several amounts and score each: checkpoints in fp32, frames at their own size."""

    data: Path
    """Folder of the data set."""
    model: tuple[Path, ...]
    """Checkpoints."""
    split: tuple[str, ...]
    """Split to score, one for each checkpoint; drive-NAME is a drive that the checkpoint has not seen."""
    class_name: str = "pole"
    """The class."""
    offset: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5, 2.0)
    """Added to its logit."""
    json: Path | None = None
    """Write the figures here."""


def run(args: Args) -> int:
    """Print and write the figures; status 0."""
    from aaff.cli.console import print_table
    from aaff.errors import OptionError
    from aaff.files import write_json
    from aaff.provenance import provenance

    if len(args.model) != len(args.split):
        raise OptionError(
            f"{len(args.model)} checkpoints and {len(args.split)} splits; give one --split for each --model"
        )
    rows = [row for model, split in zip(args.model, args.split, strict=True) for row in score(args, model, split)]
    table = [
        (row["split"], f"{row['offset']:+.1f}", f"{100 * row['iou']:.1f}", f"{100 * row['miou']:.1f}") for row in rows
    ]
    print_table(("split", "offset", f"{args.class_name}, IoU %", "mean IoU %"), table)
    if args.json is not None:
        write_json(args.json, {"class": args.class_name, "rows": rows, "provenance": provenance()})
    return 0


def score(args: Args, model: Path, split: str) -> list[dict[str, Any]]:
    """One row for each offset; the logits of a frame are computed once."""
    import torch
    from torch.nn import functional as F

    from aaff.data import open_dataset
    from aaff.data.protocols import DRIVES
    from aaff.errors import UnknownNameError
    from aaff.evaluation import ConfusionMatrix
    from aaff.networks.normalize import normalize
    from aaff.networks.weights import load_checkpoint
    from aaff.provenance import file_hash

    net, card = load_checkpoint(model)
    dataset = open_dataset(args.data, split, protocol=DRIVES if split.startswith("drive-") else None)
    names = dataset.labels.names
    if args.class_name not in names:
        raise UnknownNameError("class", args.class_name, list(names))
    raised = names.index(args.class_name)
    matrices = [ConfusionMatrix(len(names)) for _ in args.offset]
    for index in range(len(dataset)):
        frame, label = dataset.image(index).copy(), dataset.label(index)
        with torch.inference_mode():
            native = net.logits(normalize(torch.from_numpy(frame)[None], card.normalization))
            logits = F.interpolate(native, label.shape, mode="bilinear", align_corners=False)[0]
            own = logits[raised].clone()
            for offset, matrix in zip(args.offset, matrices, strict=True):
                logits[raised] = own + offset
                matrix.update(label, logits.argmax(0).to(torch.uint8).numpy())
    about = {"model": file_hash(model), "split": split, "frames": len(dataset)}
    found = [matrix.metrics() for matrix in matrices]
    return [
        {**about, "offset": offset, **metrics.means(), "iou": metrics.iou[raised]}
        for offset, metrics in zip(args.offset, found, strict=True)
    ]


def main(words: Sequence[str] | None = None) -> int:
    """Read the options and measure; returns the exit status."""
    return start("benchmarks.logit_offset", Args, run, words)


if __name__ == "__main__":
    sys.exit(main())
