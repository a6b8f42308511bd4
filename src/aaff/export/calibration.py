"""Temperature scaling, so that pixels with a confidence of 80 % are right in 80 % of the cases.

C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017 (arXiv:1706.04599), section 4.2: the logits are
divided by a temperature that maximises the likelihood of a labelled split not used for training.  The class map does
not change.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from aaff.errors import DataError
from aaff.export.parity import Pair
from aaff.labels import IGNORE
from aaff.networks.engine import TorchEngine, mean_logits
from aaff.preprocess import Size, resize_image, resize_label

BINS = 15
"""Number of bins of the expected calibration error."""

_PIXELS = 4000
"""Number of pixels sampled from each frame; neighbouring pixels are redundant."""


@dataclass(frozen=True)
class Calibration:
    """Calibration of a network on a labelled split.

    Attributes:
        temperature: divides the logits before the softmax.
        before: expected calibration error (0–1) at temperature 1.
        after: expected calibration error (0–1) at ``temperature``.
        pixels: number of labelled pixels used.
    """

    temperature: float
    before: float
    after: float
    pixels: int


def calibrate(engine: TorchEngine, pairs: Iterable[Pair]) -> Calibration:
    """Choose the temperature with the highest likelihood on labelled frames.

    Args:
        engine: the network in fp32.
        pairs: frames RGB uint8 [H, W, 3] with their labels uint8 [H, W]; frames without a label are skipped.

    Raises:
        DataError: there is no labelled pixel.
    """
    rng = np.random.default_rng(0)
    logits, labels = [], []
    for frame, label in pairs:
        if label is None:
            continue
        with torch.inference_mode():
            packed = engine.packed_logits(resize_image(frame, engine.card.size)[None])
            native = mean_logits(packed, engine.net.num_classes)[0]  # the confidence is computed from these
        target = torch.from_numpy(
            resize_label(label, Size(native.shape[2], native.shape[1])).astype(np.int64)
        ).flatten()
        known = (target != IGNORE).nonzero().flatten().numpy()
        chosen = torch.from_numpy(rng.permutation(known)[:_PIXELS])
        logits.append(native.flatten(1)[:, chosen].T)
        labels.append(target[chosen])
    if not sum(map(len, labels)):
        raise DataError("no labelled pixel to calibrate the confidence on")
    return fit(torch.cat(logits), torch.cat(labels))


def fit(logits: Tensor, labels: Tensor) -> Calibration:
    """The calibration of logits float32 [M, C] with classes int64 [M].

    >>> logits = 3 * torch.eye(2).repeat(50, 1)  # too sure: right in 7 of 10 cases
    >>> labels = (torch.arange(100) + (torch.arange(100) % 10 < 3)) % 2
    >>> round(fit(logits, labels).temperature, 1)
    3.5
    """
    low, high = -1.5, 1.5  # natural logarithms; the negative log-likelihood is unimodal in the temperature
    ratio = (5**0.5 - 1) / 2

    def loss(log: float) -> float:
        return float(F.cross_entropy(logits / np.exp(log), labels))

    for _ in range(24):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    temperature = round(float(np.exp((low + high) / 2)), 3)
    return Calibration(
        temperature, expected_error(logits, labels), expected_error(logits / temperature, labels), len(labels)
    )


def expected_error(logits: Tensor, labels: Tensor) -> float:
    """Expected calibration error: the mean over all pixels of |accuracy − confidence| in their bin."""
    confidence, prediction = logits.softmax(1).max(1)
    right = (prediction == labels).double()
    bins = (confidence * BINS).long().clamp(max=BINS - 1)
    gap = torch.zeros(BINS, dtype=torch.float64).index_add(0, bins, right - confidence.double())
    return float(gap.abs().sum() / len(labels))
