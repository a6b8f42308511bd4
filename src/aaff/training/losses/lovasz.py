"""Lovász-softmax loss: a surrogate of the IoU itself; slow, since it sorts every pixel of every class."""

from __future__ import annotations

import torch
from torch import Tensor

from aaff.labels import IGNORE
from aaff.training.losses import register_loss


@register_loss
def lovasz(logits: Tensor, target: Tensor) -> Tensor:
    """Lovász-softmax loss (Berman et al., arXiv:1705.08790, equation 11), a convex surrogate of 1 − IoU.

    The mean over the classes present in the label of the Lovász extension of the Jaccard loss at the
    vector of errors |t − p|, over all labelled pixels given (the batch, not each image).

    Args:
        logits: [N, C, H, W].
        target: uint8 [N, H, W], classes or 255.

    Returns:
        Scalar in 0 … 1; 0 without a labelled pixel.
    """
    probabilities = logits.softmax(1)
    ids = target.flatten()
    void = ids == IGNORE
    total = probabilities.sum() * 0  # keeps the graph when there is no pixel
    present = torch.bincount(ids, minlength=256)[:IGNORE].nonzero().flatten().tolist()
    for c in present:
        own = ids == c
        errors = (own.to(probabilities.dtype) - probabilities[:, c].flatten()).abs()
        total = total + torch.dot(errors, _jaccard_steps(errors.detach(), own, void))
    return total / max(len(present), 1)


@torch.no_grad()
def _jaccard_steps(errors: Tensor, own: Tensor, void: Tensor) -> Tensor:
    """Gradient of the Lovász extension at ``errors`` [M]; 0 for void pixels.

    It is what each pixel adds to 1 − IoU of the class when pixels are taken as wrong in the order of
    falling errors.  Computed in float64, since one step of a million pixels is near the rounding of float32.
    """
    # The bits of positive floats sort like integers, and integers sort six times as fast (by radix, if the
    # order rises).  Void pixels come last, where they change nothing.
    bits = errors.view(torch.int64 if errors.dtype == torch.float64 else torch.int32)
    order = bits.neg().masked_fill_(void, 1).argsort()[: len(void) - int(void.sum())]
    wrong = own[order].cumsum(0)
    hits = wrong[-1]
    others = torch.arange(1, len(wrong) + 1, device=wrong.device) - wrong
    loss = 1 - (hits - wrong).double() / (hits + others)
    steps = torch.cat([loss[:1], loss.diff()]).to(errors.dtype)
    return torch.zeros_like(errors).scatter_(0, order, steps)
