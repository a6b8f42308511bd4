"""Each loop in a process of its own: its memory is its own, and one loop's memory layouts cannot harm another's.

A process waits for orders at one end of a pipe; only the one that is asked works, unless several are asked
at once to see what they do to each other.
"""

from __future__ import annotations

import multiprocessing
import resource
import signal
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import torch

from aaff.errors import AaffError
from benchmarks.training.loops import Spec, Spells


def _context() -> Any:
    """Processes without this one's threads, and where the system can, without reading PyTorch anew for each."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.training.loops", "torch._dynamo"])
    return context


class Measured:
    """A loop in its own process; a context manager that ends it.

    Args:
        spec: what the loop is.
    """

    def __init__(self, spec: Spec) -> None:
        context = _context()
        self._end, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, spec))
        self._process.start()
        theirs.close()
        self._ready = False

    def __enter__(self) -> Measured:
        return self

    def __exit__(self, *_: object) -> None:
        self._end.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()

    def about(self) -> dict[str, Any]:
        """Device, precision and threads, once the loop is ready."""
        if not self._ready:
            self._about = self.result()
            self._ready = True
        return dict(self._about)

    def ask(self, order: str, *values: Any) -> None:
        """Begin with an order; ``result`` waits for its end."""
        self.about()
        self._end.send((order, *values))

    def result(self) -> dict[str, Any]:
        """What the order came to.

        Raises:
            AaffError: as the loop raised it, or its process ended.
        """
        try:
            received = self._end.recv()
        except EOFError:
            self._process.join(5)
            raise AaffError(
                f"a measuring process ended (status {self._process.exitcode}); when memory is short, try a smaller "
                "--batch or --size"
            ) from None
        if isinstance(received, Exception):
            raise received
        found: dict[str, Any] = received
        return found


def spells(loops: Sequence[Measured], number: int) -> list[dict[str, Any]]:
    """One spell of all the loops at the same time."""
    for loop in loops:
        loop.ask("spell", number)
    return [loop.result() for loop in loops]


def _serve(end: Connection, spec: Spec) -> None:
    multiprocessing.set_start_method(None, force=True)  # processes that load ahead start as in any training
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the one that asked closes the pipe
    try:
        loop = Spells(spec)
        end.send({name: getattr(loop.loop, name) for name in ("device", "precision", "threads")})
        while True:
            try:
                order, *values = end.recv()
            except EOFError:
                return
            if order == "spell":
                end.send({**loop.spell(*values), "memory_gib": peak_memory_gib(loop.loop.device)})
            else:
                end.send(arithmetic_rate(*values))
    except AaffError as error:
        end.send(error)


def peak_memory_gib(device: str) -> float:
    """The most memory this process had so far: resident, or of the GPU."""
    if device == "cuda":
        return float(torch.cuda.max_memory_allocated() / 2**30)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)


def arithmetic_rate(device: str, precision: str) -> dict[str, Any]:
    """What the threads reach at best: FLOP/s of a large convolution or matrix product, whichever is faster."""
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    x = torch.randn(4, 256, 48, 48, device=device, dtype=kind).to(memory_format=torch.channels_last)
    w = torch.randn(256, 256, 3, 3, device=device, dtype=kind).to(memory_format=torch.channels_last)
    a = torch.randn(1024, 1024, device=device, dtype=kind)
    best = {"convolution": 0.0, "matrix product": 0.0}
    with torch.no_grad():
        for _ in range(4):
            for name, flops in (("convolution", 2 * x.numel() * w[0].numel()), ("matrix product", 2 * 1024**3)):
                began = time.perf_counter()
                if name == "convolution":
                    torch.nn.functional.conv2d(x, w, padding=1)
                else:
                    a @ a
                if device == "cuda":
                    torch.cuda.synchronize()
                best[name] = max(best[name], flops / (time.perf_counter() - began))
    return {"flops": max(best.values()), **best}
