"""What a step frees is there for the next one."""

from __future__ import annotations

import platform
import subprocess
import sys

FAULTS = """
import resource, sys, torch
from aaff.training.allocator import keep_freed_memory
kept = sys.argv[1] == "keep" and keep_freed_memory()
def step():
    for _ in range(10):
        torch.empty(40 * 2**20, dtype=torch.uint8).fill_(1)  # glibc maps what is larger than 32 MiB alone
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(word: str) -> tuple[str, int]:
    done = subprocess.run([sys.executable, "-c", FAULTS, word], check=True, capture_output=True, text=True)
    kept, count = done.stdout.split()
    return kept, int(count)


def test_freed_memory_is_used_again_without_page_faults() -> None:
    kept, count = faults("keep")
    assert (kept == "True") == (platform.libc_ver()[0] == "glibc")
    if kept == "True":
        assert count < faults("usual")[1] / 5
