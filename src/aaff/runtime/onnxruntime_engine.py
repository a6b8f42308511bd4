"""The second engine: ONNX Runtime on the CPU."""

from __future__ import annotations

import numpy as np
import onnxruntime

from aaff.card import ModelCard
from aaff.errors import ModelError
from aaff.labels import UInt8Array
from aaff.provenance import usable_cores
from aaff.runtime.deployed import Graph, Maps, check_frames, choose_precision, stack
from aaff.runtime.model_file import AXES, ModelFile

onnxruntime.disable_telemetry_events()  # its builds for Windows know no environment variable

PRECISIONS = {"fp32": {"fp32": ""}, "int8": {"int8": ""}}
"""For fp32 and int8 files: the precisions they run in.  Layers that are not quantised are computed in float32."""


class OnnxRuntimeEngine:
    """A deployed model behind the ``aaff.runtime.engine.Engine`` protocol.  Thread-safe.

    Args:
        model: a file read by ``aaff.runtime.model_file.read_model_file``.
        precision: the file's own precision, which is the only choice.
        threads: CPU threads; default: all cores.
        confidence: also return the probability of the predicted class, if the file was exported with it; takes longer.

    Raises:
        OptionError: the file does not run in this precision.
        ModelError: ONNX Runtime cannot run the graph.
    """

    name = "onnxruntime"

    def __init__(
        self,
        model: ModelFile,
        *,
        precision: str | None = None,
        threads: int | None = None,
        confidence: bool = True,
    ) -> None:
        self.card: ModelCard = model.card
        self.precision = choose_precision(model, precision, PRECISIONS)
        self.confidence = confidence and model.confidence
        self._graph = Graph.of(model, confidence=confidence)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or usable_cores()
        if model.any_size:  # ONNX Runtime plans its memory only for known sizes
            for axis, length in zip(AXES[1:], (model.card.size.height, model.card.size.width), strict=True):
                options.add_free_dimension_override_by_name(axis, length)
        options.log_severity_level = 3  # errors only; otherwise it warns about the dead nodes of a cut graph
        try:
            self._session = onnxruntime.InferenceSession(self._graph.data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no common base below Exception
            reason = str(error).strip().splitlines()[0]
            raise ModelError(f"ONNX Runtime cannot run {model.shown}: {reason}") from error
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]

    def infer(self, frames: UInt8Array) -> tuple[UInt8Array, UInt8Array | None]:
        """Class maps uint8 [N, H, W] of frames RGB uint8 [N, H, W, 3] at ``card.size``, and their confidence.

        Raises:
            DataError: the frames have the wrong type or size.
        """
        check_frames(frames, self.card.size)
        return stack([self._one(frame) for frame in frames], self.card.size)

    def _one(self, frame: UInt8Array) -> Maps:
        outputs = self._session.run(self._outputs, {self._input: np.ascontiguousarray(frame[None])})
        return self._graph.maps(outputs, confidence=self.confidence)
