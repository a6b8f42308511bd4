"""The model card that every checkpoint and exported file carries.

It states what the outputs mean, how a frame must be normalised, on which data and split the score was measured, and
the licence, so that a file can be used without its training code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from aaff.errors import AaffError, ModelError, shown
from aaff.labels import LabelMap
from aaff.preprocess import Normalization, Size

FORMAT = 1
"""Version of the model card format; newer versions are rejected on reading."""

TEMPERATURES = (0.01, 100.0)
"""Lowest and highest temperature; beyond them every confidence is 1, or the same for all classes."""


@dataclass(frozen=True)
class ModelCard:
    """Description of one trained network.

    Attributes:
        network: registered name, such as ``"depthwise_aaff"``.
        options: options the network was created with, besides the number of classes.
        labels: names and colours of the output classes.
        protocol: evaluation protocol of its scores, such as ``"camvid11"``.
        size: frame size it was trained and scored at.
        normalization: how RGB values in 0–255 become the network's input.
        recipe: the effective training recipe, flat or nested, JSON-ready.
        temperature: divisor of the logits in the softmax that computes the confidence, within ``TEMPERATURES``; chosen
            on the validation split so that the confidence is calibrated.
        score: metrics with ``split``; ``selected_on`` names the split that selected this epoch.  None: unscored.
        epoch: number of epochs trained, 0 for an untrained network.
        licence: licence of the weights.
        provenance: versions, machine, date, hash of the training data, and the checkpoint that training started from.

    Raises:
        ModelError: the temperature is out of range.
    """

    network: str
    options: dict[str, Any]
    labels: LabelMap
    protocol: str
    size: Size
    normalization: Normalization = field(default_factory=Normalization)
    recipe: dict[str, Any] = field(default_factory=dict)
    temperature: float = 1.0
    score: dict[str, Any] | None = None
    epoch: int = 0
    licence: str = "not stated"
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not TEMPERATURES[0] <= self.temperature <= TEMPERATURES[1]:  # NaN is not
            low, high = TEMPERATURES
            raise ModelError(
                f"the temperature {self.temperature} is not in [{low:g}, {high:g}]; calibrate the model again"
            )

    def trained_on(self, split: str) -> bool:
        """Whether the recipe trained on the frames of a split, such as ``"val"``."""
        return split in str(self.recipe.get("train_split", "")).split("+")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form, read back by ``from_dict``."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__}
        data |= {
            "format": FORMAT,
            "labels": self.labels.to_dict(),
            "size": str(self.size),
            "normalization": {k: list(v) for k, v in asdict(self.normalization).items()},
        }
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], where: str = "the model card") -> ModelCard:
        """Read the form that ``to_dict`` returns.

        Args:
            data: the model card as a mapping.
            where: name of the source for error messages, such as the file's path.

        Raises:
            ModelError: something is missing, has the wrong type, or was written by a newer version.
        """
        fields = _Fields(data, where)
        version = fields.get("format", int, 0)
        if version > FORMAT:
            raise ModelError(f"{where} was written by a newer version of aaff (format {version}); update aaff")
        norm = _Fields(fields.get("normalization", dict), f"{where}: normalization")
        std = norm.triple("std")
        if min(std) <= 0:
            raise ModelError(f"{where}: normalization: std is {list(std)}; all three must be above 0")
        try:
            labels = LabelMap.from_dict(fields.get("labels", dict))
            size = Size.parse(fields.get("size", str))
        except AaffError as error:
            raise ModelError(f"{where}: {error}") from error
        return cls(
            network=fields.get("network", str),
            options=fields.get("options", dict),
            labels=labels,
            protocol=fields.get("protocol", str),
            size=size,
            normalization=Normalization(norm.triple("mean"), std),
            recipe=fields.get("recipe", dict, {}),
            temperature=fields.number("temperature", 1.0, TEMPERATURES),
            score=fields.get("score", dict, None),
            epoch=max(0, fields.get("epoch", int, 0)),
            licence=fields.get("licence", str, "not stated"),
            provenance=fields.get("provenance", dict, {}),
        )


_REQUIRED = object()
_CALLED = {int: "a whole number", str: "text", dict: "a mapping"}


class _Fields:
    """Typed access to the entries of a model card."""

    def __init__(self, data: object, where: str) -> None:
        if not isinstance(data, Mapping):
            raise ModelError(f"{where} must be a mapping of names to values, not {shown(data)}")
        self._data, self._where = data, where

    def get(self, name: str, kind: type, default: object = _REQUIRED) -> Any:
        """The value of an entry; null counts as absent if there is a default."""
        value = self._data.get(name)
        if value is None and default is not _REQUIRED:
            return default
        if name not in self._data:
            raise ModelError(f"{self._where} has no {name!r}, which a model card needs")
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ModelError(f"{self._where}: {name!r} must be {_CALLED[kind]}, not {shown(value)}")
        return value

    def number(self, name: str, default: float, bounds: tuple[float, float]) -> float:
        """A number within bounds."""
        value = self._data.get(name, default)
        low, high = bounds
        if type(value) not in (int, float) or not low <= value <= high:  # NaN is not within them
            raise ModelError(f"{self._where}: {name!r} must be a number in [{low:g}, {high:g}], not {shown(value)}")
        return float(value)

    def triple(self, name: str) -> tuple[float, float, float]:
        """Three finite numbers."""
        values = self._data.get(name)
        numbers = values if isinstance(values, list | tuple) and len(values) == 3 else ()
        if not numbers or not all(type(v) in (int, float) and math.isfinite(v) for v in numbers):
            raise ModelError(f"{self._where}: {name!r} must be three numbers, not {shown(values)}")
        red, green, blue = map(float, numbers)
        return red, green, blue
