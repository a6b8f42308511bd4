"""Errors whose message tells the user, in one sentence, what is wrong, where, and how to fix it.

The command line prints the message of an ``AaffError`` and exits with status 2.  Any other exception is a bug and
keeps its traceback.
"""

from __future__ import annotations

import difflib
import importlib
import reprlib
from collections.abc import Iterable
from types import ModuleType
from typing import Any

_QUOTE = reprlib.Repr()
_QUOTE.maxlevel, _QUOTE.maxlist, _QUOTE.maxtuple, _QUOTE.maxdict, _QUOTE.maxset = 2, 4, 4, 4, 4
_QUOTE.maxstring = _QUOTE.maxlong = _QUOTE.maxother = 80

_LISTED = 40
"""How many valid names a message lists before it only counts the rest."""
_COMPARED = 200
"""Maximum length of a name that is compared with the valid ones, since the comparison takes quadratic time."""


def shown(value: object) -> str:
    """A value from a user's file as an error message may quote it: short, on one line, without control characters.

    >>> shown("x" * 1000), shown([[["deep"]]])
    ("'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'", '[[[...]]]')
    """
    try:
        return _QUOTE.repr(value)
    except (ValueError, RecursionError):  # a whole number of thousands of digits
        return f"a value of type {type(value).__name__}"


def brief(message: object) -> str:
    """A message from another library, fit for a sentence: one line, no control characters, at most 200 characters.

    >>> brief("broken\\n  header\\x1b[2J")
    'broken header?[2J'
    """
    text = " ".join(str(message)[:1000].split())
    text = "".join(sign if sign.isprintable() else "?" for sign in text)
    return text if len(text) <= 200 else text[:199] + "…"


class AaffError(Exception):
    """Base class of all errors whose message is meant for the user."""


class DataError(AaffError):
    """Images, labels, videos or folders are missing, unreadable or invalid."""


class TooLargeError(DataError):
    """An image has more pixels than the limit."""


class ModelError(AaffError):
    """A network, checkpoint or exported file is missing, damaged or unsuitable."""


class OptionError(AaffError):
    """An option, argument or recipe key has an invalid value, or contradicts another one."""


class UnknownNameError(AaffError, KeyError):
    """A name is not registered; the message suggests the nearest valid one."""

    def __init__(self, kind: str, name: object, valid: Iterable[str]) -> None:
        options = sorted(valid)
        close = nearest(str(name), options)
        more = f" and {len(options) - _LISTED} more" if len(options) > _LISTED else ""
        hint = f"did you mean {close!r}?" if close else f"valid: {', '.join(options[:_LISTED])}{more}"
        self.message = f"unknown {kind} {shown(str(name))}; {hint}"
        super().__init__(self.message)

    def __str__(self) -> str:  # KeyError would show the message in quotes
        return self.message


class MissingExtraError(AaffError, ImportError):
    """An optional dependency is not installed; the message names the command that installs it."""


def nearest(name: str, valid: Iterable[str], *, cutoff: float = 0.5) -> str | None:
    """The valid name that is most similar to ``name``, or None if none is similar.

    Args:
        name: the name to compare.
        valid: the valid names.
        cutoff: smallest similarity, from 0 (any name) to 1 (the same name).

    >>> nearest("depthwise_aff", ["bisenet", "depthwise_aaff"])
    'depthwise_aaff'
    """
    if len(name) > _COMPARED:
        return None
    found = difflib.get_close_matches(name.lower(), list(valid), n=1, cutoff=cutoff)
    return found[0] if found else None


def require(module: str, extra: str) -> ModuleType | Any:
    """Import ``module``, or report which extra of this package installs it.

    Raises:
        MissingExtraError: the module is not installed; the message has the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise _missing(module, extra) from error


EXTRA_OF = {
    "fastapi": "server",
    "matplotlib": "train",
    "nncf": "quantize",
    "onnx": "train",
    "onnxruntime": "onnxruntime",
    "onnxscript": "train",
    "pydantic": "server",
    "safetensors": "train",
    "starlette": "server",
    "torch": "train",
    "uvicorn": "server",
    "websockets": "server",
}
"""Import name of an optional dependency → the extra of this package that installs it."""


def missing_extra(error: ModuleNotFoundError) -> MissingExtraError | None:
    """The error to show the user if ``error`` is about an optional dependency, else None.

    >>> type(missing_extra(ModuleNotFoundError("No module named 'torch'", name="torch"))).__name__
    'MissingExtraError'
    """
    module = (error.name or "").split(".")[0]
    return _missing(module, EXTRA_OF[module]) if module in EXTRA_OF else None


def _missing(module: str, extra: str) -> MissingExtraError:
    from aaff.installation import install_command  # only now: most programs never need it

    return MissingExtraError(f"{module} is not installed; install it with: {install_command(extra)}")
