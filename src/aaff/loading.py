"""``aaff.load``: load a model from a path or name; the only module that connects torch with the runtime."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from aaff.card import ModelCard
from aaff.errors import MissingExtraError, ModelError, OptionError, UnknownNameError, missing_extra, nearest
from aaff.installation import pip_install
from aaff.labels import UInt8Array
from aaff.preprocess import Size
from aaff.published import DEFAULT, find_exported, find_published, list_exported, list_published
from aaff.runtime.engine import Engine
from aaff.runtime.prediction import Prediction
from aaff.runtime.segmenter import Segmenter

ENGINES = ("openvino", "onnxruntime", "torch")
"""Names of the engines; ``"auto"`` selects openvino for exported files and torch for checkpoints."""

EXPORTED, CHECKPOINT = ".onnx", ".safetensors"
"""Suffixes of exported files and of checkpoints."""

_LARGEST_HEADER = 100_000_000
"""Maximum header length in bytes, as in the safetensors library."""

_PICKLE = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""First bytes of files written by ``torch.save``: a zip archive or, in old versions, a bare pickle."""


def load(
    path: str | Path | None = None,
    *,
    engine: str = "auto",
    precision: str | None = None,
    threads: int | None = None,
    size: tuple[int, int] | None = None,
) -> Segmenter:
    """Load a model: ``load(path)(image)`` returns an ``aaff.runtime.Prediction``.

    Args:
        path: an exported ``.onnx`` file, a ``.safetensors`` checkpoint, a run folder, or the name of a model such as
            ``"depthwise_aaff"``; default: the bundled model.  See ``find_model`` for how it is resolved to a file.
        engine: one of ``ENGINES``, or ``"auto"``.
        precision: ``"fp32"`` or ``"bf16"``; for an int8 file ``"int8"``, or ``"int8-bf16"`` to compute the layers that
            are not quantised in bf16.  Default: the file's own, fp32 for a checkpoint.
        threads: CPU threads (with torch, for the whole process); default: all cores.
        size: input width and height of the network, such as ``(640, 360)``; a larger size shows more detail and takes
            longer.  Default: the model's own, ``load().card.size``.

    Raises:
        ModelError: there is no such model, or its file is damaged or not a model.
        OptionError: the model does not run in this precision, or threads is below 1.
        UnknownNameError: there is no such engine.
        MissingExtraError: the engine is not installed; the message has the command that installs it.

    >>> load().labels.num_classes > 1
    True
    """
    file = find_model(path, precision=precision, engine=engine)
    chosen = None if size is None else Size(*size)
    return load_segmenter(file, engine=engine, precision=precision, threads=threads, size=chosen)


def load_segmenter(
    path: Path,
    *,
    engine: str = "auto",
    precision: str | None = None,
    threads: int | None = None,
    size: Size | None = None,
    confidence: bool = True,
) -> Segmenter:
    """A segmenter of a file returned by ``find_model``; arguments and errors as in ``load_engine``.

    If ``size`` is None and the model takes any size, wide frames keep their aspect ratio.
    """
    with _explained():
        make, any_size = _engines(path, engine, precision, threads, confidence)
        return Segmenter(make(size), _open_stream, make if any_size and size is None else None)


def read_card(path: Path) -> ModelCard:
    """Read the model card of a file returned by ``find_model``, without torch and without loading the model.

    Raises:
        ModelError: the file is damaged or has no model card.
    """
    if path.suffix.lower() == EXPORTED:
        from aaff.runtime.model_file import read_model_file

        return read_model_file(path).card
    try:
        with open(path, "rb") as file:  # safetensors: the length of a JSON header in 8 bytes, then the header
            header = json.loads(file.read(min(int.from_bytes(file.read(8), "little"), _LARGEST_HEADER)))
        return ModelCard.from_dict(json.loads(header["__metadata__"]["aaff"]), str(path))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{path} is not a complete checkpoint of aaff") from error


def _open_stream(segmenter: Segmenter, source: str | Path | int) -> Iterator[Prediction]:
    from aaff.video import stream  # imported late, since images do not need it

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
    """The engine behind ``load``.

    Args:
        path: a file returned by ``find_model``.
        engine: as in ``load``, as are ``precision`` and ``threads``.
        size: input size of the network instead of the model's own.
        confidence: also return the probability of every pixel's class, if the model can.

    Raises:
        AaffError: as ``load``.
    """
    with _explained():
        return _engines(path, engine, precision, threads, confidence)[0](size)


MakeEngine = Callable[[Size | None], Engine]
"""Size (None for the model's own) → the model's engine at that size."""


def _engines(
    path: Path, engine: str, precision: str | None, threads: int | None, confidence: bool
) -> tuple[MakeEngine, bool]:
    """The function that makes engines of a file, which is read once, and whether the model takes any size."""
    _check_engine(engine)
    if threads is not None and threads < 1:
        raise OptionError(f"threads is {threads}; it must be at least 1 (default: all cores)")
    exported = path.suffix.lower() == EXPORTED
    name = ("openvino" if exported else "torch") if engine == "auto" else engine
    if exported and name == "torch":
        raise OptionError(f"torch runs checkpoints, but {path} is an exported file; use openvino or onnxruntime")
    if not exported and name != "torch":
        raise OptionError(f"{name} runs exported files; export {path} with: aaff export {shlex.quote(str(path))}")
    if exported:
        return _deployed(path, name, precision, threads, confidence)
    return _torch(path, precision, threads, confidence), True


@contextmanager
def _explained() -> Iterator[None]:
    """Report which extra installs a missing package."""
    try:
        yield
    except ModuleNotFoundError as error:
        explained = missing_extra(error)
        if explained is None and error.name == "openvino":  # a core dependency, unless it was uninstalled
            explained = MissingExtraError(f"openvino is not installed; install it with: {pip_install('openvino')}")
        if explained is None:
            raise
        raise explained from error


def _deployed(
    path: Path, name: str, precision: str | None, threads: int | None, confidence: bool
) -> tuple[MakeEngine, bool]:
    from aaff.runtime.model_file import read_model_file

    model = read_model_file(path)

    def make(size: Size | None) -> Engine:
        chosen = model if size is None else model.at(size)
        if name == "onnxruntime":
            from aaff.runtime.onnxruntime_engine import OnnxRuntimeEngine

            return OnnxRuntimeEngine(chosen, precision=precision, threads=threads, confidence=confidence)
        from aaff.runtime.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(chosen, precision=precision, threads=threads, confidence=confidence)

    return make, model.any_size


def _torch(path: Path, precision: str | None, threads: int | None, confidence: bool) -> MakeEngine:
    import torch

    from aaff.networks.engine import TorchEngine
    from aaff.networks.weights import load_checkpoint

    if threads is not None:
        torch.set_num_threads(threads)
    net, card = load_checkpoint(path)

    def make(size: Size | None) -> Engine:
        chosen = card if size is None else replace(card, size=size)
        return TorchEngine(net, chosen, precision=precision or "fp32", confidence=confidence)

    return make


def frame_to_map(segmenter: Segmenter) -> tuple[Callable[[UInt8Array], UInt8Array], Literal["logits", "map"]]:
    """How a model is scored: a callable from a frame to its class map, and the name of the resize convention.

    A checkpoint is scored by its logits resized to the frame's size (``"logits"``, the research convention), an
    exported file by the class map that it outputs (``"map"``), since that is what its users get.
    """
    if segmenter.engine.name == "torch":
        from aaff.networks.engine import TorchEngine

        def segment(frame: UInt8Array) -> UInt8Array:
            engine = segmenter.engine_for(frame)
            assert isinstance(engine, TorchEngine)
            return engine.segment(frame)

        return segment, "logits"
    return lambda frame: segmenter(frame).class_map, "map"


def find_model(path: str | Path | None = None, *, precision: str | None = None, engine: str = "auto") -> Path:
    """Resolve a path or model name to a model file.

    An existing path takes precedence over a name.  A name refers to the exported file of that name, bundled or in
    ``weights/`` of a clone, else to the checkpoint there.  A run folder refers to its best checkpoint, else its last;
    if torch is not installed, or an engine other than torch is requested, it refers to the exported file in the folder.

    Args:
        path: a file, a run folder, a name, or None for the bundled model.
        precision: the precision to run in; selects among exported files.
        engine: the engine to run with; ``"torch"`` needs a checkpoint.

    Raises:
        ModelError: there is no such model, or the file is not one; the message says what exists and what is valid.
        UnknownNameError: there is no such engine.
    """
    _check_engine(engine)
    if path is None:
        return find_exported(None, precision) if engine != "torch" else _by_name(DEFAULT, precision, engine)
    _refuse_other(path)
    name, path = str(path), Path(path)
    if os.path.isdir(path):
        return _in_run(path, precision, engine)
    if not os.path.isfile(path):
        return _by_name(name, precision, engine)
    _check_kind(path)
    return path


def _refuse_other(path: object) -> None:
    if not isinstance(path, str | Path):
        camera = f"; a camera is a source: aaff.load().stream({path})" if isinstance(path, int) else ""
        raise ModelError(f"a model is a path or a name, not {type(path).__name__}{camera}")


def _check_engine(engine: str) -> None:
    if engine not in ("auto", *ENGINES):
        raise UnknownNameError("engine", engine, ("auto", *ENGINES))


def _by_name(name: str, precision: str | None, engine: str) -> Path:
    if engine != "torch" and name in list_exported():
        return find_exported(name, precision)
    published = find_published(name)
    if published is not None:
        return published
    if name in list_exported():
        raise ModelError(f"{name} is available as an exported file only; a checkpoint (.safetensors) is needed here")
    known = sorted({*list_exported(), *list_published()})
    beside = [str(path) for path in Path(name).parent.glob("*")] if os.path.isdir(Path(name).parent) else []
    close = nearest(name, known, cutoff=0.6) or nearest(name, beside, cutoff=0.8)
    raise ModelError(
        f"there is no model {name}; "
        + (f"did you mean {close}? Otherwise name" if close else "name")
        + " an exported file (.onnx), a checkpoint (.safetensors), the folder of a run"
        + (f" or one of {', '.join(known)}" if known else "")
    )


def _in_run(folder: Path, precision: str | None, engine: str) -> Path:
    checkpoint = next(
        (folder / f"{name}{CHECKPOINT}" for name in _KEPT if (folder / f"{name}{CHECKPOINT}").is_file()), None
    )
    torch = engine == "torch" or (engine == "auto" and importlib.util.find_spec("torch") is not None)
    if engine == "auto" and precision is not None and precision.startswith("int8"):  # which PyTorch does not run
        torch = False
    if not torch or checkpoint is None:
        exported = _exported_in(folder, precision)
        if exported is not None and engine != "torch":
            return exported
    if checkpoint is not None:
        _check_kind(checkpoint)
        return checkpoint
    others = sorted(p.name for p in folder.glob(f"*{CHECKPOINT}"))
    inside = f"; it has {', '.join(others)}: name one of them" if others else ""
    raise ModelError(
        f"the folder {folder} is not a run: it has neither best.safetensors nor last.safetensors nor an .onnx file"
        + inside
    )


_KEPT = ("best", "last")
"""Stems of the checkpoints of a run, in order of preference."""


def _exported_in(folder: Path, precision: str | None) -> Path | None:
    """The exported file in a run folder: under the name that ``aaff export`` chooses, else the only one there."""
    files = sorted(folder.glob(f"*{EXPORTED}"))
    kinds = ("fp32",) if precision in ("fp32", "bf16") else ("int8", "fp32") if precision is None else ("int8",)
    for name in (f"{stem}-{kind}{EXPORTED}" for stem in _KEPT for kind in kinds):
        if folder / name in files:
            return folder / name
    return files[0] if len(files) == 1 else None


def _check_kind(path: Path) -> None:
    """Check the content of a file, whatever its name: reject what is certainly not a checkpoint."""
    with open(path, "rb") as file:
        start = file.read(4)
    if start.startswith(_PICKLE):
        raise ModelError(
            f"{path} is a pickle, as torch.save writes it, which can run any code when it is loaded; aaff only reads "
            "safetensors checkpoints and exported .onnx files; convert the weights of a known network with: "
            f"aaff convert {path} --network NAME --labels NAME"
        )
    if path.suffix.lower() not in (CHECKPOINT, EXPORTED):
        raise ModelError(
            f"{path} is not a model: its name ends in {path.suffix or 'nothing'}, not in {CHECKPOINT} or {EXPORTED}"
        )
