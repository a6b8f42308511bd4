"""Keep the memory of one training step for the next.

A step allocates and frees the same large tensors as the one before.  glibc maps each of them from the system and
gives it back when it is freed, so that every step gets its memory page by page again, zeroed: tens of thousands of
page faults a second.  Told to keep what is freed, it hands the same pages out again.
"""

from __future__ import annotations

import ctypes

# Parameters of glibc's mallopt (malloc.h): no block is mapped alone, the heap is not trimmed and grows in large steps.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_KEPT = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 64 * 2**20}


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, for its next allocations, until it ends.

    Results do not depend on it.  It cannot be undone: glibc adapts its own thresholds only until one is set.

    Returns:
        Whether the system's allocator took it; False without glibc (macOS, Windows, musl).

    Example:
        >>> kept = keep_freed_memory()
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # TypeError: Windows knows no library without a name
        return False
    return all(mallopt(name, value) == 1 for name, value in _KEPT.items())
