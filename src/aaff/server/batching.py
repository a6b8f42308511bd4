"""Frames of several clients become batches when they pile up, and one engine does them one batch after the other."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from aaff.labels import UInt8Array
from aaff.runtime import Prediction
from aaff.server.problems import Refusal

Predict = Callable[[Sequence[UInt8Array]], list[Prediction]]


class Batcher:
    """Predictions of single frames, made in batches.

    A frame that comes while the engine is idle is done at once; frames that come meanwhile wait, and the next batch
    takes as many as ``largest`` of them, in their order.  Nothing is waited for to make a batch larger.  A frame whose
    client has left is dropped before it costs anything.

    Args:
        predict: one prediction per frame; runs in a thread of its own.
        largest: frames of a batch.
        waiting: frames that may wait; more are refused.
        report: called with the size of every batch.
    """

    def __init__(
        self, predict: Predict, *, largest: int = 8, waiting: int = 64, report: Callable[[int], None] = lambda _: None
    ) -> None:
        self._predict, self._largest, self._most, self._report = predict, largest, waiting, report
        self._waiting: deque[tuple[UInt8Array, asyncio.Future[Prediction]]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="aaff-engine")
        self._worker: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Frames that wait."""
        return len(self._waiting)

    async def __call__(self, frame: UInt8Array) -> Prediction:
        """The prediction of a frame RGB uint8 [H, W, 3].

        Raises:
            Refusal: too many frames wait already (503).
        """
        if len(self._waiting) >= self._most:
            raise Refusal(503, "the server is busy; try again in a moment", retry=1)
        result: asyncio.Future[Prediction] = asyncio.get_running_loop().create_future()
        self._waiting.append((frame, result))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await result  # a caller who is cancelled cancels the future, which drops the frame

    async def close(self) -> None:
        """Finish what waits, and end."""
        if self._worker is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker
        self._thread.shutdown(wait=False)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while batch := self._next():
            self._report(len(batch))
            try:
                found = await loop.run_in_executor(self._thread, self._predict, [frame for frame, _ in batch])
            except BaseException as error:
                for _, result in batch:
                    if not result.done():
                        result.set_exception(error)
                if not isinstance(error, Exception):
                    raise
                continue
            for (_, result), prediction in zip(batch, found, strict=True):
                if not result.done():
                    result.set_result(prediction)

    def _next(self) -> list[tuple[UInt8Array, asyncio.Future[Prediction]]]:
        batch: list[tuple[UInt8Array, asyncio.Future[Prediction]]] = []
        while self._waiting and len(batch) < self._largest:
            item = self._waiting.popleft()
            if not item[1].done():
                batch.append(item)
        return batch
