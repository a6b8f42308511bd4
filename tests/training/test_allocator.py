"""What a step frees is there for the next one."""

from __future__ import annotations

import platform
import subprocess
import sys

# The median of many blocks: until glibc's caches of small pieces are full, a piece cut from the end of a block can
# stay behind when the block is freed, and the next one then needs new pages.  How often depends on the addresses.
FAULTS = """
import resource, statistics, sys, torch
from aaff.training.allocator import keep_freed_memory
kept = sys.argv[1] == "keep" and keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.empty(40 * 2**20, dtype=torch.uint8).fill_(1)  # glibc maps what is larger than 32 MiB alone
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(kept, statistics.median_low([faults() for _ in range(80)]))
"""


def faults_of_a_block(word: str) -> tuple[str, int]:
    done = subprocess.run([sys.executable, "-c", FAULTS, word], check=True, capture_output=True, text=True)
    kept, count = done.stdout.split()
    return kept, int(count)


def test_freed_memory_is_used_again_without_page_faults() -> None:
    kept, count = faults_of_a_block("keep")
    assert (kept == "True") == (platform.libc_ver()[0] == "glibc")
    if kept == "True":
        assert count < faults_of_a_block("usual")[1] / 5
