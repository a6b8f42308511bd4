"""``aaff data stats``: statistics of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from aaff.cli.data_tables import print_classes, print_splits, reading


@dataclass
class Args:
    """Count images, image sizes and pixels per class of every split, and suggest class weights."""

    data: tyro.conf.Positional[Path]
    """Folder of the data set."""
    layout: str | None = None
    """Folder layout: yaml, segnet, kaggle, original or cityscapes; default: detected."""
    protocol: str | None = None
    """Classes and splits to use, such as camvid11, camvid32 or camvid11-drives; default: that of the layout."""
    split: str | None = None
    """Only this split; default: all."""
    json: Path | None = None
    """Also write the numbers to this JSON file."""


def run(args: Args) -> int:
    """Print the tables; status 0."""
    from aaff.cli.outputs import check_json
    from aaff.data.layouts import open_dataset, splits
    from aaff.data.statistics import split_statistics, suggested_weights
    from aaff.files import write_json

    check_json(args.json)
    names = [args.split] if args.split else splits(args.data, args.layout, protocol=args.protocol)
    found = {}
    for name in names:
        dataset = open_dataset(args.data, name, protocol=args.protocol, layout=args.layout)
        with reading(name) as progress:
            found[name] = split_statistics(dataset, progress=progress)
    print(f"{args.data}: layout {dataset.layout}, protocol {dataset.protocol}")
    print_splits(found)
    print_classes(found)
    if args.json is not None:
        source, weights = suggested_weights(found)
        plain = {
            "root": str(args.data),
            "layout": dataset.layout,
            "protocol": dataset.protocol,
            "splits": {name: statistics.to_dict() for name, statistics in found.items()},
            "weights": {"from": source, **weights},
        }
        write_json(args.json, plain)
        print(f"written: {args.json}")
    return 0
