"""Losses of auxiliary heads that are not trained with the cross-entropy; a network names them in ``auxiliary_losses``.

A loss is a function ``name(head, target, logits) -> scalar`` of the head's output [N, K, H, W], resized to the size of
the label (float32), the label uint8 [N, H, W] with 255 for ignored pixels, which must not count, and the network's own
native logits [N, C, h, w], for losses that combine both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from aaff.labels import IGNORE
from aaff.plugins import Registry
from aaff.training.kernels.upsampled_loss import upsampled_cross_entropy

AuxiliaryLoss = Callable[[Tensor, Tensor, Tensor], Tensor]
_LossT = TypeVar("_LossT", bound=AuxiliaryLoss)

_LOSSES: Registry[AuxiliaryLoss] = Registry("auxiliary loss", "aaff.losses")


def register_auxiliary_loss(function: _LossT) -> _LossT:
    """Register the decorated function under its own name."""
    _LOSSES.add(function.__name__, function)
    return function


def find_auxiliary_loss(name: str) -> AuxiliaryLoss:
    """Find a loss by name.

    Raises:
        UnknownNameError: there is no such loss; the message suggests the nearest name.
    """
    return _LOSSES.find(name)


BOUNDARY_WEIGHT = 20.0
"""Weight of PIDNet's boundary term (λ₁ of section 3.5)."""

SURE = 0.8
"""Predicted probability of a boundary from which a pixel counts in PIDNet's boundary-awareness term."""

_REACH = 2
"""Pixels of a boundary on either side of it."""


def boundaries(target: Tensor, reach: int = _REACH) -> Tensor:
    """Whether classes meet within ``reach`` pixels; bool [N, H, W] of a label uint8 [N, H, W].

    An ignored pixel has no class, so nothing meets there.

    >>> boundaries(torch.tensor([[[0, 0, 0, 1, 1, 1]]], dtype=torch.uint8), reach=1).int().tolist()
    [[[0, 0, 1, 1, 0, 0]]]
    """
    label = target.unsqueeze(1).float()
    ignored = label == IGNORE
    highest = F.max_pool2d(label.masked_fill(ignored, -1), 2 * reach + 1, 1, reach)
    lowest = -F.max_pool2d(-label.masked_fill(ignored, IGNORE), 2 * reach + 1, 1, reach)
    return (highest > lowest).squeeze(1) & ~ignored.squeeze(1)


@register_auxiliary_loss
def boundary(head: Tensor, target: Tensor, logits: Tensor) -> Tensor:
    """PIDNet's losses of boundaries (section 3.5): 20 · weighted BCE + cross-entropy where a boundary is predicted.

    In the binary cross-entropy each of the two kinds of pixel is weighted by the share of the other.  The second
    term, boundary awareness, asks the network's own logits for the right class where the head is sure of a boundary.

    Args:
        head: logits of a boundary [N, 1, H, W].
        target: uint8 [N, H, W].
        logits: native logits [N, C, h, w].

    Returns:
        Scalar; 0 without a labelled pixel.
    """
    labelled = target != IGNORE
    if not labelled.any():
        return head.sum() * 0
    wanted = boundaries(target)[labelled].float()
    share = wanted.mean()
    weights = torch.where(wanted > 0, 1 - share, share)
    binary = F.binary_cross_entropy_with_logits(head.squeeze(1)[labelled], wanted, weights)
    sure = head.detach().squeeze(1).sigmoid() > SURE
    total, divisor = upsampled_cross_entropy(logits, target.masked_fill(~sure, IGNORE))
    return BOUNDARY_WEIGHT * binary + total / divisor.clamp(min=1)


DETAIL_SHARES = (0.6, 0.3, 0.1)
"""Shares of the Laplacians at strides 1, 2 and 4 in the ground truth of details (STDC's learned fusion, as it starts:
the threshold behind it passes no gradient)."""

DETAIL_THRESHOLD = 0.1


def details(target: Tensor) -> Tensor:
    """STDC's ground truth of details (section 3.3); bool [N, H, W] of a label uint8 [N, H, W].

    A Laplacian at strides 1, 2 and 4, each result enlarged and thresholded, then their weighted sum thresholded.
    The edge of the frame is not a detail: the label is repeated beyond it (the authors' release pads with class 0).
    Nor is the edge of an ignored region: windows with an ignored pixel have no detail.

    >>> details(torch.tensor([[[0, 0, 0, 1, 1, 1]]], dtype=torch.uint8)).int().tolist()
    [[[0, 0, 0, 1, 0, 0]]]
    """
    label = F.pad(target.unsqueeze(1).float(), (1, 1, 1, 1), mode="replicate")
    kernel = -torch.ones(1, 1, 3, 3, device=target.device)
    kernel[..., 1, 1] = 8
    void = (label == IGNORE).float()
    total = torch.zeros(target.shape, device=target.device).unsqueeze(1)
    for stride, share in zip((1, 2, 4), DETAIL_SHARES, strict=True):
        known = F.max_pool2d(void, 3, stride) == 0
        edges = ((F.conv2d(label, kernel, stride=stride) > DETAIL_THRESHOLD) & known).float()
        total += share * F.interpolate(edges, size=target.shape[-2:], mode="nearest")
    return (total > DETAIL_THRESHOLD + 1e-6).squeeze(1)  # the coarsest alone reaches the threshold and is not above it


@register_auxiliary_loss
def detail(head: Tensor, target: Tensor, logits: Tensor) -> Tensor:
    """STDC's loss of details (section 3.3): binary cross-entropy + Dice.

    Args:
        head: logits of a detail [N, 1, H, W].
        target: uint8 [N, H, W].
        logits: not used.

    Returns:
        Scalar; 0 without a labelled pixel.
    """
    labelled = (target != IGNORE).float()
    wanted = details(target).float() * labelled
    predicted = head.squeeze(1)
    binary = F.binary_cross_entropy_with_logits(predicted, wanted, labelled, reduction="sum")
    probability = predicted.sigmoid() * labelled
    overlap, both = (probability * wanted).sum((1, 2)), (probability + wanted).sum((1, 2))
    dice = 1 - (2 * overlap + 1) / (both + 1)
    return binary / labelled.sum().clamp(min=1) + dice.mean()
