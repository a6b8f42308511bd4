"""Plug-ins with networks, layouts, losses and augmentations: Python entry points, and ``--import`` on the command line.

An installed package declares its module in ``pyproject.toml``:

    [project.entry-points."aaff.networks"]
    my_network = "my_package.my_network"

and importing that module registers what it defines.  A module without an entry point is imported by name or path:
``aaff train --import my_network …``.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import TypeVar

from aaff.errors import AaffError, OptionError, UnknownNameError

Entry = TypeVar("Entry")

GROUPS = ("aaff.networks", "aaff.layouts", "aaff.losses", "aaff.augmentations")
"""The entry-point groups; the group of a module only determines when it is imported."""

_loaded: set[str] = set()

imported: list[str] = []
"""The names that ``import_module`` imported, as the user wrote them."""


class Registry(dict[str, Entry]):
    """Entries by name; plug-ins are loaded when a name is first looked up or listed.

    Args:
        kind: name of an entry in messages, such as ``"loss"``.
        group: one of ``GROUPS``.

    >>> losses = Registry("loss", "aaff.losses")
    >>> losses.add("l1", abs)
    >>> losses.find("l1") is abs, losses.names()
    (True, ['l1'])
    """

    def __init__(self, kind: str, group: str) -> None:
        super().__init__()
        self.kind, self.group = kind, group

    def add(self, name: str, entry: Entry, *, first: bool = False) -> None:
        """Register an entry, after the others or (``first``) before them.

        Raises:
            ValueError: the name is taken; this is a programming error, so it keeps its traceback.
        """
        if name in self:
            raise ValueError(f"the {self.kind} {name!r} is registered already")
        others = dict(self) if first else {}
        for other in others:
            del self[other]
        self[name] = entry
        self.update(others)

    def find(self, name: str) -> Entry:
        """Find an entry by name.

        Raises:
            UnknownNameError: there is no such entry; the message suggests the nearest name.
        """
        if name not in self:
            load_plugins(self.group)
        if name not in self:
            raise UnknownNameError(self.kind, name, self)
        return self[name]

    def names(self) -> list[str]:
        """All names, in order of registration."""
        load_plugins(self.group)
        return list(self)


def load_plugins(group: str) -> None:
    """Import the entry points of installed packages in ``group``; later calls do nothing.

    Raises:
        AaffError: a plug-in cannot be imported; the message names it and its package.

    >>> load_plugins("aaff.networks")
    """
    if group in _loaded:
        return
    _loaded.add(group)  # before the import, since a plug-in may use the registry while it registers
    for point in entry_points(group=group):
        try:
            point.load()
        except AaffError:
            raise
        except Exception as error:
            package = point.dist.name if point.dist is not None else point.value
            raise AaffError(
                f"the plug-in {point.name!r} of {package} cannot be imported ({type(error).__name__}: {error}); "
                f"fix or uninstall {package}"
            ) from error


def import_module(name: str) -> None:
    """Import a user's module by its name, or from a ``.py`` file; the working directory is searched too.

    Raises:
        OptionError: there is no such module, or importing it fails.
    """
    imported.append(name)
    try:
        if name.endswith(".py"):
            _import_file(Path(name))
            return
        if (here := os.getcwd()) not in sys.path:
            sys.path.insert(0, here)
        importlib.import_module(name)
    except AaffError:
        raise
    except Exception as error:
        raise OptionError(f"--import {name} failed ({type(error).__name__}: {error})") from error


def _import_file(path: Path) -> None:
    if not path.is_file():
        raise OptionError(f"--import {path}: there is no such file")
    if path.stem in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
