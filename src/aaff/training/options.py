"""What can be chosen about the objective and the optimiser: plain values, checked when they are made.

The docstring under each field is its ``--help`` text.  Nothing here needs torch.
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
    """Dice, Lovász-softmax and registered losses see every so-many-th pixel of every so-many-th row: 2 costs a quarter
    and changes little, since their pixels are alike."""
    terms: tuple[str, ...] = ()
    """Further registered losses with their weights as NAME=WEIGHT, such as those of a plug-in."""
    distillation: float = 1.0
    """With --teacher: weight of the divergence from the teacher's classes."""
    temperature: float = 2.0
    """With --teacher: what both networks' logits are divided by before they are compared."""
    class_weights: Literal["enet-log", "median-frequency", "none"] | tuple[float, ...] = "enet-log"
    """Class weights of the cross-entropy: enet-log is 1/ln(1.10 + share of the class), or one number per class."""
    enet_constant: float = 1.10
    """The constant of enet-log: 1.02 in ENet weighs rare classes up to 50, 1.10 up to 10."""
    class_weights_power: float = 1.0
    """Exponent of the class weights: 0.5 softens them, 0 makes them equal."""
    label_smoothing: float = 0.0
    """Share of the target that label smoothing spreads over all classes, in [0, 1)."""
    ohem_keep: float = 1.0
    """Hard pixels only (OHEM): the cross-entropy keeps at least this share of the pixels; 1 keeps all."""
    ohem_threshold: float = 0.7
    """With OHEM, pixels whose own class has less than this probability are kept beyond the share."""
    auxiliary: tuple[float, ...] = (1.0,)
    """Weights of the auxiliary heads' losses: one for all heads or one per head; used if there are heads."""

    def __post_init__(self) -> None:
        weights = self.weights()
        terms = {"cross_entropy": self.cross_entropy, "dice": self.dice, "lovasz": self.lovasz}
        for name, value in terms.items():
            _need(0 <= value < math.inf, f"loss.{name} is {value}", "a weight of 0 or more is needed")
        _need(
            any(terms.values()) or any(weights.values()),
            "loss.cross_entropy, loss.dice and loss.lovasz are all 0 and loss.terms is empty",
            "give at least one a weight, or nothing is learned",
        )
        _need(self.every >= 1, f"loss.every is {self.every}", "1 or more is needed")
        _need(0 <= self.distillation < math.inf, f"loss.distillation is {self.distillation}", "0 or more is needed")
        _need(0 < self.temperature < math.inf, f"loss.temperature is {self.temperature}", "a positive value is needed")
        _need(1 < self.enet_constant < math.inf, f"loss.enet_constant is {self.enet_constant}", "it must be above 1")
        _need(
            0 <= self.class_weights_power < math.inf,
            f"loss.class_weights_power is {self.class_weights_power}",
            "0 or more is needed",
        )
        if not isinstance(self.class_weights, str):
            good = all(0 <= w < math.inf for w in self.class_weights) and any(self.class_weights)
            _need(
                good, f"loss.class_weights is {list(self.class_weights)}", "numbers of 0 or more, not all 0, are needed"
            )
        _need(0 <= self.label_smoothing < 1, f"loss.label_smoothing is {self.label_smoothing}", "it must be in [0, 1)")
        _need(
            0 < self.ohem_keep <= 1,
            f"loss.ohem_keep is {self.ohem_keep}",
            "it must be in (0, 1]; OHEM that keeps no pixel learns nothing",
        )
        _need(0 <= self.ohem_threshold <= 1, f"loss.ohem_threshold is {self.ohem_threshold}", "a probability is needed")
        _need(
            self.ohem_keep == 1 or self.cross_entropy > 0,
            f"loss.ohem_keep is {self.ohem_keep} but loss.cross_entropy is 0",
            "OHEM chooses pixels of the cross-entropy: give it a weight or leave ohem_keep at 1",
        )
        _need(
            len(self.auxiliary) > 0 and all(0 <= w < math.inf for w in self.auxiliary),
            f"loss.auxiliary is {list(self.auxiliary)}",
            "one weight of 0 or more for all heads, or one per head, is needed",
        )

    def weights(self) -> dict[str, float]:
        """The registered losses that are switched on, with their weights.

        Raises:
            OptionError: an entry of ``terms`` is not NAME=WEIGHT, or its weight is impossible.

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
            _need(0 <= weight < math.inf, f"loss.terms has {entry}", "a weight of 0 or more is needed")
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
    """Highest learning rate, reached after warm-up."""
    weight_decay: float = 0.01
    """Weight decay: decoupled from the gradient in adamw, an L2 term in sgd (there 1e-4 is usual)."""
    momentum: float = 0.9
    """Momentum of sgd."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the first and second moment in adamw."""
    schedule: Literal["poly", "cosine", "constant"] = "poly"
    """How the learning rate falls from the end of warm-up to the last step."""
    power: float = 0.9
    """Exponent of the poly schedule."""
    warmup: float = 1.0
    """Epochs (parts allowed) over which the learning rate rises linearly from near 0; at most half of the training."""
    min_lr: float = 0.0
    """Learning rate at the end of the schedule."""
    clip_norm: float = 0.0
    """Largest global norm of the gradient; 0 does not clip."""
    backbone_lr_factor: float = 1.0
    """Factor on the learning rate of parameters under "backbone.", below 1 for a pretrained backbone."""
    decay_norm_bias: bool = False
    """Apply weight decay to norms and biases too (every parameter of one dimension or none)."""
    ema: float = 0.0
    """Decay of the moving average of the weights that is evaluated and kept, such as 0.999; 0 keeps none."""

    def __post_init__(self) -> None:
        _need(0 < self.lr < math.inf, f"optim.lr is {self.lr}", "a positive learning rate is needed")
        _need(0 <= self.weight_decay < math.inf, f"optim.weight_decay is {self.weight_decay}", "0 or more is needed")
        _need(0 <= self.momentum < 1, f"optim.momentum is {self.momentum}", "it must be in [0, 1)")
        _need(all(0 <= b < 1 for b in self.betas), f"optim.betas is {list(self.betas)}", "it must be in [0, 1)")
        _need(0 < self.power < math.inf, f"optim.power is {self.power}", "a positive exponent is needed")
        _need(0 <= self.warmup < math.inf, f"optim.warmup is {self.warmup}", "0 or more epochs are needed")
        _need(
            0 <= self.min_lr <= self.lr,
            f"optim.min_lr is {self.min_lr} and optim.lr {self.lr}",
            "the schedule falls, so min_lr must lie between 0 and lr",
        )
        _need(
            self.schedule != "constant" or self.min_lr == 0,
            f"optim.min_lr is {self.min_lr} but optim.schedule is constant",
            "a constant rate has no end to fall to: choose poly or cosine or leave min_lr at 0",
        )
        _need(0 <= self.clip_norm < math.inf, f"optim.clip_norm is {self.clip_norm}", "0 or more is needed")
        _need(
            0 < self.backbone_lr_factor < math.inf,
            f"optim.backbone_lr_factor is {self.backbone_lr_factor}",
            "a positive factor is needed",
        )
        _need(0 <= self.ema < 1, f"optim.ema is {self.ema}", "it must be in [0, 1)")


def _need(condition: bool, what: str, fix: str) -> None:
    """Raise OptionError unless the condition holds; a NaN fails every comparison and so is refused."""
    if not condition:
        raise OptionError(f"{what}; {fix}")
