"""Code shared by the engines of deployed models: which part of the graph they run, and the steps around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aaff.errors import DataError, OptionError
from aaff.labels import UInt8Array
from aaff.preprocess import Size, resize_image
from aaff.runtime.model_file import LOGITS, NATIVE_CONFIDENCE, ModelFile, ending_at
from aaff.runtime.upsample import Upsampler, fits

Maps = tuple[UInt8Array, UInt8Array | None]
"""Class map uint8 [H, W] of one frame, and its confidence uint8 [H, W] if the model outputs it."""


@dataclass(frozen=True)
class Graph:
    """The part of a model's graph that an engine runs, and how its outputs become maps.

    The last steps of the graph, resizing the logits and argmax, cost nearly half as much as an entire int8 network.
    So a graph exported by aaff is cut at its native logits, and ``Upsampler`` computes the same map from them.  The
    whole graph runs if that is not possible: at sizes that are not multiples of the stride, and in files from
    elsewhere.

    Attributes:
        model: the whole file.
        tensors: names of the inner tensors that the graph is cut at; empty for the whole graph.
        upsampler: computes maps from the native logits; None if the graph outputs maps itself.
    """

    model: ModelFile
    tensors: tuple[str, ...]
    upsampler: Upsampler | None

    @classmethod
    def of(cls, model: ModelFile, *, confidence: bool) -> Graph:
        """The cheapest graph that computes the class map and, if wanted, the confidence."""
        wanted = confidence and model.confidence
        size, stride = model.card.size, model.stride
        if stride is None or not fits(size, stride) or (wanted and not model.native_confidence):
            return cls(model, (), None)
        tensors = (LOGITS, NATIVE_CONFIDENCE) if wanted else (LOGITS,)
        return cls(model, tensors, Upsampler(size, stride, model.packing))

    @property
    def data(self) -> bytes:
        """The graph as an ONNX file, made on demand: a runtime keeps its own copy, and some files have 500 MB."""
        return ending_at(self.model, *self.tensors) if self.tensors else self.model.data

    def maps(self, outputs: Sequence[npt.NDArray[Any]], *, confidence: bool) -> Maps:
        """The maps of one frame; the arrays belong to the caller.

        Args:
            outputs: outputs of the graph for the frame, with a batch axis first.
            confidence: also return the confidence, if there is one.
        """
        # Copies, since the engine reuses the memory of its outputs for the next frame.
        certain = np.array(outputs[1][0], np.uint8) if confidence and len(outputs) > 1 else None
        if self.upsampler is None:
            return np.array(outputs[0][0], np.uint8), certain
        return self.upsampler(outputs[0][0]), None if certain is None else resize_image(certain[0], self.upsampler.size)


def choose_precision(model: ModelFile, precision: str | None, known: Mapping[str, Mapping[str, str]]) -> str:
    """The precision to run a file in.

    Args:
        model: the file.
        precision: the requested precision; None for the file's own.
        known: for fp32 and int8 files, the precisions that the engine runs them in, the default one first.

    Raises:
        OptionError: the file does not run in this precision; the message lists the valid ones.
    """
    choices = known[model.precision]
    if precision is None:
        return next(iter(choices))
    if precision in choices:
        return precision
    hint = ""
    if precision in {name for names in known.values() for name in names}:
        other = "int8" if model.precision == "fp32" else "fp32"
        hint = f"; export the checkpoint with: aaff export CHECKPOINT --precision {other}"
    raise OptionError(
        f"{model.shown} is an {model.precision} file and runs in {' or '.join(choices)}, not in {precision}{hint}"
    )


def check_frames(frames: UInt8Array, size: Size) -> None:
    """Check the frames of a batch.

    Raises:
        DataError: they are not uint8 [N, H, W, 3] at the model's size.
    """
    if frames.dtype != np.uint8 or frames.shape[1:] != (size.height, size.width, 3):
        raise DataError(
            f"this model takes frames uint8 [N, {size.height}, {size.width}, 3], "
            f"not {frames.dtype} {list(frames.shape)}; a Segmenter resizes frames of any size"
        )


def stack(maps: Sequence[Maps], size: Size) -> tuple[UInt8Array, UInt8Array | None]:
    """The maps of several frames as arrays [N, H, W]."""
    if len(maps) == 1:
        class_map, confidence = maps[0]
        return class_map[None], None if confidence is None else confidence[None]
    shape = (len(maps), size.height, size.width)
    classes = np.array([class_map for class_map, _ in maps], np.uint8).reshape(shape)
    certain = [confidence for _, confidence in maps if confidence is not None]
    return classes, np.array(certain, np.uint8).reshape(shape) if maps and len(certain) == len(maps) else None
