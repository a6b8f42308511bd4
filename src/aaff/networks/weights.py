"""Checkpoints: one ``.safetensors`` file with the weights, and the model card as JSON in its header.

Pickle is never used, so opening an untrusted file cannot execute code.  Auxiliary heads are only used in training and
are not saved.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from aaff.card import ModelCard
from aaff.errors import ModelError, brief, shown
from aaff.files import replacing
from aaff.networks.base import SegmentationNetwork
from aaff.networks.registry import create_model
from aaff.textfile import parse_json, to_json

_AUXILIARY = "auxiliary."
_CARD, _HASH = "aaff", "aaff.sha256"
"""Keys in the header: the model card, and a hash of it and of the weights (absent in files before 0.2.0)."""

TRAINING_OPTIONS = ("auxiliary", "pretrained")
"""Options of networks that affect only the initialisation or supervision of training, not the trained network."""


def save_checkpoint(
    path: str | Path, state: Mapping[str, Tensor], card: ModelCard, *, dtype: torch.dtype | None = None
) -> None:
    """Write weights and model card to one file, atomically.

    Args:
        path: the file, which should end in ``.safetensors``.
        state: a network's ``state_dict()``.
        card: the model card.
        dtype: store floating-point weights in this type, such as ``torch.float16`` for half the size; they are read
            back as float32.

    Raises:
        AaffError: the file cannot be written; an existing file is unchanged.
        ModelError: a weight is not finite in ``dtype``.
    """
    kept = {}
    for name, tensor in state.items():
        if not name.startswith(_AUXILIARY):
            tensor = tensor.detach().cpu()
            if dtype and tensor.is_floating_point():
                tensor = tensor.to(dtype)
                if not bool(torch.isfinite(tensor).all()):
                    raise ModelError(f"{path} was not written: the weight {name!r} is not finite as {dtype}")
            kept[name] = tensor.contiguous()
    description = card.to_dict()
    description["options"] = {k: v for k, v in card.options.items() if k not in TRAINING_OPTIONS}
    text = to_json(description)
    write_tensors(path, kept, {_CARD: text, _HASH: _content_hash(kept, text)})


def write_tensors(path: str | Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write contiguous tensors to a ``.safetensors`` file, atomically.

    Raises:
        AaffError: the file cannot be written, for example because the disk is full; an existing file is unchanged.
    """
    with replacing(path) as temporary:
        # The library's own save_file leaves a ".tmp…" file behind if it is killed.
        temporary.write_bytes(save(tensors, metadata=metadata))


def read_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], ModelCard]:
    """Read weights (float32 on the CPU) and model card of a checkpoint, without building its network.

    Raises:
        ModelError: there is no such file, it is not a safetensors file (a pickle, for instance), is truncated or
            changed, has no model card of aaff, or has weights that are NaN or infinite.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise ModelError(f"there is no checkpoint {path}")
    if b"\\udc" in str(path).encode("utf-8", "backslashreplace"):
        raise ModelError(f"{path} has a name that is not UTF-8, which safetensors cannot open; rename it")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path} is not a complete .safetensors checkpoint ({_why(path, error)})") from error
    if _CARD not in metadata:
        raise ModelError(f"{path} holds weights but no model card; it was not written by aaff")
    if _HASH in metadata and metadata[_HASH] != _content_hash(state, metadata[_CARD]):
        raise ModelError(f"{path} is damaged: its contents do not match the hash in its header; copy it again")
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelError(f"{path} cannot be used: the weight {shown(name)} has NaN or infinite values")
    card = ModelCard.from_dict(parse_json(metadata[_CARD], f"the model card in {path}", kind=ModelError), str(path))
    return {n: t.float() if t.is_floating_point() else t for n, t in state.items()}, card


def _content_hash(state: Mapping[str, Tensor], card: str) -> str:
    """SHA-256 over the card and over every tensor's name, type, shape and bytes, as 64 hexadecimal digits."""
    digest = hashlib.sha256(card.encode())
    for name in sorted(state):
        tensor = state[name]
        digest.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def load_checkpoint(path: str | Path) -> tuple[SegmentationNetwork, ModelCard]:
    """Load a trained network, in evaluation mode, and its model card.

    Raises:
        ModelError: see ``read_checkpoint``; or the weights do not match the network named in the card.
        UnknownNameError: the card names a network or option that is not registered.
    """
    state, card = read_checkpoint(path)
    net = create_model(card.network, card.labels.num_classes, **card.options)
    load_state(net, state, str(path))
    return net.eval(), card


def load_state(net: SegmentationNetwork, state: Mapping[str, Tensor], where: str) -> None:
    """Load a checkpoint's weights into a network; its auxiliary heads, if any, are not changed.

    Raises:
        ModelError: a weight is missing, unexpected or has another shape; the message names the first one.
    """
    own = {name: tensor for name, tensor in net.state_dict().items() if not name.startswith(_AUXILIARY)}
    for name, tensor in own.items():
        if name not in state:
            raise ModelError(f"{where} has no weight {name!r}; it is from another network")
        if state[name].shape != tensor.shape:
            raise ModelError(
                f"{where} has {name!r} of shape {list(state[name].shape)}, but the network needs {list(tensor.shape)}; "
                "it is from another network, or one with another number of classes"
            )
    for name in state:
        if name not in own and not name.startswith(_AUXILIARY):
            raise ModelError(f"{where} has a weight {shown(name)} that the network does not have")
    net.load_state_dict(dict(state), strict=False)


def _why(path: Path, error: Exception) -> str:
    head = path.read_bytes()[:8] if path.is_file() else b""
    if head[:2] == b"PK" or head[:1] == b"\x80":
        return "it is a pickle, which aaff never opens; save it as safetensors"
    return f"truncated or not safetensors: {brief(error)}"
