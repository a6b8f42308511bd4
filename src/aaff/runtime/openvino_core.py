"""The one OpenVINO core of a process.

OpenVINO's CPU plugin gives the thread that makes a core an alternate stack for signals, and unmaps that
stack with the core.  Of two cores in one thread the one that was made later then puts the stack of the earlier back,
mapped or not, and the next signal that Python handles (Ctrl-C, a child process that ends) kills the process, or
writes over whatever lies there by then (seen with OpenVINO 2026.4; ``SigAltStackSetup`` in its sources).  One core
that is never let go has no such order.
"""

from __future__ import annotations

import threading

import openvino

DEVICE = "CPU"

_making = threading.Lock()
_core: openvino.Core | None = None


def core() -> openvino.Core:
    """The core that every use of OpenVINO in this process shares; it is safe in threads.

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
    """Whether the CPU has instructions for bf16; OpenVINO refuses or emulates it elsewhere."""
    return "BF16" in core().get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")
