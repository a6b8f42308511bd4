"""Real-time semantic segmentation on ordinary CPUs.

Quick start:

    import aaff

    seg = aaff.load()                      # the bundled model; or a run, a checkpoint, an .onnx file
    prediction = seg("street.png")         # a path, a URL, a Pillow image or an RGB array [H, W, 3]
    prediction.save("overlay.png")
    seg(frame, bgr=True)                   # an OpenCV frame, whose channel order is BGR

Public names are imported on first use, so ``import aaff`` is fast.  Functions that need PyTorch, such as those for
training, raise an error that says so if it is not installed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aaff.privacy import switch_off_telemetry

if TYPE_CHECKING:
    from aaff.data.layouts import open_dataset
    from aaff.errors import AaffError
    from aaff.labels import LabelMap
    from aaff.loading import load
    from aaff.networks import create_model, list_models, model_info
    from aaff.preprocess import Size, bgr
    from aaff.runtime.prediction import Prediction

__version__ = "0.2.0"

switch_off_telemetry()  # before anything can import OpenVINO

_HOME = {
    "AaffError": "aaff.errors",
    "LabelMap": "aaff.labels",
    "Prediction": "aaff.runtime.prediction",
    "Size": "aaff.preprocess",
    "bgr": "aaff.preprocess",
    "create_model": "aaff.networks",
    "list_models": "aaff.networks",
    "load": "aaff.loading",
    "model_info": "aaff.networks",
    "open_dataset": "aaff.data.layouts",
}
"""Public name → the module that defines it."""

__all__ = [
    "AaffError",
    "LabelMap",
    "Prediction",
    "Size",
    "bgr",
    "create_model",
    "list_models",
    "load",
    "model_info",
    "open_dataset",
]


def __getattr__(name: str) -> Any:
    from aaff.errors import missing_extra, nearest

    if name not in _HOME:
        close = nearest(name, _HOME)
        hint = f"; did you mean {close!r}?" if close else ""
        raise AttributeError(f"module 'aaff' has no attribute {name!r}{hint}")
    try:
        value = getattr(importlib.import_module(_HOME[name]), name)
    except ModuleNotFoundError as error:
        explained = missing_extra(error)
        if explained is None:
            raise
        return _unavailable(name, str(explained))
    globals()[name] = value  # later look-ups find it there
    return value


def _unavailable(name: str, sentence: str) -> Callable[..., Any]:
    """A stand-in for a function whose extra is not installed, so that ``help`` and ``import *`` still work."""

    def missing(*_: object, **__: object) -> Any:
        from aaff.errors import MissingExtraError

        raise MissingExtraError(sentence)

    missing.__name__ = missing.__qualname__ = name
    missing.__doc__ = f"Not available: {sentence}"
    return missing


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
