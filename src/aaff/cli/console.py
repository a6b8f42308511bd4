"""Tables and progress in the terminal; tables written to a file or pipe are never truncated."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from aaff.card import ModelCard
from aaff.published import default_name

SECONDS_BETWEEN_LINES = 5.0
"""Seconds between progress lines when output is not a terminal."""

_PIPE_WIDTH = 200
_NAME_WIDTH = 16


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would exit with status 1, which means "problems found" here


def console(*, stderr: bool = False) -> Console:
    """A rich console; without a terminal it is wide enough that nothing is truncated."""
    stream = sys.stderr if stderr else sys.stdout
    return _Console(stderr=stderr, width=None if stream is not None and stream.isatty() else _PIPE_WIDTH)


@contextlib.contextmanager
def progress(what: str) -> Iterator[Callable[[int, int | None, str], None]]:
    """Show progress on standard error: a bar on a terminal, otherwise a line every few seconds.

    Yields:
        A function to call with the steps done, the total (None if unknown) and a text to show; an empty text shows
        the step count.
    """
    screen = console(stderr=True)
    if not screen.is_terminal:
        yield _Lines(what)
        return
    columns = TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[said]}")
    with Progress(*columns, TimeRemainingColumn(), console=screen, transient=True) as bar:
        task = bar.add_task(what, total=None, said="")
        yield lambda done, total, said: bar.update(task, completed=done, total=total, said=said)


class _Lines:
    """Progress lines for output that is not a terminal."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._next = time.monotonic() + SECONDS_BETWEEN_LINES

    def __call__(self, done: int, total: int | None, said: str) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + SECONDS_BETWEEN_LINES
            counted = f"{done} of {total}" if total else str(done)
            print(f"{self._what}: {said or counted}", file=sys.stderr, flush=True)


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str = "",
    text_columns: int = 1,
    total: Sequence[object] | None = None,
) -> None:
    """Print a table with left-aligned text columns first, then right-aligned number columns.

    Args:
        columns: headings.
        rows: one value per column; integers get thousands separators.
        title: a line above the table.
        text_columns: number of leading text columns.
        total: a last row, separated by a rule.
    """
    table = Table(title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.collapse_padding = True
    lines = [[_cell(value) for value in row] for row in rows]
    for index, name in enumerate(columns):
        if index >= text_columns:
            table.add_column(name, justify="right", overflow="fold")
            continue
        # On a narrow terminal, wrap headings and sentences rather than names.
        longest = max((line[index].cell_len for line in lines), default=0)
        table.add_column(name, overflow="fold", no_wrap=longest <= _NAME_WIDTH)
    for index, line in enumerate(lines):
        table.add_row(*line, end_section=total is not None and index == len(lines) - 1)
    if total is not None:
        table.add_row(*(_cell(value) for value in total), style="bold")
    console().print(table)


def print_default_model(model: object, card: ModelCard) -> None:
    """Print which bundled model is used, and its licence, when the user named none (``model`` is None)."""
    if model is None:
        print(f"model: {default_name()}, bundled with aaff ({card.network}, {card.protocol}); weights: {card.licence}")


def _cell(value: object) -> Text:
    # Text, not str, so that rich does not read square brackets in a file name as markup.
    return Text(f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value))
