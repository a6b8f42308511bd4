"""The deployed model: one ``.onnx`` file with its model card and a hash that reveals damage.

The model card is stored in the file's ``metadata_props``, which every ONNX tool shows.  It is read and written here
without the ``onnx`` package, so running a model does not need it: an ONNX file is a protobuf message, and its metadata
are top-level fields that may appear in any order and be appended.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aaff.card import ModelCard
from aaff.errors import ModelError, OptionError, shown
from aaff.preprocess import Size
from aaff.published import bundled_name, default_name
from aaff.runtime.protobuf import Broken, Field, delimited, fields
from aaff.textfile import parse_json

CARD = "aaff.card"
"""Metadata key of the model card, JSON: network, labels, colours, protocol, size, normalisation, score, licence, …"""
PRECISION = "aaff.precision"
"""``"fp32"`` or ``"int8"``: the precision of the graph itself."""
CONFIDENT = "aaff.confidence"
"""Present if the graph has the output ``CONFIDENCE``; ``"native"`` if it contains ``NATIVE_CONFIDENCE``."""
PARITY = "aaff.parity"
"""The comparison of the file with its PyTorch network at export, JSON."""
NATIVE = "aaff.native"
"""Present in files made by ``aaff.export``: the graph contains the tensors ``NORMALIZED`` and ``LOGITS``.  The value
is the native stride (``"yes"`` in files of version 0.1, whose stride is 4)."""
PACKING = "aaff.packing"
"""Packing factor of ``LOGITS`` (``aaff.networks.base.SegmentationNetwork.packed_logits``), absent if 1."""
ANY_SIZE = "aaff.any_size"
"""Present if height and width of the input are dynamic, under the names in ``AXES``."""
HASH = "aaff.sha256"
"""SHA-256 over the raw top-level fields of the file, in their order, without this entry."""

INPUT, OUTPUT, CONFIDENCE = "frames", "class_map", "confidence"
"""Names of the graph's input, uint8 [N, H, W, 3] RGB, of its output, uint8 [N, H, W], and of the optional
second output, uint8 [N, H, W], 255 for certain."""
AXES = ("N", "height", "width")
"""Names of the dynamic axes of the input, since version 0.2; earlier, height and width were fixed."""
NORMALIZED, LOGITS = "normalized", "logits"
"""Names of two inner tensors: the network's float input [N, 3, H, W] and its native logits
[N, C·n², ⌈h/n⌉, ⌈w/n⌉], packed by n (1 if the file does not state it)."""
NATIVE_CONFIDENCE = "native_confidence"
"""Name of the confidence of each place of ``LOGITS``, uint8 [N, 1, ⌈h/n⌉, ⌈w/n⌉]."""

_GRAPH, _METADATA, _LAST = 7, 14, 25
"""Field numbers of ``onnx.ModelProto``, and the highest one."""
_OUTPUT = 12
"""Field number of the outputs in ``onnx.GraphProto``."""
_TYPES = {LOGITS: b"\x08\x01", NATIVE_CONFIDENCE: b"\x08\x02"}
"""``onnx.TypeProto.Tensor`` of any shape: float32 and uint8."""


@dataclass(frozen=True)
class ModelFile:
    """A deployed model in memory, checked against its hash.

    Attributes:
        path: path of the file.
        card: the model card; ``card.size`` is the size of the frames that it is run on.
        precision: ``"fp32"`` or ``"int8"``.
        parity: the comparison with its PyTorch network; empty for a file from elsewhere.
        stride: stride of the native logits, if the graph contains the tensors ``NORMALIZED`` and ``LOGITS``; None for
            a file from elsewhere.
        packing: packing factor of its native logits; 1 if they are not packed.
        confidence: whether the graph has the second output ``CONFIDENCE``.
        native_confidence: whether the graph contains ``NATIVE_CONFIDENCE``.
        any_size: whether the graph takes frames of sizes other than ``card.size``.
        sha256: hash of its contents, 64 hexadecimal digits.
        data: the file's bytes.
    """

    path: Path
    card: ModelCard
    precision: str
    parity: Mapping[str, Any]
    stride: int | None
    packing: int
    confidence: bool
    native_confidence: bool
    any_size: bool
    sha256: str
    data: bytes = field(repr=False)

    @property
    def shown(self) -> str:
        """Its name in messages: the name of a bundled model, else the path."""
        return f"the bundled model {bundled_name(self.path)}" if bundled_name(self.path) else str(self.path)

    @property
    def score(self) -> Mapping[str, Any]:
        """``"miou"`` and ``"split"`` of this file, measured with OpenVINO at export.

        For a file exported without labelled frames, the score of its checkpoint; empty if there is no score, or if it
        was measured on training frames.
        """
        split = str(self.parity.get("source", "")).rpartition(" ")[2]
        if self.card.trained_on(split):
            return {}
        rows = self.parity.get("rows")
        for row in rows if isinstance(rows, list) else []:
            if isinstance(row, dict) and row.get("engine") == "openvino" and isinstance(row.get("miou"), float):
                return {"miou": row["miou"], "split": split}
        return self.card.score or {}

    def at(self, size: Size) -> ModelFile:
        """The same model for frames of another size.

        Raises:
            OptionError: its graph takes only one size.
        """
        if size == self.card.size:
            return self
        if not self.any_size:
            other = f"use {default_name()}" if bundled_name(self.path) else "export the checkpoint again"
            raise OptionError(
                f"{self.shown} takes frames of {self.card.size} only, not of {size}; for any size {other}"
            )
        return replace(self, card=replace(self.card, size=size))


def read_model_file(path: str | Path) -> ModelFile:
    """Read a deployed model and check it.

    Raises:
        ModelError: there is no such file, it is truncated, changed or not an ONNX file, or it has no model card; the
            message says how to add one.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error
    return parse_model_file(data, path)


def parse_model_file(data: bytes, path: Path) -> ModelFile:
    """Parse a deployed model from bytes and check it, as ``read_model_file`` does.

    Args:
        data: the bytes of the file.
        path: where they came from or will be written, for messages.

    Raises:
        ModelError: as ``read_model_file``.
    """
    metadata = read_metadata(data, str(path))
    absent = [key for key in (CARD, PRECISION, HASH) if key not in metadata]
    if absent:
        raise ModelError(
            f"{path} is an ONNX file, but was not exported by aaff: its metadata lack {', '.join(absent)}, so the "
            f"classes, colours and normalisation are unknown; add a model card with: aaff export {path.name} "
            "--card CARD.json (docs/deployment.md shows a card and the required inputs and outputs of the graph)"
        )
    if content_hash(data, str(path)) != metadata[HASH]:
        raise ModelError(f"{path} is damaged: its contents do not match the hash inside; copy or export it again")
    what = f"the model card in {path}"
    card = ModelCard.from_dict(parse_json(metadata[CARD], what, kind=ModelError), str(path))
    parity = parse_json(metadata.get(PARITY, "{}"), f"the comparison in {path}", kind=ModelError)
    if not isinstance(parity, dict):
        raise ModelError(f"the comparison in {path} must be a mapping, not {shown(parity)}")
    if metadata[PRECISION] not in ("fp32", "int8"):
        raise ModelError(f"{path} is in {shown(metadata[PRECISION])}, which this version of aaff does not support")
    native = "4" if metadata.get(NATIVE) == "yes" else metadata.get(NATIVE)
    return ModelFile(
        path=path,
        card=card,
        precision=metadata[PRECISION],
        parity=parity,
        stride=_factor(native, "logits at stride", path) if native else None,
        packing=_factor(metadata.get(PACKING, "1"), "logits packed by", path),
        confidence=CONFIDENT in metadata,
        native_confidence=metadata.get(CONFIDENT) == "native",
        any_size=ANY_SIZE in metadata,
        sha256=metadata[HASH],
        data=data,
    )


def _factor(value: str, what: str, path: Path) -> int:
    if value not in ("1", "2", "4", "8", "16", "32"):
        raise ModelError(f"{path} has {what} {value[:20]!r}, which this version of aaff does not support")
    return int(value)


def read_metadata(data: bytes, where: str) -> dict[str, str]:
    """All ``metadata_props`` of an ONNX file, by key.

    Raises:
        ModelError: as ``read_model_file``; ``where`` names the file.
    """
    pairs = (_entry(data, f, where) for f in _fields(data, where) if f.number == _METADATA)
    return dict(pairs)


def write_metadata(data: bytes, entries: Mapping[str, str], where: str = "the model") -> bytes:
    """The ONNX file with these metadata entries, which replace those of the same keys, and with a new hash.

    Raises:
        ModelError: ``data`` is not a complete ONNX file.
    """
    replaced = {*entries, HASH}
    kept = b"".join(
        data[f.start : f.end]
        for f in _fields(data, where)
        if f.number != _METADATA or _entry(data, f, where)[0] not in replaced
    )
    described = kept + b"".join(_encode(key, value) for key, value in entries.items())
    return described + _encode(HASH, content_hash(described, where))


def content_hash(data: bytes, where: str) -> str:
    """SHA-256 of an ONNX file without its own hash, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    view = memoryview(data)
    for f in _fields(data, where):
        if f.number != _METADATA or _entry(data, f, where)[0] != HASH:
            digest.update(view[f.start : f.end])
    return digest.hexdigest()


def ending_at(model: ModelFile, *tensors: str) -> bytes:
    """The model's graph as an ONNX file whose only outputs are the given inner tensors, without metadata.

    Nodes needed only by the former outputs are dead; runtimes skip them, so only the nodes leading to ``tensors`` cost
    time.

    Args:
        tensors: ``LOGITS`` or ``NATIVE_CONFIDENCE``, in the order of the outputs.
    """
    data = model.data
    outputs = b"".join(
        delimited(_OUTPUT, delimited(1, tensor.encode()) + delimited(2, delimited(1, _TYPES[tensor])))
        for tensor in tensors
    )
    pieces = []
    for f in _fields(data, str(model.path)):
        if f.number != _GRAPH:
            if f.number != _METADATA:
                pieces.append(data[f.start : f.end])
            continue
        kept = [data[g.start : g.end] for g in fields(data, f.payload, f.end) if g.number != _OUTPUT]
        pieces.append(delimited(_GRAPH, b"".join(kept) + outputs))
    return b"".join(pieces)


def _fields(data: bytes, where: str) -> Iterator[Field]:
    """The top-level fields of an ONNX file; one of them must be a graph."""
    graph = False
    try:
        for f in fields(data):
            if f.number > _LAST or f.number < 1:
                raise ModelError(f"{where} is not an ONNX file")
            graph |= f.number == _GRAPH
            yield f
    except Broken:
        raise ModelError(f"{where} is truncated, or not an ONNX file at all; copy or export it again") from None
    if not graph:
        raise ModelError(f"{where} is not an ONNX file: it has no graph")


def _entry(data: bytes, outer: Field, where: str) -> tuple[str, str]:
    """Key and value of one metadata entry."""
    try:
        texts = {f.number: data[f.payload : f.end].decode() for f in fields(data, outer.payload, outer.end)}
    except (Broken, UnicodeDecodeError):
        raise ModelError(f"{where} is damaged: its metadata cannot be read; copy or export it again") from None
    return texts.get(1, ""), texts.get(2, "")


def _encode(key: str, value: str) -> bytes:
    return delimited(_METADATA, delimited(1, key.encode()) + delimited(2, value.encode()))
