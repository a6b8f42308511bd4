"""Reuse the memory of one training step for the next.

Each step allocates and frees the same large tensors.  By default glibc maps each of them from the system and returns it
when it is freed, so every step gets its memory again page by page, zeroed: tens of thousands of page faults per second.
If glibc keeps freed memory, it reuses the same pages.
"""

from __future__ import annotations

import ctypes

# Parameters of glibc's mallopt (malloc.h): never use mmap for a block, never trim the heap, and grow it in large steps.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_KEPT = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 64 * 2**20}


def keep_freed_memory() -> bool:
    """Let this process keep freed memory for later allocations until it ends.

    Results do not depend on it.  It cannot be undone, since setting a threshold stops glibc from adapting it.

    Returns:
        Whether the system's allocator accepted it; False without glibc (macOS, Windows, musl).

    Example:
        >>> kept = keep_freed_memory()
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # TypeError: Windows cannot load a library without a name
        return False
    return all(mallopt(name, value) == 1 for name, value in _KEPT.items())
