"""The engine protocol, which OpenVINO, ONNX Runtime and torch implement."""

from __future__ import annotations

from typing import Protocol

from aaff.card import ModelCard
from aaff.labels import UInt8Array


class Engine(Protocol):
    """A loaded model.  Engines are thread-safe: several threads may call ``infer`` at once."""

    @property
    def card(self) -> ModelCard:
        """The model card; its ``size`` is the size of the frames that the engine takes."""

    @property
    def name(self) -> str:
        """``"openvino"``, ``"onnxruntime"`` or ``"torch"``."""

    @property
    def precision(self) -> str:
        """``"fp32"``, ``"bf16"`` or ``"int8"``."""

    @property
    def confidence(self) -> bool:
        """Whether ``infer`` returns the confidence."""

    def infer(self, frames: UInt8Array) -> tuple[UInt8Array, UInt8Array | None]:
        """Class maps of a batch of frames.

        Args:
            frames: RGB uint8 [N, H, W, 3] at ``card.size``.

        Returns:
            Class maps uint8 [N, H, W], and the confidence uint8 [N, H, W] or None: the softmax probability of the
            predicted class, scaled to 0–255.  Both arrays belong to the caller and are not overwritten by later calls.
        """
