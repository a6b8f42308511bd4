"""What both video benchmarks share: which model runs, where videos lie, and the file of figures."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from aaff.runtime import Segmenter

ArgsT = TypeVar("ArgsT", bound="ModelArgs")


@dataclass
class ModelArgs:
    """The model and the file of figures."""

    model: Path | None = None
    """A model or the folder of a run; default: the bundled model."""
    engine: str = "auto"
    """What runs the model."""
    precision: str | None = None
    """As in aaff predict."""
    threads: int | None = None
    """CPU threads; default: all cores."""
    json: Path | None = None
    """Write the figures here."""


def command(kind: type[ArgsT], run: Callable[[ArgsT], int], words: Sequence[str] | None, name: str) -> int:
    """Read the options (default: those of the process) and run; returns the exit status."""
    from aaff.cli import exit_status
    from aaff.cli.options import parse

    given = sys.argv[1:] if words is None else words
    return exit_status(lambda: run(parse(kind, given, prog=f"python -m benchmarks.{name}")))


def load_model(args: ModelArgs) -> tuple[Segmenter, dict[str, Any]]:
    """The model as ``aaff predict`` runs it on videos, and what a results file says about it."""
    from aaff.loading import find_model, load_engine
    from aaff.provenance import file_hash
    from aaff.runtime import Segmenter

    file = find_model(args.model)
    loaded = load_engine(file, engine=args.engine, precision=args.precision, threads=args.threads, confidence=False)
    card = loaded.card
    return Segmenter(loaded), {
        "model": card.network,
        "model_hash": file_hash(file),
        "model_size": str(card.size),
        "engine": loaded.name,
        "precision": loaded.precision,
        "threads": args.threads,
    }


@contextlib.contextmanager
def working_folder(out: Path | None) -> Iterator[Path]:
    """The folder for the videos: ``out``, or a temporary one."""
    if out is not None:
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="aaff-video-") as folder:
        yield Path(folder)


def keep(path: Path | None, result: dict[str, Any]) -> None:
    """Write the figures with where they come from."""
    from aaff.files import write_json
    from aaff.provenance import provenance

    if path is not None:
        write_json(path, {**result, "provenance": provenance()})
        print(f"written: {path}")
