"""A pipeline of threads connected by short queues, so that decoding, inference and encoding overlap.

A step is an iterable that consumes the previous step.  ``Flow.ahead`` runs a step in its own thread and returns the
channel from which the next step reads:

    with Flow() as flow:
        frames = flow.ahead(decode(path))
        maps = flow.ahead(map(segment, frames))
        for result in maps:
            ...

No step can block forever: when a step ends or fails, the next one first receives the finished items and then the end or
the error; leaving the block wakes and stops every step that waits.
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
"""Seconds to wait for each step when leaving a flow; a step that hangs in a device driver is abandoned."""


class Closed(Exception):  # noqa: N818 - a signal between threads, nothing that went wrong
    """The consumer of this channel has stopped."""


class Channel(Generic[T]):
    """A queue of at most ``size`` items from one thread to another.

    Args:
        size: maximum number of queued items.
        newest: if the queue is full, drop the oldest item and count it in ``dropped`` instead of blocking.
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
        """Put an item into the queue; blocks while it is full.

        Raises:
            Closed: the consumer has stopped.
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
        """Signal the end.  The consumer still receives the queued items, then the error, if there is one."""
        with self._changed:
            self._ended = True
            self._error = error
            self._changed.notify_all()

    def close(self) -> None:
        """Stop consuming: drop the queued items and wake both sides."""
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
    """A pipeline of steps that run in threads until the block is left."""

    def __init__(self) -> None:
        self._steps: list[tuple[Channel[object], threading.Thread]] = []

    def ahead(self, items: Iterable[T], size: int = 2, *, newest: bool = False) -> Channel[T]:
        """Run an iterable in its own thread.

        Args:
            items: the step; it is started, consumed and closed in that thread.
            size: maximum number of items it may be ahead.
            newest: never block the step; items that are not consumed in time are dropped and counted.
        """
        channel: Channel[T] = Channel(size, newest=newest)
        # A daemon thread, so that a camera that never responds cannot keep the process alive.
        thread = threading.Thread(target=_fill, args=(items, channel), daemon=True, name="aaff-video")
        self._steps.append((channel, thread))  # type: ignore[arg-type]
        thread.start()
        return channel

    def close(self) -> None:
        """Stop all steps and wait for them."""
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
    """The thread function of a step."""
    failure: BaseException | None = None
    iterator: Iterator[T] | None = None
    try:
        iterator = iter(items)
        for item in iterator:
            channel.put(item)
    except Closed:
        pass
    except BaseException as error:  # any error is passed on to the consumer
        failure = error
    try:
        # A generator closes its file or camera here, in the thread that used it.
        if close := getattr(iterator, "close", None):
            close()
    except BaseException as error:
        failure = failure or error
    channel.end(failure)
