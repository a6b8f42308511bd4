"""Options of the loss and of the optimiser: frozen dataclasses that check their values.

The docstring under each field is its ``--help`` text.  This module does not need torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from aaff.errors import OptionError


@dataclass(frozen=True)
class LossOptions:
    """The objective: a weighted sum of terms; a weight of 0 switches a term off.

    Raises:
        OptionError: a value is out of range or two of them contradict each other.
    """

    cross_entropy: float = 1.0
    """Weight of the cross-entropy."""
    dice: float = 0.0
    """Weight of the Dice loss over the classes present in the batch."""
    lovasz: float = 0.0
    """Weight of the Lovász-softmax loss over the classes present in the batch; slow, it sorts every pixel."""
    every: int = 1
    """Pixel stride of the Dice, Lovász-softmax and registered losses along both axes.
    2 costs a quarter and changes little, since neighbouring pixels are similar."""
    terms: tuple[str, ...] = ()
    """Further registered losses, such as those of a plug-in, with their weights as NAME=WEIGHT."""
    distillation: float = 1.0
    """With --teacher: weight of the KL divergence from the teacher's class probabilities."""
    temperature: float = 2.0
    """With --teacher: softmax temperature of both networks in the distillation loss."""
    class_weights: Literal["enet-log", "median-frequency", "none"] | tuple[float, ...] = "enet-log"
    """Class weights of the cross-entropy: enet-log is 1/ln(enet_constant + class frequency), or one number each."""
    enet_constant: float = 1.10
    """Constant of enet-log: 1.02, as in ENet, gives rare classes weights up to 50; 1.10 up to 10."""
    class_weights_power: float = 1.0
    """Exponent of the class weights: 0.5 softens them, 0 makes them equal."""
    label_smoothing: float = 0.0
    """Label smoothing: share of the target spread evenly over all classes, in [0, 1)."""
    ohem_keep: float = 1.0
    """Online hard example mining (OHEM): smallest share of the pixels that the cross-entropy keeps; 1 keeps all."""
    ohem_threshold: float = 0.7
    """OHEM also keeps every pixel whose true class has less than this probability."""
    auxiliary: tuple[float, ...] = (1.0,)
    """Weights of the auxiliary losses: one for all auxiliary heads or one per head; ignored without such heads."""

    def __post_init__(self) -> None:
        weights = self.weights()
        terms = {"cross_entropy": self.cross_entropy, "dice": self.dice, "lovasz": self.lovasz}
        for name, value in terms.items():
            _need(0 <= value < math.inf, f"loss.{name} is {value}", "it must be 0 or more")
        _need(
            any(terms.values()) or any(weights.values()),
            "loss.cross_entropy, loss.dice and loss.lovasz are all 0 and loss.terms is empty",
            "give at least one of them a positive weight",
        )
        _need(self.every >= 1, f"loss.every is {self.every}", "it must be at least 1")
        _need(0 <= self.distillation < math.inf, f"loss.distillation is {self.distillation}", "it must be 0 or more")
        _need(0 < self.temperature < math.inf, f"loss.temperature is {self.temperature}", "it must be above 0")
        _need(1 < self.enet_constant < math.inf, f"loss.enet_constant is {self.enet_constant}", "it must be above 1")
        _need(
            0 <= self.class_weights_power < math.inf,
            f"loss.class_weights_power is {self.class_weights_power}",
            "it must be 0 or more",
        )
        if not isinstance(self.class_weights, str):
            good = all(0 <= w < math.inf for w in self.class_weights) and any(self.class_weights)
            _need(good, f"loss.class_weights is {list(self.class_weights)}", "they must be 0 or more and not all 0")
        _need(0 <= self.label_smoothing < 1, f"loss.label_smoothing is {self.label_smoothing}", "it must be in [0, 1)")
        _need(
            0 < self.ohem_keep <= 1,
            f"loss.ohem_keep is {self.ohem_keep}",
            "it must be in (0, 1]; OHEM that keeps no pixel learns nothing",
        )
        _need(0 <= self.ohem_threshold <= 1, f"loss.ohem_threshold is {self.ohem_threshold}", "it must be in [0, 1]")
        _need(
            self.ohem_keep == 1 or self.cross_entropy > 0,
            f"loss.ohem_keep is {self.ohem_keep} but loss.cross_entropy is 0",
            "OHEM selects pixels of the cross-entropy: give it a positive weight or leave ohem_keep at 1",
        )
        _need(
            len(self.auxiliary) > 0 and all(0 <= w < math.inf for w in self.auxiliary),
            f"loss.auxiliary is {list(self.auxiliary)}",
            "give one weight of 0 or more for all heads, or one per head",
        )

    def weights(self) -> dict[str, float]:
        """The active registered losses with their weights.

        Raises:
            OptionError: an entry of ``terms`` is not NAME=WEIGHT, or its weight is negative or not finite.

        >>> LossOptions(dice=0.5, terms=("focal=2",)).weights()
        {'dice': 0.5, 'focal': 2.0}
        """
        found = {name: weight for name, weight in (("dice", self.dice), ("lovasz", self.lovasz)) if weight}
        for entry in self.terms:
            name, _, value = entry.partition("=")
            try:
                weight = float(value)
            except ValueError:
                raise OptionError(f"loss.terms: {entry!r} is not NAME=WEIGHT, such as dice=0.5") from None
            _need(0 <= weight < math.inf, f"loss.terms has {entry}", "a weight must be 0 or more")
            found[name.strip()] = weight
        return found


@dataclass(frozen=True)
class OptimOptions:
    """Optimiser, learning-rate schedule, clipping and weight averaging.

    Raises:
        OptionError: a value is out of range or two of them contradict each other.
    """

    optimizer: Literal["adamw", "sgd"] = "adamw"
    """Optimiser."""
    lr: float = 2e-3
    """Peak learning rate, reached after warm-up."""
    weight_decay: float = 0.01
    """Weight decay: decoupled in adamw, an L2 term in sgd (for which 1e-4 is usual)."""
    momentum: float = 0.9
    """Momentum of sgd."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay rates of the first and second moment in adamw."""
    schedule: Literal["poly", "cosine", "constant"] = "poly"
    """Learning-rate schedule from the end of warm-up to the last step."""
    power: float = 0.9
    """Exponent of the poly schedule."""
    warmup: float = 1.0
    """Epochs of linear warm-up, fractions allowed; at most half of the training."""
    min_lr: float = 0.0
    """Learning rate at the end of the schedule."""
    clip_norm: float = 0.0
    """Clip the global gradient norm to this value; 0 disables clipping."""
    backbone_lr_factor: float = 1.0
    """Learning-rate factor of the parameters under "backbone."; use a value below 1 for a pretrained backbone."""
    decay_norm_bias: bool = False
    """Also apply weight decay to normalisation layers and biases (parameters with at most one dimension)."""
    ema: float = 0.0
    """Decay of the exponential moving average (EMA) of the weights, which is evaluated and saved, such as 0.999.
    0 disables it."""

    def __post_init__(self) -> None:
        _need(0 < self.lr < math.inf, f"optim.lr is {self.lr}", "it must be above 0")
        _need(0 <= self.weight_decay < math.inf, f"optim.weight_decay is {self.weight_decay}", "it must be 0 or more")
        _need(0 <= self.momentum < 1, f"optim.momentum is {self.momentum}", "it must be in [0, 1)")
        _need(all(0 <= b < 1 for b in self.betas), f"optim.betas is {list(self.betas)}", "both must be in [0, 1)")
        _need(0 < self.power < math.inf, f"optim.power is {self.power}", "it must be above 0")
        _need(0 <= self.warmup < math.inf, f"optim.warmup is {self.warmup}", "it must be 0 or more epochs")
        _need(
            0 <= self.min_lr <= self.lr,
            f"optim.min_lr is {self.min_lr} and optim.lr {self.lr}",
            "min_lr must be between 0 and lr, since the learning rate decreases",
        )
        _need(
            self.schedule != "constant" or self.min_lr == 0,
            f"optim.min_lr is {self.min_lr} but optim.schedule is constant",
            "a constant learning rate does not decrease: choose poly or cosine, or leave min_lr at 0",
        )
        _need(0 <= self.clip_norm < math.inf, f"optim.clip_norm is {self.clip_norm}", "it must be 0 or more")
        _need(
            0 < self.backbone_lr_factor < math.inf,
            f"optim.backbone_lr_factor is {self.backbone_lr_factor}",
            "it must be above 0",
        )
        _need(0 <= self.ema < 1, f"optim.ema is {self.ema}", "it must be in [0, 1)")


def _need(condition: bool, what: str, fix: str) -> None:
    """Raise OptionError unless the condition holds; NaN fails every comparison and is rejected too."""
    if not condition:
        raise OptionError(f"{what}; {fix}")
