"""Handle Ctrl-C, SIGTERM and SIGHUP: as an exception that lets a command clean up, or as a flag to poll.

Ignored signals stay ignored: ``nohup`` ignores SIGHUP, and background jobs of a script ignore SIGINT.  Threads other
than the main one receive no signals, so nothing changes there.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

STOPPING = [signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Signals that ask a process to stop; Windows has no SIGHUP."""


@contextmanager
def interrupts(numbers: Sequence[int] = STOPPING) -> Iterator[Callable[[], bool]]:
    """During the block, these signals only make the yielded function return True; a second SIGINT interrupts."""
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if came and number == signal.SIGINT:
            raise KeyboardInterrupt
        came.append(number)

    with _handling(numbers, note):
        yield lambda: bool(came)


@contextmanager
def stopping_raises() -> Iterator[Callable[[], bool]]:
    """During the block, SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does, so that results are finished or
    removed before the process ends.

    Only the first of them raises, since a closing terminal sends several, which must not interrupt the clean-up; Ctrl-C
    always does.  The yielded function returns whether a signal has arrived.
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
