"""The default engine: OpenVINO on the CPU, with an explicit precision.

OpenVINO switches to bf16 by itself on CPUs that support it, so the precision is set at every compilation.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino

from aaff.card import ModelCard
from aaff.errors import ModelError, OptionError
from aaff.labels import UInt8Array
from aaff.provenance import usable_cores
from aaff.runtime.compiled_cache import key_of, load_compiled, store_compiled
from aaff.runtime.deployed import Graph, Maps, check_frames, choose_precision, stack
from aaff.runtime.model_file import CONFIDENCE, LOGITS, NATIVE_CONFIDENCE, NORMALIZED, ModelFile, ending_at
from aaff.runtime.openvino_core import DEVICE, core, has_bf16

PRECISIONS = {"fp32": {"fp32": "f32", "bf16": "bf16"}, "int8": {"int8": "f32", "int8-bf16": "bf16"}}
"""For fp32 and int8 files: each precision they run in → OpenVINO's name of the data type of unquantised layers.
``int8`` computes these in float32, ``int8-bf16`` in bf16."""


_SECOND = {CONFIDENCE, NATIVE_CONFIDENCE}
"""Names of the second output."""

_MOST_STREAMS = 8
"""Maximum number of frames of a batch computed in parallel; ``Segmenter.batch`` passes no more at once."""


class OpenVinoEngine:
    """A deployed model behind the ``aaff.runtime.engine.Engine`` protocol.

    A single frame uses all threads, for the lowest latency.  The frames of a batch are computed in parallel, each with
    its share of the threads, for the highest throughput; the first batch compiles the model for this mode.

    Thread-safe: every frame has its own inference request, and the requests share the weights.

    Args:
        model: a file read by ``aaff.runtime.model_file.read_model_file``.
        precision: a key of ``PRECISIONS`` for this file; default: the file's own.
        threads: CPU threads; default: all cores.
        streams: number of frames, from several callers, computed in parallel, each with its share of the threads.
        confidence: also return the probability of the predicted class, if the file was exported with it; takes longer.

    Raises:
        OptionError: the file does not run in this precision, or the CPU has no bf16.
        ModelError: OpenVINO cannot run the graph.
    """

    name = "openvino"

    def __init__(
        self,
        model: ModelFile,
        *,
        precision: str | None = None,
        threads: int | None = None,
        streams: int = 1,
        confidence: bool = True,
    ) -> None:
        self.card: ModelCard = model.card
        self.precision = choose_precision(model, precision, PRECISIONS)
        self.confidence = confidence and model.confidence
        self._graph = Graph.of(model, confidence=confidence)
        self._threads, self._streams = threads or usable_cores(), streams
        self._alone = self._compile(streams)
        self._several: _Requests | None = None
        self._compiling = threading.Lock()

    def infer(self, frames: UInt8Array) -> tuple[UInt8Array, UInt8Array | None]:
        """Class maps uint8 [N, H, W] of frames RGB uint8 [N, H, W, 3] at ``card.size``, and their confidence.

        Raises:
            DataError: the frames have the wrong type or size.
        """
        check_frames(frames, self.card.size)
        streams = min(self._threads, _MOST_STREAMS)
        if streams == 1 or len(frames) < streams:  # with fewer frames, some threads would be idle
            return stack([self._maps(self._alone, frame) for frame in frames], self.card.size)
        several = self._side_by_side(streams)
        return stack(list(self._overlapping(several, frames, streams)), self.card.size)

    def _maps(self, requests: _Requests, frame: UInt8Array) -> Maps:
        request = requests.take()
        request.get_input_tensor().data[0] = frame
        request.infer()
        return self._finished(requests, request)

    def _overlapping(self, requests: _Requests, frames: UInt8Array, streams: int) -> Iterator[Maps]:
        """The maps of a batch; one more frame than streams is in flight, so that no stream waits for a map."""
        running: deque[Any] = deque()
        for frame in frames:
            request = requests.take()
            request.get_input_tensor().data[0] = frame
            request.start_async()
            running.append(request)
            if len(running) > streams:
                yield self._waited(requests, running.popleft())
        while running:
            yield self._waited(requests, running.popleft())

    def _waited(self, requests: _Requests, request: Any) -> Maps:
        request.wait()
        return self._finished(requests, request)

    def _finished(self, requests: _Requests, request: Any) -> Maps:
        maps = self._graph.maps([request.get_output_tensor(i).data for i in requests.order], confidence=self.confidence)
        requests.give_back(request)  # not after an error: its state is then unknown
        return maps

    def _side_by_side(self, streams: int) -> _Requests:
        with self._compiling:
            if self._several is None:
                self._several = self._alone if self._streams >= streams else self._compile(streams)
            return self._several

    def _compile(self, streams: int) -> _Requests:
        config = _config(PRECISIONS[self._graph.model.precision][self.precision], self._threads, streams)
        return _Requests(_compile(self._graph, config))


class _Requests:
    """A pool of inference requests of a compiled model, created as needed, one per concurrent caller.

    Attributes:
        compiled: OpenVINO's compiled model.
        order: indices of the outputs, class map first.
    """

    def __init__(self, compiled: Any) -> None:
        self.compiled = compiled
        outputs = compiled.outputs
        self.order = sorted(range(len(outputs)), key=lambda i: bool(outputs[i].get_names() & _SECOND))
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def take(self) -> Any:
        """A request that no other thread uses."""
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return self.compiled.create_infer_request()

    def give_back(self, request: Any) -> None:
        self._idle.put(request)


def network_alone(
    model: ModelFile, *, precision: str | None = None, threads: int | None = None
) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    """The network alone, from float planar input to native logits, for measuring the overhead of the other steps.

    Returns:
        A callable from normalised frames float32 [1, 3, H, W] to native logits float32 [1, C, h, w], which are valid
        until its next call; not thread-safe.

    Raises:
        ModelError: the file is from elsewhere and does not name these tensors.
        OptionError: as ``OpenVinoEngine``.
    """
    if model.stride is None:
        raise ModelError(f"{model.path} does not name its inner input and logits, so its network cannot run alone")
    whole = core().read_model(ending_at(model, LOGITS))
    size = model.card.size
    whole.reshape([1, size.height, size.width, 3])
    inside = next(out for op in whole.get_ops() for out in op.outputs() if NORMALIZED in out.get_names())
    planar = openvino.op.Parameter(openvino.Type.f32, openvino.PartialShape([1, 3, size.height, size.width]))
    for target in inside.get_target_inputs():
        target.replace_source_output(planar.output(0))
    chosen = choose_precision(model, precision, PRECISIONS)
    # The frames stay an input, since the network's own resizing asks for their shape; it is a constant once compiled.
    alone = openvino.Model(whole.get_results(), [planar, *whole.get_parameters()], "network alone")
    config = _config(PRECISIONS[model.precision][chosen], threads or usable_cores(), 1)
    compiled = core().compile_model(alone, DEVICE, config)
    request = compiled.create_infer_request()

    def run(batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        request.get_input_tensor(0).data[:] = batch
        request.infer()
        logits: npt.NDArray[np.float32] = request.get_output_tensor(0).data
        return logits

    return run


def _config(kind: str, threads: int, streams: int) -> dict[str, Any]:
    if kind == "bf16" and not has_bf16():
        raise OptionError("this CPU has no bf16 instructions; omit --precision or give the file's own")
    return {
        "INFERENCE_PRECISION_HINT": kind,
        "PERFORMANCE_HINT": "LATENCY" if streams == 1 else "THROUGHPUT",
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": threads,
    }


def _compile(graph: Graph, config: dict[str, Any]) -> Any:
    """The compiled model, from the cache if it was compiled before."""
    data = graph.data
    cpu = [core().get_property(DEVICE, name) for name in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]
    size = graph.model.card.size
    key = key_of(hashlib.sha256(data).hexdigest(), str(size), openvino.get_version(), *cpu, sorted(config.items()))
    kept = load_compiled(key)
    if kept is not None:
        try:
            return core().import_model(kept, DEVICE, config)
        except RuntimeError:
            pass  # written by another build of the same version, for instance; compile it again
    try:
        network = core().read_model(data)
        network.reshape([1, size.height, size.width, 3])  # static shapes are faster than dynamic ones
        compiled = core().compile_model(network, DEVICE, config)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ModelError(f"OpenVINO cannot run {graph.model.shown}: {reason}") from error
    store_compiled(key, compiled.export_model().getvalue())
    return compiled
