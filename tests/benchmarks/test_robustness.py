"""How much a class map flickers, beside the labels."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.robustness import flicker


def test_only_pixels_labelled_in_both_frames_count() -> None:
    labels = np.array([[[0, 0, 1, 255]], [[0, 1, 255, 1]], [[0, 1, 1, 1]]], np.uint8)
    maps = np.array([[[0, 0, 0, 0]], [[1, 0, 1, 1]], [[1, 1, 1, 1]]], np.uint8)
    frames: Any = [SimpleNamespace(image=np.full((1, 4, 3), i, np.uint8), label=labels[i]) for i in range(3)]
    found = flicker(lambda image: SimpleNamespace(class_map=maps[image[0, 0, 0]]), frames)  # type: ignore[arg-type,return-value]
    assert found == {"prediction": pytest.approx((1 / 2 + 1 / 3) / 2), "ground_truth": pytest.approx((1 / 2 + 0) / 2)}
