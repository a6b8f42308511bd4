"""Ctrl-C, termination and hang-up: as an exception that lets a command clean up, or as a question between two steps.

A signal that is ignored stays ignored: ``nohup`` ignores SIGHUP, a script's background job SIGINT.  In a thread other
than the main one, where no signal arrives, nothing changes.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

STOPPING = [signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""What asks a process to stop; Windows has no SIGHUP."""


@contextmanager
def interrupts(numbers: Sequence[int] = STOPPING) -> Iterator[Callable[[], bool]]:
    """Inside the block these signals only make the yielded function return True; a second SIGINT is immediate."""
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if came and number == signal.SIGINT:
            raise KeyboardInterrupt
        came.append(number)

    with _handling(numbers, note):
        yield lambda: bool(came)


@contextmanager
def stopping_raises() -> Iterator[Callable[[], bool]]:
    """Inside the block SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does, so that results are finished or
    removed on the way out.

    Only the first one does, as a closing terminal sends several and none may interrupt the cleaning up; Ctrl-C always
    does.  The yielded function returns whether a signal has come.
    """
    came: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        first = not came
        came.append(number)
        if first or number == signal.SIGINT:
            raise KeyboardInterrupt

    with _handling(STOPPING, stop):
        yield lambda: bool(came)


@contextmanager
def _handling(numbers: Sequence[int], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {n: signal.signal(n, handler) for n in numbers if signal.getsignal(n) is not signal.SIG_IGN}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
