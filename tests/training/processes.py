"""Trainings in processes of their own, which tests interrupt, kill and let work together."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import MappingProxyType
from typing import Any

# Children fork off a server that has imported everything once: they start in a tenth of a second.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["aaff.training.trainer", "aaff.cli.train", "aaff.cli.options", "torch._dynamo"])

NETWORK = "--options width=0.25 sides=1 spatial=false".split()
"""The smallest network there is; a step on four frames takes a few hundredths of a second."""


def leave_out(path: Path, *_: Any) -> None:
    """Stands for ``draw_curves``, which takes longer than an epoch."""
    path.touch()


def words(data: Path, out: Path, *more: str) -> list[str]:
    """A training of two epochs of three steps."""
    usual = "train --epochs 2 --batch 4 --optim.warmup 0.5 --augment.crop 64x48 --engine.threads 1 --render-every 0"
    return [*usual.split(), "--data", str(data), "--out", str(out), *NETWORK, *more]


def start(line: Sequence[str], log: Path, env: Mapping[str, str] = MappingProxyType({})) -> BaseProcess:
    """Run a command line in a process group of its own, without a terminal."""
    process = _CONTEXT.Process(target=_command, args=(list(line), str(log), dict(env)))
    process.start()
    return process


def start_ranks(count: int, line: Sequence[str], folder: Path) -> list[BaseProcess]:
    """Run a command line as ``count`` processes that find each other; each writes ``folder/log.RANK``."""
    return [start(line, folder / f"log.{rank}", env) for rank, env in enumerate(_environments(count))]


def run(line: Sequence[str], log: Path) -> int:
    """Run a command line to its end; returns its status."""
    process = start(line, log)
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _command(line: list[str], log: str, env: dict[str, str]) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # not what the tests were started under
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ |= env
    with open(log, "a", buffering=1) as stream:
        sys.stderr = sys.stdout = stream
        from aaff.cli import main
        from aaff.training import progress

        progress.draw_curves = leave_out
        sys.exit(main(line))


def together(count: int, target: Callable[..., Any], *args: Any) -> list[Any]:
    """What ``target(*args)`` returns in each of ``count`` processes that find each other as torchrun's do."""
    results = _CONTEXT.SimpleQueue()
    processes = [
        _CONTEXT.Process(target=_rank, args=(rank, env, results, target, args))
        for rank, env in enumerate(_environments(count))
    ]
    for process in processes:
        process.start()
    found = dict(results.get() for _ in processes)
    for process in processes:
        process.join()
    return [found[rank] for rank in range(count)]


def _environments(count: int) -> list[dict[str, str]]:
    """What torchrun sets for each of its processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [{**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


def _rank(rank: int, env: dict[str, str], results: Any, target: Callable[..., Any], args: tuple[Any, ...]) -> None:
    os.environ |= env
    try:
        results.put((rank, target(*args)))
    except BaseException:
        results.put((rank, traceback.format_exc()))
