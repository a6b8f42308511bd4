"""The backbone interface, and backbones from timm."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from torch import Tensor, nn

from aaff.errors import MissingExtraError, ModelError

STRIDES = (2, 4, 8, 16, 32)
"""Strides of a backbone's maps."""


class Backbone(nn.Module):
    """A feature extractor: ``forward`` returns five maps [N, channels[i], ⌈H/s⌉, ⌈W/s⌉] for s = 2, 4, 8, 16 and 32.

    Attributes:
        channels: channels of the five maps.
    """

    channels: tuple[int, ...]


class TimmBackbone(Backbone):
    """A feature extractor of timm.

    Args:
        name: name for ``timm.create_model``.
        pretrained: let timm download the weights.

    Raises:
        MissingExtraError: timm is not installed.
        ModelError: timm does not know the name, or its features have other strides.
    """

    def __init__(self, name: str, pretrained: bool = False) -> None:
        super().__init__()
        try:
            timm = importlib.import_module("timm")
        except ModuleNotFoundError as error:
            raise MissingExtraError("timm is not installed; install it with: pip install timm") from error
        try:
            self.net: nn.Module = timm.create_model(name, features_only=True, pretrained=pretrained)
        except (RuntimeError, AttributeError, ValueError) as error:
            raise ModelError(f"timm has no feature extractor {name!r}: {error}") from error
        info = self.net.feature_info
        strides: Sequence[int] = info.reduction()
        if tuple(strides) != STRIDES:
            raise ModelError(
                f"the features of timm's {name!r} have the strides {', '.join(map(str, strides))}; choose a backbone "
                f"with features at {', '.join(map(str, STRIDES))}, such as resnet18"
            )
        self.channels = tuple(info.channels())

    def forward(self, x: Tensor) -> list[Tensor]:
        maps: list[Tensor] = self.net(x)
        return maps
