"""What runs a network: the one small protocol behind OpenVINO, ONNX Runtime and torch."""

from __future__ import annotations

from typing import Protocol

from aaff.card import ModelCard
from aaff.labels import UInt8Array


class Engine(Protocol):
    """A loaded model.  Engines are thread-safe: several threads may call ``infer`` at once."""

    @property
    def card(self) -> ModelCard:
        """What the model says about itself; its ``size`` is the size of the frames it takes."""

    @property
    def name(self) -> str:
        """``"openvino"``, ``"onnxruntime"`` or ``"torch"``."""

    @property
    def precision(self) -> str:
        """``"fp32"``, ``"bf16"`` or ``"int8"``."""

    def infer(self, frames: UInt8Array) -> tuple[UInt8Array, UInt8Array | None]:
        """Class maps of a batch of frames.

        Args:
            frames: RGB uint8 [N, H, W, 3] at ``card.size``.

        Returns:
            Class maps uint8 [N, H, W]; and, from a model that gives it, the confidence uint8 [N, H, W]:
            the softmax probability of the chosen class, 255 for certain.  Both belong to the caller: a
            later call does not write into them.
        """
