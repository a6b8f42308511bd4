"""What becomes of the outputs of an engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aaff.preprocess import Size
from aaff.runtime.deployed import Graph
from aaff.runtime.upsample import Upsampler


@pytest.mark.parametrize("stride", [1, 4])
def test_maps_do_not_change_when_the_engine_uses_its_memory_again(stride: int) -> None:
    model: Any = None
    graph = Graph(model, ("logits", "confidence"), Upsampler(Size(8, 4), stride))
    memory = [np.zeros((1, 2, 4 // stride, 8 // stride), np.float32), np.full((1, 1, 4, 8), 200, np.uint8)]
    class_map, confidence = graph.maps(memory, confidence=True)
    assert confidence is not None
    for array in memory:
        array[...] = 7
    assert (confidence == 200).all()
    assert (class_map == 0).all()
