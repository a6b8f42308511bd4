"""``aaff data check``: check a data set for errors."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from aaff.cli.console import print_table
from aaff.cli.data_tables import print_classes, print_splits, reading

if TYPE_CHECKING:
    from aaff.data.check import CheckReport, Finding

SHOWN = 5
"""How many findings of a kind the table shows; the JSON report has all."""


@dataclass
class Args:
    """Read a whole data set and report problems: images without a label or labels without an image, unreadable files,
    mismatched sizes, unknown ids or colours, void labels, absent classes, and frames shared by two splits.

    Exit status: 0 no errors (warnings at most), 1 errors found, 2 could not run.
    """

    data: tyro.conf.Positional[Path]
    """Folder of the data set."""
    layout: str | None = None
    """Folder layout: yaml, segnet, kaggle, original or cityscapes; default: detected."""
    protocol: str | None = None
    """Classes and splits to use, such as camvid11, camvid32 or camvid11-drives; default: that of the layout."""
    json: Path | None = None
    """Write all findings, class frequencies and suggested class weights to this JSON file."""


def run(args: Args) -> int:
    """Print the tables; status 1 if there are errors."""
    from aaff.cli.outputs import check_json
    from aaff.data.check import check_dataset
    from aaff.files import write_json

    check_json(args.json)
    with reading("reading") as progress:
        report = check_dataset(args.data, protocol=args.protocol, layout=args.layout, progress=progress)
    print(f"{report.root}: layout {report.layout}, protocol {report.protocol}")
    print_splits(report.splits)
    print_classes(report.splits)
    for (first, second), pair in report.closest.items():
        print(f"most similar frames of {first} and {second}: {pair.distance} of 256 bits apart")
    _print_findings("Findings", report.findings)
    _print_findings("Warnings", report.warnings)
    print(_verdict(report))
    if args.json is not None:
        write_json(args.json, report.to_dict())
        print(f"written: {args.json}")
    return 1 if report.findings else 0


def _print_findings(title: str, findings: tuple[Finding, ...]) -> None:
    rows: list[tuple[str, str, str]] = []
    for kind, group in groupby(findings, key=lambda finding: finding.kind):
        same = list(group)
        rows += [(kind, finding.split, finding.message) for finding in same[:SHOWN]]
        if len(same) > SHOWN:
            rows.append((kind, "", f"and {len(same) - SHOWN} more; --json FILE lists all"))
    if rows:
        print_table(("kind", "split", "what"), rows, title=title, text_columns=3)


def _verdict(report: CheckReport) -> str:
    counts = ", ".join(
        f"{len(items) or 'no'} {name}{'' if len(items) == 1 else 's'}"
        for name, items in (("finding", report.findings), ("warning", report.warnings))
    )
    return f"{counts} in {sum(found.images for found in report.splits.values())} readable frames"
