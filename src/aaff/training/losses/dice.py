"""Soft Dice loss: overlap per class, whatever its size in pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from aaff.labels import IGNORE
from aaff.training.losses import register_loss


@register_loss
def dice(logits: Tensor, target: Tensor) -> Tensor:
    """Soft Dice loss, the mean over the classes present in the label of 1 − 2 Σ p·t / (Σ p + Σ t).

    The sums run over all labelled pixels given (the batch, not each image).  Linear sums in the denominator,
    as arXiv:1707.03237 has them; no smoothing is needed, since a present class has Σ t ≥ 1.

    Args:
        logits: [N, C, H, W].
        target: uint8 [N, H, W], classes or 255.

    Returns:
        Scalar in 0 … 1; 0 without a labelled pixel.
    """
    probabilities = logits.softmax(1)
    labelled = (target != IGNORE).to(probabilities.dtype)
    ids = target.masked_fill(target == IGNORE, 0).long()
    own = probabilities.gather(1, ids.unsqueeze(1)).squeeze(1) * labelled
    empty = probabilities.new_zeros(probabilities.shape[1])
    overlap = empty.index_add(0, ids.flatten(), own.flatten())
    counts = empty.index_add(0, ids.flatten(), labelled.flatten())
    mass = torch.matmul(probabilities.flatten(2), labelled.flatten(1).unsqueeze(2)).sum((0, 2))
    present = counts > 0
    return (1 - 2 * overlap[present] / (mass + counts)[present]).sum() / present.sum().clamp(min=1)
