"""The registry of networks: a decorator registers a function, and its signature defines the options."""

from __future__ import annotations

import fnmatch
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from aaff.errors import OptionError, UnknownNameError
from aaff.plugins import Registry

if TYPE_CHECKING:
    from aaff.networks.base import SegmentationNetwork

Factory = TypeVar("Factory", bound=Callable[..., Any])


@dataclass(frozen=True)
class ModelInfo:
    """One registered network.

    Attributes:
        name: name for ``create_model``.
        paper: the publication that the network is from.
        summary: first line of its docstring.
        options: keyword options with their defaults.
    """

    name: str
    paper: str
    summary: str
    options: Mapping[str, Any]
    factory: Callable[..., SegmentationNetwork]


_MODELS: Registry[ModelInfo] = Registry("model", "aaff.networks")


def register_model(*, paper: str, options_of: Callable[..., Any] | None = None) -> Callable[[Factory], Factory]:
    """Register the decorated function ``name(num_classes, *, option=default, …)`` under its own name.

    Args:
        paper: the publication that the network is from.
        options_of: another registered function whose options this one also accepts as ``**options``; defaults of this
            function take precedence.
    """

    def register(factory: Factory) -> Factory:
        options = {**(_options(options_of) if options_of else {}), **_options(factory)}
        summary = (inspect.getdoc(factory) or "").split("\n")[0]
        _MODELS.add(factory.__name__, ModelInfo(factory.__name__, paper, summary, options, factory))
        return factory

    return register


def _options(factory: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(factory).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def list_models(pattern: str = "*") -> list[str]:
    """Names of the registered networks that match a glob pattern, in order of registration.

    >>> list_models("*bisenet")
    ['bisenet', 'depthwise_bisenet']
    """
    return [name for name in _MODELS.names() if fnmatch.fnmatchcase(name, pattern)]


def model_info(name: str) -> ModelInfo:
    """Information about a registered network.

    Raises:
        UnknownNameError: there is no such network; the message suggests the nearest name.
    """
    return _MODELS.find(name)


def create_model(name: str, num_classes: int = 11, **options: Any) -> SegmentationNetwork:
    """Create a network with newly initialised weights, in training mode.

    Args:
        name: one of ``list_models``.
        num_classes: number of classes without void, which is the number of channels of the logits.
        options: options of the network, see ``model_info(name).options``.

    Raises:
        UnknownNameError: unknown network, option or option value; the message suggests the nearest valid one.
        OptionError: the value of an option is out of range.

    >>> net = create_model("depthwise_aaff", num_classes=11, gate="hard_sigmoid")
    >>> sum(p.numel() for p in net.parameters())
    2116035
    """
    info = model_info(name)
    for option in options:
        if option not in info.options:
            raise UnknownNameError(f"option of {name}", option, info.options)
    if num_classes < 1:
        raise OptionError(f"num_classes is {num_classes}; a network needs at least 1 class")
    for option, value in options.items():
        default = info.options[option]
        if default is None:  # the network itself checks the values of such an option
            continue
        wanted = (int, float) if isinstance(default, float) else type(default)
        if not isinstance(value, wanted) or isinstance(value, bool) is not isinstance(default, bool):
            raise OptionError(f"{option} of {name} cannot be {value!r}; give a value such as {default!r}")
    if not 0 < options.get("width", 1.0) < math.inf:
        raise OptionError(f"width is {options['width']}; it must be above 0")
    return info.factory(num_classes, **options)
