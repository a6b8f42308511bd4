"""Provenance of results and files: versions, machine, commit, date, hashes.

Every results file and every model card has it, so that a number can be explained later.  It is not personal: no host
name, no user name, no path.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from aaff import __version__
from aaff.errors import AaffError

PACKAGES = ("numpy", "torch", "openvino", "onnxruntime", "onnx", "nncf", "opencv-python-headless", "pillow", "av")
"""Distributions whose versions can change a number."""

INSTRUCTIONS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
"""x86 instruction sets that affect the speed of a network, by their Linux names; CPUs of one model name may differ."""

SOURCE = ("src", "recipes", "experiments", "benchmarks")
"""Folders of a checkout whose files can change a number; commands write their results elsewhere."""


def provenance() -> dict[str, Any]:
    """The provenance of a result produced now, JSON-ready.

    Returns:
        ``date`` (UTC, ISO 8601), ``aaff`` (version), ``commit`` (with ``+changes`` if tracked files of the package
        differ from it; None outside a checkout), ``python``, ``platform``, ``processor`` (model name),
        ``instructions`` (see ``INSTRUCTIONS``), ``cores`` (that this process may use), ``threads``
        (``OMP_NUM_THREADS`` or the number of cores) and ``versions`` of the relevant installed packages.  No package is
        imported to find them.

    >>> sorted(provenance())
    ['aaff', 'commit', 'cores', 'date', 'instructions', 'platform', 'processor', 'python', 'threads', 'versions']
    """
    cores = usable_cores()
    threads = os.environ.get("OMP_NUM_THREADS", "")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "aaff": __version__,
        "commit": commit(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": processor_name(),
        "instructions": list(instructions()),
        "cores": cores,
        "threads": int(threads) if threads.isdigit() else cores,
        "versions": {name: version for name in PACKAGES if (version := _version(name)) is not None},
    }


def usable_cores() -> int:
    """Number of CPU cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # absent on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_name() -> str:
    """Model name of the CPU, such as ``AMD EPYC 9R14``, or its architecture if the model name is unknown."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def instructions() -> tuple[str, ...]:
    """The ``INSTRUCTIONS`` that the CPU supports; empty if the system does not list them (not Linux on x86)."""
    flags = _cpuinfo("flags").split()
    return tuple(name for name in INSTRUCTIONS if name in flags)


def _cpuinfo(wanted: str) -> str:
    """The first value of a key in ``/proc/cpuinfo``, with single spaces; empty if there is none."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip().lower() == wanted and value.strip():
                return " ".join(value.split())
    except OSError:
        pass  # not Linux
    return ""


def commit() -> str | None:
    """The git commit of this package's source; None if it does not run from its own checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    head = _git(root, "rev-parse", "HEAD")
    if head is None:
        return None
    changes = _git(root, "status", "--porcelain", "--untracked-files=no", "--", *SOURCE)
    return f"{head}+changes" if changes else head


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits.

    Raises:
        AaffError: the file cannot be read.
    """
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise AaffError(f"cannot read {path}: {error.strerror or error}") from error


def origin(source: str | Path) -> str:
    """The mark of a result, by which aaff recognises the source it was made from.

    It is a digest, since results may be published and the names of a user's folders are private.

    Args:
        source: a file, or the name of something that is not one, such as ``camera 0``.
    """
    name = os.path.realpath(source) if os.path.exists(source) else str(source)
    return f"aaff {hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"


def is_origin(mark: str | None) -> bool:
    """Whether a mark was made by ``origin``.

    >>> is_origin(origin("drive.mp4")), is_origin("GIMP 2.10"), is_origin(None)
    (True, False, False)
    """
    return mark is not None and re.fullmatch(r"aaff [0-9a-f]{16}", mark) is not None


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _git(root: Path, *words: str) -> str | None:
    try:
        quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # read only: do not refresh the index
        done = subprocess.run(
            ["git", *words], cwd=root, env=quiet, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None  # no git here, or not a repository it trusts
    return done.stdout.strip()
