"""Real-time semantic segmentation on ordinary processors.

The public names are imported when they are first used, so that ``import aaff`` costs nothing and
needs no extra::

    import aaff

    aaff.list_models("depthwise*")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from aaff.privacy import switch_off_telemetry

if TYPE_CHECKING:
    from aaff.data.layouts import open_dataset
    from aaff.errors import AaffError
    from aaff.labels import LabelMap
    from aaff.loading import load
    from aaff.networks import create_model, list_models, model_info
    from aaff.preprocess import Size
    from aaff.runtime.prediction import Prediction

__version__ = "0.1.0"

switch_off_telemetry()  # before anything can import OpenVINO

_HOME = {
    "AaffError": "aaff.errors",
    "LabelMap": "aaff.labels",
    "Prediction": "aaff.runtime.prediction",
    "Size": "aaff.preprocess",
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
        raise explained from error
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
