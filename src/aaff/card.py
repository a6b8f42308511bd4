"""What a trained network says about itself: the card that every checkpoint and exported file carries.

Nobody should need the training code, or a guess, to know what a file's outputs mean, how a frame must
be normalised, which data and split its score comes from and what its licence allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from aaff.errors import ModelError
from aaff.labels import LabelMap
from aaff.preprocess import Normalization, Size

FORMAT = 1
"""Version of the card; a reader refuses a newer one."""


@dataclass(frozen=True)
class ModelCard:
    """Description of one trained network.

    Attributes:
        network: registered name, such as ``"depthwise_aaff"``.
        options: options the network was created with, besides the number of classes.
        labels: classes, names and colours of the outputs.
        protocol: what its scores are called (``"camvid11"``, …).
        size: frame size it was trained and scored at.
        normalization: how RGB 0–255 becomes the network's input.
        recipe: the effective training recipe, flat or nested, JSON-ready.
        temperature: the logits are divided by it before the softmax that gives the confidence; chosen on the
            validation split so that confidence is calibrated.
        score: metrics with ``split``; ``selected_on`` names the split that chose this epoch.  None: unscored.
        epoch: epochs trained, 0 for an untrained network.
        licence: licence of the weights.
        provenance: versions, machine, date, hash of the training data.
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

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form, read back by :meth:`from_dict`."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__}
        data |= {
            "format": FORMAT,
            "labels": self.labels.to_dict(),
            "size": str(self.size),
            "normalization": {k: list(v) for k, v in asdict(self.normalization).items()},
        }
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], where: str = "the model's card") -> ModelCard:
        """Read what :meth:`to_dict` wrote.

        Args:
            where: named in the error message, such as the file's path.

        Raises:
            ModelError: something is missing, has the wrong type, or was written by a newer version.
        """
        if int(data.get("format", 0)) > FORMAT:
            raise ModelError(f"{where} was written by a newer version of aaff; update with: pip install -U aaff")
        try:
            norm = data["normalization"]
            return cls(
                network=str(data["network"]),
                options=dict(data["options"]),
                labels=LabelMap.from_dict(data["labels"]),
                protocol=str(data["protocol"]),
                size=Size.parse(data["size"]),
                normalization=Normalization(_triple(norm["mean"]), _triple(norm["std"])),
                recipe=dict(data.get("recipe") or {}),
                temperature=float(data.get("temperature", 1.0)),
                score=data.get("score"),
                epoch=int(data.get("epoch", 0)),
                licence=str(data.get("licence", "not stated")),
                provenance=dict(data.get("provenance") or {}),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{where} lacks what a model's card needs: {error}") from error


def _triple(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(v) for v in values)
    return red, green, blue
