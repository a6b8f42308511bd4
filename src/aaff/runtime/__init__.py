"""Inference: engines behind one protocol, the segmenter, and predictions with their rendering."""

from aaff.runtime.engine import Engine
from aaff.runtime.prediction import Prediction
from aaff.runtime.segmenter import Segmenter

__all__ = ["Engine", "Prediction", "Segmenter"]
