"""Running a model: engines behind one protocol, the segmenter, predictions and how they are rendered."""

from aaff.runtime.engine import Engine
from aaff.runtime.prediction import Prediction
from aaff.runtime.segmenter import Segmenter

__all__ = ["Engine", "Prediction", "Segmenter"]
