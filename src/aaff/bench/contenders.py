"""The rows of a benchmark: one model in one engine and precision, ready to be called."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from aaff.bench.subjects import Subject
from aaff.card import ModelCard
from aaff.errors import MissingExtraError, OptionError, brief, require
from aaff.labels import UInt8Array
from aaff.provenance import usable_cores
from aaff.runtime.model_file import INPUT, LOGITS, NORMALIZED, ModelFile, ending_at

EngineName = Literal["openvino", "onnxruntime", "torch"]
Precision = Literal["fp32", "bf16", "int8", "int8-bf16"]
"""``int8-bf16`` computes the layers that are not quantised in bf16, ``int8`` in fp32."""

_RUNS: dict[str, dict[str, tuple[str, ...]]] = {
    "openvino": {"fp32": ("fp32", "bf16"), "int8": ("int8", "int8-bf16")},
    "onnxruntime": {"fp32": ("fp32",), "int8": ("int8",)},
    "torch": {"": ("fp32", "bf16")},
}
"""Engine → precision of the graph it needs ("" for none) → the precisions in which that can run."""

Infer = Callable[[UInt8Array], object]
Planned = tuple[EngineName, str, str]
"""An engine, the precision of the graph it gets ("" for none), and the precision it computes in."""


@dataclass(frozen=True)
class Contender:
    """One row of the benchmark.

    Attributes:
        subject: the model, without its network and files.
        engine: name of the engine.
        precision: the precision it runs in.
        whole: from a frame RGB uint8 [H, W, 3] to its class map uint8 [H, W].
        alone: the network alone, on a frame that is already normalised; None if it cannot be cut out of the graph.
        streamed: like ``whole``, but for several concurrent callers; None if the engine has no such mode.
        seconds: duration of the first call of ``whole`` and ``alone``.
    """

    subject: Subject
    engine: EngineName
    precision: str
    whole: Infer
    alone: Callable[[], object] | None
    streamed: Infer | None
    seconds: float = 0.0


@dataclass(frozen=True)
class Failure:
    """A row that cannot be measured, and why.

    Attributes:
        subject: the model.
        engine: name of the engine.
        precision: the precision it should run in.
        reason: why it cannot be measured.
    """

    subject: Subject
    engine: EngineName
    precision: str
    reason: str


def plan(engines: Sequence[EngineName] = (), precisions: Sequence[Precision] = ()) -> list[Planned]:
    """Choose the combinations of engine and precision to run.

    Args:
        engines: the requested engines; if empty, all that are installed.
        precisions: the requested precisions; if empty, all.

    Raises:
        OptionError: none of the engines runs in any of the precisions.
    """
    chosen: Sequence[EngineName] = engines or [name for name in get_args(EngineName) if importlib.util.find_spec(name)]
    rows: list[Planned] = [
        (engine, graph, precision)
        for engine in dict.fromkeys(chosen)
        for graph, runs in _RUNS[engine].items()
        for precision in runs
        if not precisions or precision in precisions
    ]
    if not rows:
        can = "; ".join(
            f"{engine} runs in {', '.join(p for r in _RUNS[engine].values() for p in r)}" for engine in chosen
        )
        raise OptionError(f"nothing runs in {' or '.join(precisions)} here: {can}")
    return rows


def graphs_needed(rows: Sequence[Planned]) -> list[str]:
    """Precisions of the graphs that a plan needs."""
    return [graph for graph in ("fp32", "int8") if any(row[1] == graph for row in rows)]


def contenders(
    subject: Subject,
    rows: Sequence[Planned],
    frame: UInt8Array,
    threads: int | None,
    *,
    throughput: bool = True,
) -> Iterator[Contender | Failure]:
    """Prepare the rows of a plan for which a model has a graph, and call each once.

    Args:
        subject: the model.
        rows: see ``plan``.
        frame: RGB uint8 [H, W, 3] at the model's size, for the network alone.
        threads: CPU threads; default: all cores.
        throughput: also prepare for several concurrent callers.

    Yields:
        A ``Contender`` for each row, or a ``Failure`` with the reason.

    Raises:
        MissingExtraError: an engine is not installed.
    """
    from aaff.runtime.openvino_core import has_bf16

    planar = planar_input(frame, subject.card)
    for engine, graph, precision in rows:
        if (engine == "torch" and subject.net is None) or (precision.endswith("bf16") and not has_bf16()):
            continue
        if graph in subject.failures:
            yield Failure(subject, engine, precision, subject.failures[graph])
            continue
        if graph and graph not in subject.files:
            continue
        try:
            yield _contender(subject, engine, graph, precision, frame, planar, threads, throughput)
        except MissingExtraError:
            raise
        except Exception as error:  # engines raise errors of any type, and the other rows are still measured
            yield Failure(subject, engine, precision, f"does not run: {brief(error) or type(error).__name__}")


def _contender(
    subject: Subject,
    engine: EngineName,
    graph: str,
    precision: str,
    frame: UInt8Array,
    planar: npt.NDArray[np.float32],
    threads: int | None,
    throughput: bool,
) -> Contender:
    alone: Callable[[], object] | None
    streamed: Infer | None = None
    if engine == "torch":
        whole, alone = _torch(subject, precision, planar, threads)
    elif engine == "openvino":
        whole, alone = _openvino(subject.files[graph], precision, planar, threads)
        if throughput:
            streamed = _openvino_streams(subject.files[graph], precision, threads)
    else:
        whole, alone = _onnxruntime(subject.files[graph], precision, planar, threads)
    began = time.perf_counter()
    whole(frame)
    if alone is not None:
        alone()
    # Engines have their own copy of the weights; a row that also kept its subject's would hold them twice.
    row = replace(subject, net=None, files={})
    return Contender(row, engine, precision, whole, alone, streamed, time.perf_counter() - began)


def planar_input(frame: UInt8Array, card: ModelCard) -> npt.NDArray[np.float32]:
    """A frame as the network takes it, float32 [1, 3, H, W]."""
    mean, std = (np.array(values, np.float32) for values in (card.normalization.mean, card.normalization.std))
    return np.ascontiguousarray(((frame - mean) / std).transpose(2, 0, 1)[None], np.float32)


def _openvino(
    model: ModelFile, precision: str, planar: npt.NDArray[np.float32], threads: int | None
) -> tuple[Infer, Callable[[], object] | None]:
    from aaff.runtime.openvino_engine import OpenVinoEngine, network_alone

    engine = OpenVinoEngine(model, precision=precision, threads=threads, confidence=False)
    alone = None
    if model.stride is not None:
        network = network_alone(model, precision=precision, threads=threads)
        alone = lambda: network(planar)  # noqa: E731
    return lambda frame: engine.infer(frame[None]), alone


def _openvino_streams(model: ModelFile, precision: str, threads: int | None) -> Infer:
    from aaff.runtime.openvino_engine import OpenVinoEngine

    streams = threads or usable_cores()
    engine = OpenVinoEngine(model, precision=precision, threads=threads, streams=streams, confidence=False)
    return lambda frame: engine.infer(frame[None])


def _onnxruntime(
    model: ModelFile, precision: str, planar: npt.NDArray[np.float32], threads: int | None
) -> tuple[Infer, Callable[[], object] | None]:
    require("onnxruntime", "onnxruntime")
    from aaff.runtime.onnxruntime_engine import OnnxRuntimeEngine

    engine = OnnxRuntimeEngine(model, precision=precision, threads=threads, confidence=False)
    alone = None
    if model.stride is not None and importlib.util.find_spec("onnx"):
        import onnx
        import onnxruntime

        whole = onnx.load_from_string(ending_at(model, LOGITS))
        # The frames remain an input, since the network's own resizing needs their shape.
        cut = onnx.utils.Extractor(whole).extract_model([INPUT, NORMALIZED], [LOGITS])
        given = {INPUT: np.zeros((1, *planar.shape[2:], 3), np.uint8), NORMALIZED: planar}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or usable_cores()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(cut.SerializeToString(), options, providers=["CPUExecutionProvider"])
        alone = lambda: session.run(None, given)  # noqa: E731
    return lambda frame: engine.infer(frame[None]), alone


def _torch(
    subject: Subject, precision: str, planar: npt.NDArray[np.float32], threads: int | None
) -> tuple[Infer, Callable[[], object]]:
    import torch

    from aaff.networks.engine import TorchEngine

    assert subject.net is not None
    torch.set_num_threads(threads or usable_cores())
    engine = TorchEngine(subject.net, subject.card, precision=precision, confidence=False)
    batch = torch.from_numpy(planar)

    def alone() -> Any:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            return engine.net.logits(batch)

    return lambda frame: engine.infer(frame[None]), alone
