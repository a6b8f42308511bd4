"""How the benchmarks run as ``python -m benchmarks.NAME``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

Args = TypeVar("Args")


def start(module: str, options: type[Args], run: Callable[[Args], int], words: Sequence[str] | None = None) -> int:
    """Read the options and measure.

    Args:
        module: name of the benchmark, for its help.
        options: dataclass of its options.
        run: measures; returns the exit status.
        words: the command line; default: that of the process.

    Returns:
        The exit status, as that of ``aaff``: errors of the user are one sentence and 2.
    """
    from aaff.cli import exit_status
    from aaff.cli.options import parse

    given = sys.argv[1:] if words is None else words
    return exit_status(lambda: run(parse(options, given, prog=f"python -m {module}")))
