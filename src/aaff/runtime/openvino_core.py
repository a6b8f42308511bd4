"""The single OpenVINO core of a process.

OpenVINO's CPU plugin installs an alternate signal stack in the thread that creates a core, and unmaps it with the
core.  If a thread has created two cores, destroying the later one restores the stack of the earlier one, even if that
is already unmapped; the next signal that Python handles (Ctrl-C, a child process that ends) then crashes the process or
corrupts memory (seen with OpenVINO 2026.4; ``SigAltStackSetup`` in its sources).  A single core that is never
destroyed avoids this.
"""

from __future__ import annotations

import threading

import openvino

DEVICE = "CPU"

_making = threading.Lock()
_core: openvino.Core | None = None


def core() -> openvino.Core:
    """The OpenVINO core shared by the whole process; thread-safe.

    Example:
        >>> core() is core()
        True
    """
    global _core
    with _making:
        if _core is None:
            _core = openvino.Core()
            _core.get_property(DEVICE, "FULL_DEVICE_NAME")  # loads the plugin, in this thread and once
        return _core


def has_bf16() -> bool:
    """Whether the CPU has bf16 instructions; on other CPUs OpenVINO rejects or emulates bf16."""
    return "BF16" in core().get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")
