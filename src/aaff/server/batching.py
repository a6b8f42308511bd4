"""Dynamic batching: frames of several clients are combined into batches under load."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from aaff.labels import UInt8Array
from aaff.runtime import Prediction
from aaff.server.problems import Refusal

Predict = Callable[[Sequence[UInt8Array]], list[Prediction]]
_Batch = list[tuple[UInt8Array, "asyncio.Future[Prediction]"]]

_AT_ONCE = 2
"""Maximum number of batches in progress at once."""


class Batcher:
    """Predicts single frames in dynamic batches.

    A frame that arrives while the engine is idle is processed immediately.  Frames that arrive meanwhile are queued,
    and the next batch takes up to ``largest`` of them in order.  It never waits for more frames to enlarge a batch.
    If a full batch is queued, it starts before the current one ends, so that the engine is never idle in between.  A
    frame whose client has disconnected is dropped before it is processed.

    Args:
        predict: returns one prediction per frame; called in threads, at most twice at once.
        largest: maximum batch size.
        waiting: maximum number of queued frames; more are rejected.
        report: called with the size of every batch.
    """

    def __init__(
        self, predict: Predict, *, largest: int = 8, waiting: int = 64, report: Callable[[int], None] = lambda _: None
    ) -> None:
        self._predict, self._largest, self._most, self._report = predict, largest, waiting, report
        self._waiting: deque[tuple[UInt8Array, asyncio.Future[Prediction]]] = deque()
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="aaff-engine")
        self._running: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Number of queued frames."""
        return len(self._waiting)

    async def __call__(self, frame: UInt8Array) -> Prediction:
        """Predict a frame RGB uint8 [H, W, 3].

        Raises:
            Refusal: the queue is full (503).
        """
        if len(self._waiting) >= self._most:
            raise Refusal(503, "the server is busy; try again in a moment", retry=1)
        result: asyncio.Future[Prediction] = asyncio.get_running_loop().create_future()
        self._waiting.append((frame, result))
        self._begin()
        return await result  # cancelling the caller cancels the future, which drops the frame

    async def close(self) -> None:
        """Process the queued frames, then stop."""
        while self._running:
            await asyncio.wait(self._running)
        self._threads.shutdown(wait=False)

    def _begin(self) -> None:
        """Start the next batch, if its turn has come."""
        while not self._running or (len(self._running) < _AT_ONCE and len(self._waiting) >= self._largest):
            batch = self._next()
            if not batch:
                return
            task = asyncio.create_task(self._work(batch))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._begin()

    async def _work(self, batch: _Batch) -> None:
        self._report(len(batch))
        try:
            frames = [frame for frame, _ in batch]
            found = await asyncio.get_running_loop().run_in_executor(self._threads, self._predict, frames)
        except BaseException as error:
            for _, result in batch:
                if not result.done():
                    result.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, result), prediction in zip(batch, found, strict=True):
            if not result.done():
                result.set_result(prediction)

    def _next(self) -> _Batch:
        batch: _Batch = []
        while self._waiting and len(batch) < self._largest:
            item = self._waiting.popleft()
            if not item[1].done():
                batch.append(item)
        return batch
