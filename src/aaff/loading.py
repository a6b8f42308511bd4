"""``aaff.load``: from a path to a model ready to use; the one place that joins torch to the runtime."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from aaff.errors import MissingExtraError, ModelError, OptionError, UnknownNameError, missing_extra
from aaff.labels import UInt8Array
from aaff.preprocess import Size
from aaff.published import find_published, find_shipped, list_published
from aaff.runtime.engine import Engine
from aaff.runtime.prediction import Prediction
from aaff.runtime.segmenter import Segmenter

ENGINES = ("openvino", "onnxruntime", "torch")
"""Engines that can be asked for by name; ``"auto"`` takes openvino for exported files and torch for checkpoints."""

EXPORTED, CHECKPOINT = ".onnx", ".safetensors"
"""How the names of exported files and of checkpoints end."""

_PICKLE = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""First bytes of what ``torch.save`` writes: a zip archive or, in old versions, a bare pickle."""


def load(
    path: str | Path | None = None,
    *,
    engine: str = "auto",
    precision: str | None = None,
    threads: int | None = None,
) -> Segmenter:
    """A model ready to use: ``load(path)(image)`` gives a :class:`aaff.runtime.Prediction`.

    Args:
        path: an exported ``.onnx``, a checkpoint ``.safetensors``, a run folder (its best checkpoint, else its
            last) or the name of published weights, such as ``"depthwise_aaff"``; the shipped model if left out.
        engine: one of :data:`ENGINES`, or ``"auto"``.
        precision: ``"fp32"`` or ``"bf16"``; for an exported file in int8 ``"int8"``, or ``"int8-bf16"`` where
            what is not quantised shall be computed in bf16.  If left out the file's own, fp32 for a checkpoint.
        threads: processor threads (with torch for the whole process); all cores if left out.

    Raises:
        ModelError: there is no such model, or its file is damaged or of another kind.
        OptionError: this model has no such precision, or threads is below 1.
        UnknownNameError: no such engine.
        MissingExtraError: what runs it is not installed; the message is the line that installs it.
    """
    file = find_model(path, precision=precision)
    return Segmenter(load_engine(file, engine=engine, precision=precision, threads=threads), _open_stream)


def _open_stream(segmenter: Segmenter, source: str | Path | int) -> Iterator[Prediction]:
    from aaff.video import stream  # only now: who runs a model on images has no use for it

    return stream(segmenter, source)


def load_engine(
    path: Path,
    *,
    engine: str = "auto",
    precision: str | None = None,
    threads: int | None = None,
    size: Size | None = None,
    confidence: bool = True,
) -> Engine:
    """The engine behind :func:`load`.

    Args:
        path: a file that :func:`find_model` gave.
        engine: as in :func:`load`, as are ``precision`` and ``threads``.
        size: feed frames at this size instead of the model's own.
        confidence: give the probability of every pixel's class too, where the model can.

    Raises:
        AaffError: as :func:`load`.
    """
    if engine not in ("auto", *ENGINES):
        raise UnknownNameError("engine", engine, ("auto", *ENGINES))
    if threads is not None and threads < 1:
        raise OptionError(f"{threads} threads cannot run a model; give 1 or more, or leave it out for all cores")
    exported = path.suffix.lower() == EXPORTED
    name = ("openvino" if exported else "torch") if engine == "auto" else engine
    if exported and name == "torch":
        raise OptionError(f"torch runs checkpoints, and {path} is an exported file; use openvino or onnxruntime")
    if not exported and name != "torch":
        raise OptionError(f"{name} runs exported files; make one of {path} with: aaff export {path}")
    try:
        if exported:
            return _deployed(path, name, precision, threads, size, confidence)
        return _torch(path, precision, threads, size, confidence)
    except ModuleNotFoundError as error:
        explained = missing_extra(error)
        if explained is None and error.name == "openvino":  # it comes with the package, unless it was taken out
            explained = MissingExtraError("openvino is not installed; install it with: pip install openvino")
        if explained is None:
            raise
        raise explained from error


def _deployed(
    path: Path, name: str, precision: str | None, threads: int | None, size: Size | None, confidence: bool
) -> Engine:
    from aaff.runtime.model_file import read_model_file

    model = read_model_file(path)
    if size not in (None, model.card.size):
        raise OptionError(
            f"{path} takes frames of {model.card.size}, not of {size}; export the checkpoint again with: "
            f"aaff export CHECKPOINT --size {size}"
        )
    if name == "onnxruntime":
        from aaff.runtime.onnxruntime_engine import OnnxRuntimeEngine

        return OnnxRuntimeEngine(model, precision=precision, threads=threads, confidence=confidence)
    from aaff.runtime.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(model, precision=precision, threads=threads, confidence=confidence)


def _torch(path: Path, precision: str | None, threads: int | None, size: Size | None, confidence: bool) -> Engine:
    import torch

    from aaff.networks.engine import TorchEngine
    from aaff.networks.weights import load_checkpoint

    if threads is not None:
        torch.set_num_threads(threads)
    net, card = load_checkpoint(path)
    if size is not None:
        card = replace(card, size=size)
    return TorchEngine(net, card, precision=precision or "fp32", confidence=confidence)


def frame_to_map(engine: Engine) -> tuple[Callable[[UInt8Array], UInt8Array], Literal["logits", "map"]]:
    """How a model is scored: the callable from a frame to its class map, and the name of the convention.

    A checkpoint is scored by its logits, resized to the frame's size (``"logits"``, the convention of
    research); an exported file by the map that it emits (``"map"``), since that is what its users get.
    """
    if engine.name == "torch":
        from aaff.networks.engine import TorchEngine

        if isinstance(engine, TorchEngine):
            return engine.segment, "logits"
    segmenter = Segmenter(engine)
    return lambda frame: segmenter(frame).class_map, "map"


def find_model(path: str | Path | None = None, *, precision: str | None = None) -> Path:
    """The file that a model's name stands for.

    Args:
        path: a file, a run folder, the name of published weights, or None for the shipped model.
        precision: what it will be run in; the shipped model comes in int8 and fp32.

    Raises:
        ModelError: there is none, or it is no model file; says what is there and what would do.
    """
    if path is None:
        return find_shipped(precision)
    name, path = str(path), Path(path)
    if os.path.isdir(path):
        return _in_run(path)
    if not os.path.isfile(path):
        published = find_published(name)
        if published is not None:
            return published
        known = list_published()
        raise ModelError(
            f"there is no model {path}; name an exported file (.onnx), a checkpoint (.safetensors) or "
            "the folder of a run" + (f", or published weights: {', '.join(known)}" if known else "")
        )
    _check_kind(path)
    return path


def _in_run(folder: Path) -> Path:
    for name in ("best.safetensors", "last.safetensors"):
        if (folder / name).is_file():
            _check_kind(folder / name)
            return folder / name
    others = sorted(p.name for p in folder.glob("*.safetensors"))
    inside = f"; it has {', '.join(others)}: name one of them" if others else ""
    raise ModelError(f"the folder {folder} is no run: it has neither best.safetensors nor last.safetensors{inside}")


def _check_kind(path: Path) -> None:
    """Refuse by content what is certainly no checkpoint, whatever its name says."""
    with open(path, "rb") as file:
        start = file.read(4)
    if start.startswith(_PICKLE):
        raise ModelError(
            f"{path} is a pickle, as torch.save writes it, which can run any code when it is opened; aaff reads "
            "checkpoints in safetensors form and exported .onnx files only (train one, or convert the weights where "
            "they come from)"
        )
    if path.suffix.lower() not in (CHECKPOINT, EXPORTED):
        raise ModelError(
            f"{path} is no model: its name ends in {path.suffix or 'nothing'}, not in {CHECKPOINT} or {EXPORTED}"
        )
