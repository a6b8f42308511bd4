"""The torch engine: runs a checkpoint as it is, without export, behind the protocol of the runtime.

It is the reference that exported models are compared with, and what scores checkpoints by the research
convention: native logits resized to the label's size, then argmax.
"""

from __future__ import annotations

import os
import warnings

import numpy as np
import torch
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
"""What the torch engine computes in; int8 needs an exported model."""


class TorchEngine:
    """A network behind the ``aaff.runtime.engine.Engine`` protocol.

    The network is put into evaluation mode and stays on its device; keep it there while the engine is in
    use.  Several threads may call one engine.

    Args:
        net: a trained network.
        card: its description; ``card.size`` is the size of the frames that the network gets.
        precision: ``"fp32"`` or ``"bf16"`` (autocast; slow on CPUs without bf16 instructions).
        confidence: give the probability of the chosen class too; its exponentials cost about what the class map does.

    Raises:
        OptionError: no such precision.
        ModelError: the network and its card differ in their number of classes.
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
                f"the network gives {net.num_classes} classes, but its card names {card.labels.num_classes} "
                f"({card.labels.name})"
            )
        self.card = card
        self.precision = precision
        self.confidence = confidence
        # Channels-last saves about a fifth of the time on CPUs, and frames come in that order anyway.
        self.net: SegmentationNetwork = net.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.device = next(net.parameters()).device

    def infer(self, frames: UInt8Array) -> tuple[UInt8Array, UInt8Array | None]:
        """Class maps uint8 [N, H, W] of frames RGB uint8 [N, H, W, 3], and their confidence when it was asked for.

        ``card.size`` is the size to give; the network takes any other too.
        """
        size = Size(frames.shape[2], frames.shape[1])
        with torch.inference_mode():
            class_map, confidence = classify(
                self.native_logits(frames), size, confidence=self.confidence, temperature=self.card.temperature
            )
        return class_map.cpu().numpy(), None if confidence is None else confidence.cpu().numpy()

    def segment(self, frame: UInt8Array) -> UInt8Array:
        """Class map of a frame by the research convention (``resize: logits``).

        The frame is resized to ``card.size``, and the native logits straight to the frame's own size.

        Args:
            frame: RGB uint8 [H, W, 3], any size.

        Returns:
            Class map uint8 [H, W].
        """
        with torch.inference_mode():
            logits = self.native_logits(resize_image(frame, self.card.size)[None])
            return classify(logits, Size.of(frame))[0][0].cpu().numpy()

    def native_logits(self, frames: UInt8Array) -> Tensor:
        """Native logits float32 [N, C, h, w] of frames RGB uint8 [N, H, W, 3]; best called in inference mode."""
        _leave_threads_after_fork()
        # A copy, as torch takes neither read-only nor flipped arrays.
        batch = normalize(torch.from_numpy(np.array(frames, order="C")).to(self.device), self.card.normalization)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            logits = self.net.logits(batch)
        return logits.float()


def _leave_threads_after_fork() -> None:
    """In a forked child torch waits for ever for the threads of its parent; one thread works."""
    if os.getpid() != _PROCESS and torch.get_num_threads() > 1:
        torch.set_num_threads(1)
        warnings.warn(
            "the torch engine runs on one thread in a forked process; start the process with multiprocessing's "
            "method 'spawn' to use more",
            RuntimeWarning,
            stacklevel=3,
        )


def classify(
    logits: Tensor, size: Size, *, confidence: bool = False, temperature: float = 1.0
) -> tuple[Tensor, Tensor | None]:
    """Class maps of native logits: resized bilinearly (``align_corners=False``), then argmax.

    Confidence is the softmax probability of the best class at each native logit, resized in the same way: at a
    sixteenth of the pixels (stride 4) its exponentials cost little beside the network.

    Args:
        logits: float32 [N, C, h, w], C at most 255.
        size: width and height of the class maps.
        confidence: compute the confidence too.
        temperature: divides the logits before the softmax.

    Returns:
        uint8 [N, H, W], of equal logits the lowest id; and uint8 [N, H, W] with 255 for probability 1, or None.
    """
    # Planes one class after the other: ``max`` then runs at memory speed, ten times as fast as ``argmax``.
    ids = resize_to(logits.contiguous(), (size.height, size.width)).max(dim=1).indices.to(torch.uint8)
    return ids, enlarge_confidence(native_confidence(logits, temperature), size) if confidence else None


def enlarge_confidence(native: Tensor, size: Size) -> Tensor:
    """What ``native_confidence`` gave at the size of the class map: uint8 [N, H, W]."""
    return resize_to(native.float(), (size.height, size.width)).round().to(torch.uint8).squeeze(1)


def native_confidence(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Probability of the best class: logits float32 [N, C, h, w] → uint8 [N, 1, h, w], 255 for probability 1."""
    scaled = logits / temperature
    # The softmax of the highest logit: 1 / Σ exp(logit − highest).
    total = (scaled - scaled.amax(1, keepdim=True)).exp().sum(1, keepdim=True)
    return (255 / total).round().to(torch.uint8)
