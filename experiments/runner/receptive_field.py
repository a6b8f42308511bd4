"""How much of the frame the logits at its centre depend on, measured on trained weights.

The effective receptive field of W. Luo et al., "Understanding the Effective Receptive Field in Deep Convolutional
Neural Networks", NIPS 2016: the gradient of one output with respect to the frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from aaff.data.sample import Dataset
from aaff.networks import SegmentationNetwork
from aaff.networks.normalize import normalize
from aaff.preprocess import Normalization

FRAMES = 8
"""Frames of the split, evenly spread, over which the gradient is averaged."""

SHARES = (0.5, 0.95)
"""Of the gradient's sum that a window around the centre must hold."""


def measure_receptive_field(
    net: SegmentationNetwork, dataset: Dataset, normalization: Normalization | None = None
) -> dict[str, Any]:
    """Reach and extent of the gradient at the centre of frames of a split.

    Args:
        net: a trained network; it is put into evaluation mode.
        dataset: the split; frames are taken at their own size.
        normalization: of the network's input; default: this package's.

    Returns:
        ``frames``, how many; ``reach``, the share of the pixels whose gradient is not 0 (the theoretical receptive
        field inside the frame); ``window50`` and ``window95``, the side of the centred window of the frame's shape
        that holds so many percent of the absolute gradient, as a share of the frame's side.
    """
    chosen = np.unique(np.linspace(0, len(dataset) - 1, FRAMES).round().astype(int))
    total: npt.NDArray[np.float64] | None = None
    for index in chosen:
        found = gradient(net, dataset[int(index)].image, normalization or Normalization())
        total = found if total is None else total + found
    assert total is not None
    sides = windows(total, SHARES)
    named = {f"window{round(100 * share)}": round(side, 4) for share, side in zip(SHARES, sides, strict=True)}
    return {"frames": len(chosen), "reach": round(float((total > 0).mean()), 4), **named}


def gradient(
    net: SegmentationNetwork, frame: npt.NDArray[np.uint8], normalization: Normalization
) -> npt.NDArray[np.float64]:
    """|∂ highest logit at the centre / ∂ frame|, summed over the channels and scaled to sum 1: float64 [H, W]."""
    net = net.eval()
    x = normalize(torch.from_numpy(frame.copy())[None], normalization).requires_grad_()
    logits = net.logits(x)
    rows, columns = logits.shape[-2:]
    logits[0, :, rows // 2, columns // 2].max().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    found = x.grad[0].abs().sum(0).double().cpu().numpy()
    return np.asarray(found / max(found.sum(), np.finfo(np.float64).tiny), np.float64)


def windows(weights: npt.NDArray[np.float64], shares: Sequence[float]) -> list[float]:
    """Sides of the centred windows of the frame's shape that hold so much of the weights, as shares of its sides.

    >>> spread = np.ones((100, 200))
    >>> [round(side, 2) for side in windows(spread, [0.25, 1.0])]
    [0.5, 1.0]
    """
    rows, columns = weights.shape
    # The farther edge of each pixel, as a share of the way from the centre to the frame's side.
    down = (np.abs(np.arange(rows) + 0.5 - rows / 2) + 0.5) / (rows / 2)
    across = (np.abs(np.arange(columns) + 0.5 - columns / 2) + 0.5) / (columns / 2)
    distance = np.maximum(down[:, None], across[None, :]).ravel()
    order = np.argsort(distance)
    held = np.cumsum(weights.ravel()[order]) / weights.sum()
    last = len(order) - 1
    return [float(distance[order[min(int(np.searchsorted(held, share - 1e-9)), last)]]) for share in shares]
