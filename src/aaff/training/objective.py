"""The training objective: a weighted sum of losses, averaged correctly over micro-batches and ranks.

An optimisation step may process its batch in parts: sequential micro-batches and parallel ranks.  Each part returns a
sum and a normaliser, and the loss of the step is *the sum of the sums divided by the sum of the normalisers*.  The
normaliser is the sum of the class weights of the part's labelled pixels.  It depends only on the labels, so the global
one is known before the first forward pass.

- The cross-entropy, including that of auxiliary heads, is thus the weighted mean over all labelled pixels of the step,
  however the batch is divided.
- OHEM, the registered losses (Dice, Lovász-softmax) and those of boundary heads are not sums over pixels but depend on
  a set of pixels.  This set is the part (one micro-batch of one rank), and the loss of the step is the average over the
  parts, weighted by their normalisers.

A part without labelled pixels has sum 0, normaliser 0 and gradient 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from aaff.data.statistics import WEIGHTINGS, weight_classes
from aaff.errors import DataError, OptionError
from aaff.labels import IGNORE
from aaff.training.kernels.upsampled_loss import upsampled_cross_entropy, upsampled_nll
from aaff.training.losses import find_loss
from aaff.training.losses.auxiliary import find_auxiliary_loss
from aaff.training.options import LossOptions


@dataclass(frozen=True)
class LossParts:
    """The objective of one part of a batch.

    Attributes:
        sum: scalar with gradient; every term, times its weight, times the normaliser.
        normalizer: scalar, the sum of the class weights of the labelled pixels.
        terms: what each term adds to ``sum``, without gradient: ``"cross_entropy"``, names of registered losses,
            ``"distillation"``, ``"auxiliary.NAME"``.
    """

    sum: Tensor
    normalizer: Tensor
    terms: dict[str, Tensor]

    def mean(self) -> Tensor:
        """The objective if this part is the whole batch; 0 without labelled pixels."""
        return weighted_mean(self.sum, self.normalizer)


def weighted_mean(total: Tensor, normalizer: Tensor) -> Tensor:
    """``total / normalizer``, and 0 (with gradient 0) where both are 0.

    >>> weighted_mean(torch.tensor(3.0), torch.tensor(2.0)), weighted_mean(torch.tensor(0.0), torch.tensor(0.0))
    (tensor(1.5000), tensor(0.))
    """
    return total / torch.where(normalizer > 0, normalizer, 1)


def class_weights(
    choice: str | Sequence[float], counts: npt.ArrayLike, enet_constant: float = 1.10, power: float = 1.0
) -> Tensor | None:
    """Class weights of the cross-entropy from the class frequencies.

    Args:
        choice: a formula of ``aaff.data.statistics.weight_classes``, ``"none"``, or one number per class.
        counts: integers [images, C]: labelled pixels of each class in each training image.
        enet_constant: constant of ``"enet-log"``, above 1.
        power: exponent of the weights; values below 1 make them more similar.

    Returns:
        float32 [C], or None for ``"none"``.

    Raises:
        OptionError: there is not one number per class, or the choice is unknown.

    >>> class_weights("enet-log", [[60, 40], [0, 0]])
    tensor([1.8846, 2.4663])
    """
    weights = _plain_weights(choice, np.asarray(counts, np.float64), enet_constant)
    return None if weights is None else torch.from_numpy(weights**power).float()


def _plain_weights(
    choice: str | Sequence[float], table: npt.NDArray[np.float64], enet_constant: float
) -> npt.NDArray[np.float64] | None:
    if not isinstance(choice, str):
        if len(choice) != table.shape[1]:
            raise OptionError(
                f"loss.class_weights has {len(choice)} numbers, but the data has {table.shape[1]} classes;"
                " give one per class"
            )
        return np.array(choice, np.float64)
    if choice == "none":
        return None
    if choice not in WEIGHTINGS:
        known = ", ".join(WEIGHTINGS)
        raise OptionError(f"loss.class_weights is {choice!r}; choose {known} or none, or give numbers")
    around = (table.sum(1, keepdims=True) * (table > 0)).sum(0)  # all labelled pixels of the images with the class
    return weight_classes(choice, table.sum(0), around, enet_constant)


class Objective:
    """The objective defined by the loss options.

    Args:
        options: the terms and their weights.
        num_classes: number of classes C of the network.
        weights: class weights [C] of the cross-entropy (see ``class_weights``), or None for 1 each.
        auxiliary_losses: losses of auxiliary heads that are not trained with the cross-entropy, by the heads' names,
            as in ``net.auxiliary_losses``.

    Raises:
        OptionError: the number of weights is not C.
        UnknownNameError: there is no such auxiliary loss.

    >>> objective = Objective(LossOptions(), num_classes=2)
    >>> parts = objective(torch.zeros(1, 2, 2, 2), {}, torch.zeros(1, 8, 8, dtype=torch.uint8))
    >>> round(float(parts.mean()), 4)
    0.6931
    """

    def __init__(
        self,
        options: LossOptions,
        num_classes: int,
        weights: Tensor | None = None,
        auxiliary_losses: Mapping[str, str] | None = None,
    ) -> None:
        if weights is not None and weights.shape != (num_classes,):
            raise OptionError(f"{len(weights)} class weights were given for {num_classes} classes; give one per class")
        self.options = options
        self.losses = {name: (find_loss(name), weight) for name, weight in options.weights().items()}
        self.auxiliary_losses = {head: find_auxiliary_loss(name) for head, name in (auxiliary_losses or {}).items()}
        self.num_classes = num_classes
        self.weights = torch.ones(num_classes) if weights is None else weights.float()

    def normalizer(self, target: Tensor) -> Tensor:
        """Sum of the class weights of the labelled pixels of ``target`` (uint8 [N, H, W]), float32 scalar.

        Raises:
            DataError: an id is neither a class nor 255 (checked only on a CPU; on a GPU, the check would force a
                synchronisation, and the loss kernels assert it themselves).
        """
        counts = torch.bincount(target.flatten(), minlength=256)
        if target.device.type == "cpu" and counts[self.num_classes : IGNORE].any():
            found = self.num_classes + int(counts[self.num_classes : IGNORE].nonzero()[0])
            raise DataError(f"the label holds the id {found}, but the network has classes 0 to {self.num_classes - 1}")
        return torch.dot(counts[: self.num_classes].double(), self.weights.to(target.device).double()).float()

    def __call__(
        self, logits: Tensor, auxiliary: Mapping[str, Tensor], target: Tensor, teacher: Tensor | None = None
    ) -> LossParts:
        """Compute the objective of one part of a batch.

        Args:
            logits: native logits [N, C, h, w], any floating type.
            auxiliary: outputs of the auxiliary heads by name, native logits [N, C, any, any] or as their own losses
                require; may be empty.
            target: uint8 [N, H, W], class ids or 255.
            teacher: native logits of the teacher [N, C, any, any], or None.

        Raises:
            OptionError: there are several auxiliary weights, but not one for each head.
            DataError: shapes or label ids do not match the logits.
        """
        with torch.autocast(logits.device.type, enabled=False):  # sums over a million pixels need float32
            return self._parts(logits, auxiliary, target, teacher)

    def _parts(
        self, logits: Tensor, auxiliary: Mapping[str, Tensor], target: Tensor, teacher: Tensor | None
    ) -> LossParts:
        options = self.options
        normalizer = self.normalizer(target)
        terms: dict[str, Tensor] = {}
        if options.cross_entropy:
            terms["cross_entropy"] = options.cross_entropy * self._cross_entropy(logits, target, normalizer)
        if self.losses:
            every = slice(None, None, options.every)
            large = enlarge(logits, target.shape[1], target.shape[2])[..., every, every]
            for name, (loss, weight) in self.losses.items():
                terms[name] = weight * loss(large, target[:, every, every]) * normalizer
        if teacher is not None and options.distillation:
            term = distillation(logits, teacher, options.temperature)
            terms["distillation"] = options.distillation * term * normalizer
        for (name, head), weight in zip(auxiliary.items(), self.auxiliary_weights(list(auxiliary)), strict=True):
            if not weight:
                continue
            if name in self.auxiliary_losses:
                large = enlarge(head, target.shape[1], target.shape[2])
                term = self.auxiliary_losses[name](large, target, logits) * normalizer
            else:
                term = self._cross_entropy(head, target, normalizer)
            terms[f"auxiliary.{name}"] = weight * term
        total = torch.stack(list(terms.values())).sum()
        return LossParts(total, normalizer, {name: term.detach() for name, term in terms.items()})

    def auxiliary_weights(self, auxiliary: Sequence[str]) -> tuple[float, ...]:
        """The weight of each of these auxiliary heads.

        Raises:
            OptionError: there are several weights, but not one for each head.
        """
        given = self.options.auxiliary
        if len(given) == 1:
            return given * len(auxiliary)
        if auxiliary and len(given) != len(auxiliary):
            raise OptionError(
                f"loss.auxiliary has {len(given)} weights, but the network has {len(auxiliary)} auxiliary heads"
                f" ({', '.join(auxiliary)}); give one for all or one per head"
            )
        return given if auxiliary else ()

    def _cross_entropy(self, logits: Tensor, target: Tensor, normalizer: Tensor) -> Tensor:
        options = self.options
        if options.ohem_keep == 1:
            return upsampled_cross_entropy(logits, target, self.weights, label_smoothing=options.label_smoothing)[0]
        hard = hard_pixels(logits, target, options.ohem_keep, options.ohem_threshold)
        total, divisor = upsampled_cross_entropy(logits, hard, self.weights, label_smoothing=options.label_smoothing)
        return weighted_mean(total, divisor) * normalizer


def hard_pixels(logits: Tensor, target: Tensor, keep: float, threshold: float) -> Tensor:
    """Ignore all easy pixels of a label: online hard example mining (arXiv:1604.03540) for pixels.

    A pixel is hard if the probability of its true class is at most ``threshold``, or if it is among the ``keep`` share
    of labelled pixels with the highest loss (including ties).

    Args:
        logits: native logits [N, C, h, w].
        target: uint8 [N, H, W].
        keep: share of pixels, in (0, 1].
        threshold: probability, in [0, 1].

    Returns:
        uint8 [N, H, W], a copy of ``target`` with 255 on easy pixels.
    """
    nll = upsampled_nll(logits, target)
    labelled = target != IGNORE
    losses = nll[labelled]
    if not len(losses):
        return target
    at_least = math.ceil(keep * len(losses))
    cut = losses.kthvalue(len(losses) - at_least + 1).values
    if threshold > 0:
        cut = cut.clamp(max=-math.log(threshold))
    return target.masked_fill(labelled & (nll < cut), IGNORE)


def enlarge(logits: Tensor, height: int, width: int) -> Tensor:
    """Resize native logits [N, C, h, w] bilinearly to [N, C, height, width]; at least float32."""
    precise = logits if logits.dtype == torch.float64 else logits.float()
    return F.interpolate(precise, (height, width), mode="bilinear", align_corners=False)


def distillation(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence from the teacher's class probabilities, averaged over all pixels of the logits.

    T² · Σ_c p_teacher(c) · ln(p_teacher(c) / p(c)) with both softmaxes of logits / T, as in G. Hinton, O. Vinyals and
    J. Dean (arXiv:1503.02531, section 2).  Ignored pixels count as well, since the teacher labels them.

    Args:
        logits: native logits [N, C, h, w].
        teacher: the teacher's native logits [N, C, any, any], resized to h × w here, without gradient.
        temperature: T, above 0.

    >>> logits = torch.zeros(1, 2, 1, 1)
    >>> float(distillation(logits, logits, 2.0))
    0.0
    """
    wanted = enlarge(teacher.detach(), *logits.shape[-2:]).div(temperature).log_softmax(1)
    own = enlarge(logits, *logits.shape[-2:]).div(temperature).log_softmax(1)
    return temperature**2 * F.kl_div(own, wanted, reduction="none", log_target=True).sum(1).mean()
