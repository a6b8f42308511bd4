"""Normalise uint8 frames to a network's input, in training, in the torch engine and in the exported graph."""

from __future__ import annotations

import torch
from torch import Tensor

from aaff.preprocess import Normalization


def normalize(frames: Tensor, normalization: Normalization) -> Tensor:
    """The normalised batch float32 [N, 3, H, W] of frames RGB uint8 [N, H, W, 3], channels last in memory.

    >>> frames = torch.full((1, 2, 2, 3), 128, dtype=torch.uint8)
    >>> normalize(frames, Normalization(mean=(118, 128, 138), std=(5, 5, 5)))[0, :, 0, 0]
    tensor([ 2.,  0., -2.])
    """
    batch = frames.permute(0, 3, 1, 2).float()  # a copy, which may be overwritten
    mean, std = (
        torch.tensor(values, dtype=torch.float32, device=frames.device).view(1, 3, 1, 1)
        for values in (normalization.mean, normalization.std)
    )
    return batch.sub_(mean).div_(std)
