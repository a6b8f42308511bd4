"""``aaff data init``: write ``dataset.yaml`` for a folder of images and masks."""

from __future__ import annotations

import shlex
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    from aaff.data.initialize import Proposal, Survey


@dataclass
class Args:
    """Describe a folder of images and masks as a data set, so that aaff can train on it.

    Pairs images with masks, reads the ids or colours of all masks, splits the frames into train and val (by sequence
    if the file names show sequences), and writes dataset.yaml and lists/SPLIT.txt into the folder. Asks for the class
    names unless --names is given or input is not a terminal. You can edit dataset.yaml afterwards.

    Exit status: 0 written, 2 could not run.
    """

    data: tyro.conf.Positional[Path]
    """Folder with images and masks, for example images/NAME.jpg and masks/NAME.png, or NAME.jpg and NAME_mask.png."""
    names: tuple[str, ...] = ()
    """Class names in the order of their ids or colours; default: ask, or guess if input is not a terminal."""
    name: str = ""
    """Name of the data set; default: the name of the folder."""
    ignore: tuple[int, ...] | None = None
    """Label ids to ignore; default: 255 if there are at least two other ids."""
    val: float = 0.2
    """Fraction of the frames for validation, unless folders named train or val define the splits."""
    licence: str = ""
    """Licence of the data, such as 'CC BY 4.0'; recorded in the model card of weights trained on it."""
    overwrite: bool = False
    """Replace an existing dataset.yaml."""


def run(args: Args) -> int:
    """Print what was found and write the files; status 0."""
    from aaff.cli.data_tables import reading
    from aaff.data.initialize import propose, survey, write
    from aaff.data.layouts import find_layout
    from aaff.data.layouts.described import FILE, Described
    from aaff.errors import DataError, OptionError

    if (args.data / FILE).exists() and not args.overwrite:
        raise OptionError(f"{args.data / FILE} exists; --overwrite replaces it")
    with suppress(DataError):
        if (layout := find_layout(args.data).name) != Described.name:
            print(f"note: without {FILE}, aaff reads this folder as layout {layout}; delete the file to go back to it")
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
    """Ask for the name of every class; an empty input keeps the proposed name."""
    print("name the classes; press Enter to keep the name in brackets")
    for value, guessed in proposal.names.items():
        proposal.names[value] = input(f"{value} [{guessed}]: ").strip() or guessed
