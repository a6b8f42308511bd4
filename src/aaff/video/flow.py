"""Threads that work ahead of each other, joined by short queues: how decoding, network and encoding overlap.

A step is an iterable that takes from the step before it.  ``Flow.ahead`` runs one in a thread of its
own and gives the channel from which the next step takes:

    with Flow() as flow:
        frames = flow.ahead(decode(path))
        maps = flow.ahead(map(segment, frames))
        for result in maps:
            ...

Nobody can wait for ever: a step that ends or fails says so to the one after it, which first gets what was
already done; leaving the block wakes every step that waits for room or for work, and ends it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

from aaff.errors import OptionError

T = TypeVar("T")

_PATIENCE = 5.0
"""Seconds that leaving a flow waits for each step; one that hangs in a device is left behind."""


class Closed(Exception):  # noqa: N818 - a signal between threads, nothing that went wrong
    """Nobody takes from this channel any more."""


class Channel(Generic[T]):
    """A queue of at most ``size`` items from one thread to another.

    Args:
        size: items that may wait.
        newest: never make the giver wait, but drop the oldest item and count it in ``dropped``.
    """

    def __init__(self, size: int = 2, *, newest: bool = False) -> None:
        if size < 1:
            raise OptionError(f"a channel of {size} items passes nothing on; give 1 or more")
        self.size = size
        self.newest = newest
        self.dropped = 0
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._closed = False
        self._error: BaseException | None = None

    def put(self, item: T) -> None:
        """Hand an item over; waits while the channel is full.

        Raises:
            Closed: the taker has gone.
        """
        with self._changed:
            if self.newest:
                while len(self._items) >= self.size:
                    self._items.popleft()
                    self.dropped += 1
            else:
                self._changed.wait_for(lambda: self._closed or len(self._items) < self.size)
            if self._closed:
                raise Closed
            self._items.append(item)
            self._changed.notify_all()

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more will come.  The taker still gets what waits, and then the error, if there is one."""
        with self._changed:
            self._ended = True
            self._error = error
            self._changed.notify_all()

    def close(self) -> None:
        """Take no more: what waits is dropped, and both sides are woken."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._ended or self._closed)
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            error, self._error = self._error, None
        if error is not None:
            raise error
        raise StopIteration


class Flow:
    """Steps that run in threads until the block is left."""

    def __init__(self) -> None:
        self._steps: list[tuple[Channel[object], threading.Thread]] = []

    def ahead(self, items: Iterable[T], size: int = 2, *, newest: bool = False) -> Channel[T]:
        """Run an iterable in a thread of its own.

        Args:
            items: the step; it is started, used up and closed in that thread.
            size: how many items it may be ahead.
            newest: the step is never held up; items that nobody took in time are dropped and counted.
        """
        channel: Channel[T] = Channel(size, newest=newest)
        # A daemon: a camera that never responds must not keep the process from ending.
        thread = threading.Thread(target=_fill, args=(items, channel), daemon=True, name="aaff-video")
        self._steps.append((channel, thread))  # type: ignore[arg-type]
        thread.start()
        return channel

    def close(self) -> None:
        """Stop all steps and wait until they have ended."""
        for channel, _ in self._steps:
            channel.close()
        for _, thread in self._steps:
            if thread is not threading.current_thread():
                thread.join(_PATIENCE)
        self._steps.clear()

    def __enter__(self) -> Flow:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _fill(items: Iterable[T], channel: Channel[T]) -> None:
    """What a step's thread does."""
    failure: BaseException | None = None
    iterator: Iterator[T] | None = None
    try:
        iterator = iter(items)
        for item in iterator:
            channel.put(item)
    except Closed:
        pass
    except BaseException as error:  # whatever it is, it belongs to the taker
        failure = error
    try:
        # A generator lets go of its file or camera here, in the thread that used it.
        if close := getattr(iterator, "close", None):
            close()
    except BaseException as error:
        failure = failure or error
    channel.end(failure)
