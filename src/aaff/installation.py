"""How this copy of aaff was installed, so that error messages can name a command that works here."""

from __future__ import annotations

import json
import re
import shutil
import sys
from importlib import metadata, util
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

_SOURCE = Path(__file__).parents[2]
"""The folder of the clone, if this package runs from its source."""


def install_command(extra: str) -> str:
    """The command that adds an extra of aaff to this installation.

    aaff is not on a public package index, so the command names what pip installed it from: a folder, a wheel or a
    repository.  If that no longer exists, it names the packages of the extra.

    >>> "train" in install_command("train") or "torch" in install_command("train")
    True
    """
    editable, origin = _origin()
    if origin.startswith(("http://", "https://", "git+", "hg+", "svn+", "bzr+")):
        return pip_install(f"aaff[{extra}] @ {origin}")
    if origin:
        return pip_install(f"{origin}[{extra}]", editable=editable)
    return pip_install(*_packages(extra))


def pip_install(*requirements: str, editable: bool = False) -> str:
    """A ``pip install`` command for the running interpreter, with requirements quoted for the shell if needed.

    >>> pip_install("av").endswith("install av")
    True
    """
    words = [word if re.fullmatch(r"[\w.\-]+", word) else f'"{word}"' for word in requirements]
    return " ".join([_installer(), *(["-e"] if editable else []), *words])


def _installer() -> str:
    if util.find_spec("pip") is None and shutil.which("uv"):
        return f"uv pip install --python {sys.executable}"
    found = shutil.which("pip")
    # The first pip on the path may belong to another environment and would install packages there.
    own = found is not None and Path(found).parent == Path(sys.executable).parent
    return "pip install" if own else f"{sys.executable} -m pip install"


def _origin() -> tuple[bool, str]:
    """Whether the installation is editable, and the folder, file or address it came from; empty when unknown."""
    try:
        record = metadata.distribution("aaff").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return (True, str(_SOURCE)) if (_SOURCE / "pyproject.toml").is_file() else (False, "")
    try:
        found: dict[str, Any] = json.loads(record or "{}")
        address = str(found.get("url", ""))
        parts = urlsplit(address)
        if parts.scheme == "file":
            path = url2pathname(parts.path)
            return bool(found.get("dir_info", {}).get("editable")), path if Path(path).exists() else ""
        system = found.get("vcs_info", {}).get("vcs")
        return False, f"{system}+{address}" if system else address if parts.scheme else ""
    except (ValueError, AttributeError):
        return False, ""


def _packages(extra: str) -> list[str]:
    """The requirements of an extra, as the installed metadata state them."""
    found = []
    for line in metadata.distribution("aaff").requires or ():
        requirement, _, marker = line.partition(";")
        if re.search(rf"""extra\s*==\s*['"]{extra}['"]""", marker):
            found.append(requirement.strip())
    return found or [f"aaff[{extra}]"]
