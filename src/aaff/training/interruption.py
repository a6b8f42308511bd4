"""Ctrl-C and termination as a question that the training asks between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager


class Interrupted(Exception):  # noqa: N818  # no error: someone asked for it
    """The training was asked to stop; everything is as after the last step."""


@contextmanager
def interrupts(numbers: Sequence[int] = (signal.SIGINT, signal.SIGTERM)) -> Iterator[Callable[[], bool]]:
    """Inside the block these signals only make the given question true; a second SIGINT is immediate.

    A signal that is ignored stays so: ``nohup`` ignores SIGHUP, a script's background job SIGINT.  In a thread other
    than the main one, where no signal arrives, the answer is always no.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    came: list[int] = []

    def note(number: int, frame: object) -> None:
        if came and number == signal.SIGINT:
            raise KeyboardInterrupt
        came.append(number)

    before = {n: signal.signal(n, note) for n in numbers if signal.getsignal(n) is not signal.SIG_IGN}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
