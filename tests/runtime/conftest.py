"""A model that needs no network: bright pixels are one class, dark ones another."""

import numpy as np
import pytest

from aaff.card import ModelCard
from aaff.labels import LabelMap
from aaff.preprocess import Size
from aaff.runtime import Segmenter

LABELS = LabelMap("light", ("dark", "bright", "never"), ((20, 20, 120), (250, 220, 40), (10, 200, 10)))


class ThresholdEngine:
    """Class 1 where the red channel is above 127; the confidence grows with the distance from it."""

    name = "torch"
    precision = "fp32"

    def __init__(self, size=Size(16, 12), confident=True):
        self.card = ModelCard("threshold", {}, LABELS, "camvid11", size)
        self.confident = self.confidence = confident
        self.batches = []

    def infer(self, frames):
        assert frames.dtype == np.uint8
        assert frames.shape[1:] == (self.card.size.height, self.card.size.width, 3)
        self.batches.append(len(frames))
        red = frames[..., 0]
        confidence = (128 + np.abs(red.astype(np.int16) - 127) // 2).astype(np.uint8)
        return (red > 127).astype(np.uint8), confidence if self.confident else None


@pytest.fixture
def engine():
    return ThresholdEngine()


@pytest.fixture
def seg(engine):
    return Segmenter(engine)


@pytest.fixture
def frame():
    """16x12, the right quarter bright."""
    image = np.full((12, 16, 3), 10, np.uint8)
    image[:, 12:] = 250
    return image
