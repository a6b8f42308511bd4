"""``aaff data init``: a ``dataset.yaml`` for a folder of images and masks."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    from aaff.data.initialize import Proposal, Survey


@dataclass
class Args:
    """Describe a folder of images and masks, so that aaff trains on it.

    Finds which mask belongs to which image, reads the ids or colours of all masks, divides the frames by sequence where
    their names show sequences, and writes dataset.yaml and lists/SPLIT.txt into the folder. Without a terminal, or with
    --names, it asks nothing. Edit dataset.yaml afterwards as you like.

    Status 0: written, 2: could not run.
    """

    data: tyro.conf.Positional[Path]
    """Folder with images and masks, such as images/NAME.jpg and masks/NAME.png, or NAME.jpg and NAME_mask.png."""
    names: tuple[str, ...] = ()
    """Names of the classes in the order of their ids or colours; default: asked for, or guessed without a terminal."""
    name: str = ""
    """Name of the data set; default: the folder's."""
    ignore: tuple[int, ...] | None = None
    """Ids that never count; default: 255 if there are at least two other ids."""
    val: float = 0.2
    """Share of the frames for validation, where no folder is called train or val."""
    licence: str = ""
    """Licence of the data, such as 'CC BY 4.0'; weights trained on it carry it."""
    overwrite: bool = False
    """Replace a dataset.yaml that is there."""


def run(args: Args) -> int:
    """Print what was found and write the files; status 0."""
    from aaff.cli.data_tables import reading
    from aaff.data.initialize import propose, survey, write
    from aaff.data.layouts.described import FILE
    from aaff.errors import OptionError

    if (args.data / FILE).exists() and not args.overwrite:
        raise OptionError(f"{args.data / FILE} exists; --overwrite replaces it")
    with reading("reading masks") as progress:
        seen = survey(args.data, progress)
    proposal = propose(seen, name=args.name, names=args.names, ignore=args.ignore, val=args.val, licence=args.licence)
    _print(seen, proposal)
    if not args.names and sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty():
        _ask(proposal)
    for file in write(seen, proposal):
        print(f"written: {file}")
    print(f"next: aaff data check {shlex.quote(str(args.data))}")
    return 0


def _print(seen: Survey, proposal: Proposal) -> None:
    from aaff.cli.console import print_table

    print(f"{len(seen.found.pairs)} images with masks, {len(seen.found.alone)} files without a partner")
    total = sum(seen.pixels.values())
    print_table(
        ("value", "class", "pixels", "images"),
        [
            (str(value), proposal.names.get(value, "ignored"), f"{count / total:.2%}", seen.frames[value])
            for value, count in seen.pixels.items()
        ],
        title=f"Values of the masks ({seen.encoding})",
        text_columns=2,
    )
    counts = ", ".join(f"{len(members)} {split}" for split, members in proposal.splits.items())
    print(f"splits: {counts} ({proposal.how})")


def _ask(proposal: Proposal) -> None:
    """Let the user name every class; an empty answer keeps the proposed name."""
    print("name the classes; Enter keeps what stands in brackets")
    for value, guessed in proposal.names.items():
        proposal.names[value] = input(f"{value} [{guessed}]: ").strip() or guessed
