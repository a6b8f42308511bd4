"""State shared by the routes of a server: models, threads and metrics."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from aaff.errors import AaffError, UnknownNameError
from aaff.labels import UInt8Array
from aaff.runtime import Prediction, Segmenter
from aaff.server.batching import Batcher
from aaff.server.metrics import SIZES, Metrics
from aaff.server.problems import Refusal
from aaff.server.settings import Limits, Settings

T = TypeVar("T")

Loader = Callable[[], Segmenter]
LOG = logging.getLogger("aaff.server")


@dataclass(frozen=True)
class Model:
    """A loaded model and its queue."""

    name: str
    segmenter: Segmenter
    batcher: Batcher

    def describe(self) -> dict[str, Any]:
        """Public details of the model, JSON-ready."""
        card = self.segmenter.card
        return {
            "network": card.network,
            "engine": self.segmenter.engine.name,
            "precision": self.segmenter.engine.precision,
            "width": card.size.width,
            "height": card.size.height,
            "licence": card.licence,
            "score": card.score,
            "labels": card.labels.to_dict(),
        }


class Models:
    """The models of a server by name; the first is the default.  Each is loaded on first use.

    Args:
        loaders: name → function that loads the model; called in a thread, one at a time.
        limits: sizes of batches and queues.
        metrics: counts batches and frames.
    """

    def __init__(self, loaders: Mapping[str, Loader], limits: Limits, metrics: Metrics) -> None:
        self._loaders, self._limits, self._metrics = dict(loaders), limits, metrics
        self.names = list(self._loaders)
        self.default = self.names[0]
        self.loaded: dict[str, Model] = {}
        self._locks = {name: asyncio.Lock() for name in self.names}
        metrics.gauge("aaff_queue_frames", lambda: {(("model", m.name),): len(m.batcher) for m in self.loaded.values()})

    async def get(self, name: str | None = None) -> Model:
        """Return a model, loading it if necessary.

        Raises:
            UnknownNameError: there is no such model.
            Refusal: it cannot be loaded (503); the log says why.
        """
        name = name or self.default
        if name not in self._loaders:
            raise UnknownNameError("model", name, self.names)
        async with self._locks[name]:
            if name not in self.loaded:
                try:
                    segmenter = await asyncio.to_thread(self._loaders[name])
                except AaffError as error:
                    LOG.error("model %s: %s", name, error)
                    raise Refusal(503, f"the model {name} cannot be loaded; see the log of the server") from error
                self.loaded[name] = Model(name, segmenter, self._batcher(name, segmenter))
        return self.loaded[name]

    def _batcher(self, name: str, segmenter: Segmenter) -> Batcher:
        def report(frames: int) -> None:
            self._metrics.observe("aaff_batch_frames", frames, SIZES, model=name)
            self._metrics.count("aaff_frames_total", frames, model=name)

        return Batcher(segmenter.batch, largest=self._limits.batch, waiting=self._limits.requests, report=report)

    async def close(self) -> None:
        """Process the queued frames of all models, then stop."""
        for model in self.loaded.values():
            await model.batcher.close()


class Context:
    """The state of one server.

    Attributes:
        settings: address, guards and limits.
        models: see ``Models``.
        metrics: counters and timings.
    """

    def __init__(self, loaders: Mapping[str, Loader], settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.models = Models(loaders, settings.limits, self.metrics)
        self._threads = ThreadPoolExecutor(max(2, os.cpu_count() or 2), thread_name_prefix="aaff-images")
        self._decoded = asyncio.Semaphore(settings.limits.decoded)
        self._requests = 0
        self.metrics.gauge("aaff_requests_in_work", lambda: self._requests)

    @property
    def limits(self) -> Limits:
        """The limits of the server."""
        return self.settings.limits

    def admit(self) -> _Admission:
        """Count a request while it is in progress.

        Raises:
            Refusal: too many requests are in progress (503).
        """
        return _Admission(self)

    async def in_thread(self, function: Callable[..., T], *args: Any) -> T:
        """Run decoding or encoding outside the event loop, in as many threads as there are cores."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    async def predict(
        self, model: Model, decode: Callable[[], UInt8Array], encode: Callable[[Prediction], T]
    ) -> tuple[Prediction, T]:
        """Process the bytes of a frame to the bytes of a response, with a limit on decoded frames in memory."""
        async with self._decoded:
            frame = await self.in_thread(decode)
            prediction = await model.batcher(frame)
            return prediction, await self.in_thread(encode, prediction)

    async def close(self) -> None:
        """Finish the work in progress and stop the threads."""
        await self.models.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Admission:
    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        most = self._context.limits.requests
        if self._context._requests >= most:
            raise Refusal(503, f"the server is busy with {most} requests; try again in a moment", retry=1)
        self._context._requests += 1

    def __exit__(self, *_: object) -> None:
        self._context._requests -= 1
