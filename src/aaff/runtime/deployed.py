"""What the engines of deployed models share: which part of the graph they run, and what is done around it."""

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
"""Class map uint8 [H, W] of one frame, and its confidence uint8 [H, W] when the model gives it."""


@dataclass(frozen=True)
class Graph:
    """The graph that an engine runs in place of the whole file, and how its outputs become maps.

    The last steps of the file, resizing the logits and taking the highest, cost nearly half as much as all
    of a network in int8.  So a graph of ours is cut at its native logits and ``Upsampler`` does the
    rest, to the same map.  The whole graph runs where that does not work: at sizes that are not multiples of the
    stride, and in files that come from elsewhere.

    Attributes:
        model: the whole file.
        tensors: those inside that the graph ends in; none for the whole graph.
        upsampler: takes the native logits; None when the graph ends in maps itself.
    """

    model: ModelFile
    tensors: tuple[str, ...]
    upsampler: Upsampler | None

    @classmethod
    def of(cls, model: ModelFile, *, confidence: bool) -> Graph:
        """The cheapest graph that gives what is wanted."""
        wanted = confidence and model.confidence
        size, stride = model.card.size, model.stride
        if stride is None or not fits(size, stride) or (wanted and not model.native_confidence):
            return cls(model, (), None)
        tensors = (LOGITS, NATIVE_CONFIDENCE) if wanted else (LOGITS,)
        return cls(model, tensors, Upsampler(size, stride, model.packing))

    @property
    def data(self) -> bytes:
        """An ONNX file, made when it is asked for: a runtime has a copy of its own, and some are 500 MB."""
        return ending_at(self.model, *self.tensors) if self.tensors else self.model.data

    def maps(self, outputs: Sequence[npt.NDArray[Any]], *, confidence: bool) -> Maps:
        """The maps of one frame, arrays of the caller's own.

        Args:
            outputs: what the graph gave for it, the axis of the batch in front.
            confidence: give the confidence too, where there is one.
        """
        if self.upsampler is not None:
            certain = resize_image(outputs[1][0, 0], self.upsampler.size) if confidence and len(outputs) > 1 else None
            return self.upsampler(outputs[0][0]), certain
        # A copy: the engine writes its next frame to where these lie.
        certain = np.array(outputs[1][0], np.uint8) if confidence and len(outputs) > 1 else None
        return np.array(outputs[0][0], np.uint8), certain


def choose_precision(model: ModelFile, precision: str | None, known: Mapping[str, Mapping[str, str]]) -> str:
    """The precision to run a file in.

    Args:
        precision: what was asked for; None for the file's own.
        known: for files in fp32 and in int8, each precision that the engine runs them in, the usual one first.

    Raises:
        OptionError: it cannot be run so; says what can.
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
        f"{model.shown} is a file in {model.precision} and runs in {' or '.join(choices)}, not in {precision}{hint}"
    )


def check_frames(frames: UInt8Array, size: Size) -> None:
    """Refuse what the graph does not take.

    Raises:
        DataError: not uint8 [N, H, W, 3] at the model's size.
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
