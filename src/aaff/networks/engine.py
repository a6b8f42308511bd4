"""The torch engine: runs a checkpoint without export, and implements the engine protocol of the runtime.

It is the reference for exported models, and scores checkpoints by the research convention: native logits resized to the
label's size, then argmax.
"""

from __future__ import annotations

import os
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from aaff.card import ModelCard
from aaff.errors import ModelError, OptionError
from aaff.labels import UInt8Array
from aaff.networks.base import SegmentationNetwork
from aaff.networks.blocks import resize_to
from aaff.networks.normalize import normalize
from aaff.preprocess import Size, resize_image

_PROCESS = os.getpid()

PRECISIONS = ("fp32", "bf16")
"""Precisions of the torch engine; int8 needs an exported model."""


class TorchEngine:
    """A network behind the ``aaff.runtime.engine.Engine`` protocol.

    The network is put into evaluation mode and stays on its device; do not move it while the engine is in use.
    Thread-safe.

    Args:
        net: a trained network.
        card: its model card; ``card.size`` is the input size of the network.
        precision: ``"fp32"`` or ``"bf16"`` (autocast; slow on CPUs without bf16 instructions).
        confidence: also return the probability of the predicted class, which takes about as long as the class map.

    Raises:
        OptionError: there is no such precision.
        ModelError: the network and its card have different numbers of classes.
    """

    name = "torch"

    def __init__(
        self, net: SegmentationNetwork, card: ModelCard, *, precision: str = "fp32", confidence: bool = True
    ) -> None:
        if precision not in PRECISIONS:
            hint = "; export it with: aaff export CHECKPOINT --precision int8" if precision == "int8" else ""
            raise OptionError(f"torch runs a checkpoint in {' or '.join(PRECISIONS)}, not in {precision}{hint}")
        if net.num_classes != card.labels.num_classes:
            raise ModelError(
                f"the network has {net.num_classes} classes, but its card names {card.labels.num_classes} "
                f"({card.labels.name})"
            )
        self.card = card
        self.precision = precision
        self.confidence = confidence
        # Channels-last saves about a fifth of the time on CPUs, and frames come in that order anyway.
        self.net: SegmentationNetwork = net.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.device = next(net.parameters()).device

    def infer(self, frames: UInt8Array) -> tuple[UInt8Array, UInt8Array | None]:
        """Class maps uint8 [N, H, W] of frames RGB uint8 [N, H, W, 3], and their confidence if it was requested.

        The frames should have ``card.size``, but the network takes any size.
        """
        size = Size(frames.shape[2], frames.shape[1])
        with torch.inference_mode():
            packed = self.packed_logits(frames)
            class_map = classify(self.net.unpack(packed, frames.shape[1:3]), size).cpu().numpy()
            if not self.confidence:
                return class_map, None
            native = native_confidence(packed, self.net.num_classes, self.card.temperature)
            return class_map, enlarge_confidence(native, size).cpu().numpy()

    def segment(self, frame: UInt8Array) -> UInt8Array:
        """Class map of a frame by the research convention (``resize: logits``).

        The frame is resized to ``card.size``, and the native logits directly to the frame's own size.

        Args:
            frame: RGB uint8 [H, W, 3], any size.

        Returns:
            Class map uint8 [H, W].
        """
        with torch.inference_mode():
            logits = self.native_logits(resize_image(frame, self.card.size)[None])
            return classify(logits, Size.of(frame))[0].cpu().numpy()

    def native_logits(self, frames: UInt8Array) -> Tensor:
        """Native logits float32 [N, C, h, w] of frames RGB uint8 [N, H, W, 3]; best called in inference mode."""
        return self.net.unpack(self.packed_logits(frames), frames.shape[1:3])

    def packed_logits(self, frames: UInt8Array) -> Tensor:
        """Native logits in packed form (``aaff.networks.base.SegmentationNetwork.packed_logits``)."""
        _leave_threads_after_fork()
        # A copy, since torch accepts neither read-only arrays nor negative strides.
        batch = normalize(torch.from_numpy(np.array(frames, order="C")).to(self.device), self.card.normalization)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            logits = self.net.packed_logits(batch)
        return logits.float()


def _leave_threads_after_fork() -> None:
    """Use one thread in a forked child, where torch would wait forever for the threads of its parent."""
    if os.getpid() != _PROCESS and torch.get_num_threads() > 1:
        torch.set_num_threads(1)
        warnings.warn(
            "the torch engine runs on one thread in a forked process; start the process with multiprocessing's "
            "method 'spawn' to use more",
            RuntimeWarning,
            stacklevel=3,
        )


def classify(logits: Tensor, size: Size) -> Tensor:
    """Class maps of native logits: resized bilinearly (``align_corners=False``), then argmax.

    Args:
        logits: float32 [N, C, h, w], C at most 255.
        size: width and height of the class maps.

    Returns:
        uint8 [N, H, W]; ties go to the lowest id.
    """
    # With contiguous planes per class, ``max`` runs at memory speed, ten times as fast as ``argmax``.
    return resize_to(logits.contiguous(), (size.height, size.width)).max(dim=1).indices.to(torch.uint8)


def enlarge_confidence(native: Tensor, size: Size) -> Tensor:
    """Resize the result of ``native_confidence`` to the size of the class map: uint8 [N, H, W]."""
    return resize_to(native.float(), (size.height, size.width)).round().to(torch.uint8).squeeze(1)


def native_confidence(packed: Tensor, num_classes: int, temperature: float = 1.0) -> Tensor:
    """Softmax probability of the best class at the packed resolution, where its exponentials cost little.

    Args:
        packed: packed logits [N, C·n², h, w].
        num_classes: C.
        temperature: divides the logits before the softmax.

    Returns:
        uint8 [N, 1, h, w], 255 for probability 1.
    """
    scaled = mean_logits(packed, num_classes) / temperature
    # The softmax of the highest logit: 1 / Σ exp(logit − highest).
    total = (scaled - scaled.amax(1, keepdim=True)).exp().sum(1, keepdim=True)
    return (255 / total).round().to(torch.uint8)


def mean_logits(packed: Tensor, num_classes: int) -> Tensor:
    """Mean over each packed block: [N, C·n², h, w] → [N, C, h, w]."""
    copies = packed.shape[1] // num_classes
    if copies == 1:
        return packed
    # A 1x1 convolution keeps the memory layout of the last convolution; a mean over a separate axis would cost OpenVINO
    # another copy of the logits and twice the time.
    weight = torch.eye(num_classes, dtype=packed.dtype, device=packed.device).repeat_interleave(copies, dim=1) / copies
    return F.conv2d(packed, weight[:, :, None, None])
