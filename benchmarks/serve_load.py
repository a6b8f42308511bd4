"""``python -m benchmarks.serve_load``: the server under load, beside the bare engine.

The bare engine is what a program has without a server: ``aaff.load(model).batch(frames)``, frames in memory in,
predictions with confidence out.  It decodes no JPEG, writes no JSON and has no clients; ``with_files_fps`` is the
engine with the first two, in two threads that take turns.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import numpy as np

from aaff.labels import UInt8Array
from aaff.preprocess import Size


@dataclass
class Args:
    """Let many clients ask at once, and compare with the engine alone on the same frames.

    Clients and server share the machine. Engine and server take turns: engine, server, engine. Leave the machine alone
    meanwhile.
    """

    model: str = "street"
    """A model, as in aaff serve."""
    clients: int = 64
    """Clients that ask at once, each one request after the other."""
    seconds: float = 60.0
    """How long they ask."""
    size: Size = Size(480, 360)
    """Of the frames, synthetic street scenes in JPEG."""
    json: Path | None = None
    """Write the figures here."""
    note: str = ""
    """Goes into the figures, such as what else the machine did."""


def main(words: Sequence[str] | None = None) -> int:
    """Read the options and measure; returns the exit status."""
    from aaff.cli import exit_status
    from aaff.cli.options import parse

    given = sys.argv[1:] if words is None else words
    return exit_status(lambda: run(parse(Args, given, prog="python -m benchmarks.serve_load")))


def run(args: Args) -> int:
    """Print and write the figures; status 1 when a request failed."""
    from aaff.files import write_json
    from aaff.provenance import provenance
    from aaff.synthetic import frames

    pictures = [scene.image for scene in frames(0, 8, args.size)]
    files = [_jpeg(picture) for picture in pictures]
    engine = [measure_engine(args.model, pictures, files, args.seconds / 8)]
    with serving(args.model) as (page, process):
        load = asyncio.run(ask(page, process, files, args.clients, args.seconds))
    engine.append(measure_engine(args.model, pictures, files, args.seconds / 8))
    bare, with_files = (sum(rates) / len(rates) for rates in zip(*engine, strict=True))
    result = {
        "model": args.model,
        "size": str(args.size),
        "clients": args.clients,
        "engine_fps": [round(rate, 1) for rate, _ in engine],
        "with_files_fps": [round(rate, 1) for _, rate in engine],
        **load.summary(),
        "of_engine": round(load.rate / bare, 3),
        "of_engine_with_files": round(load.rate / with_files, 3),
        "note": args.note,
    }
    for name, value in result.items():
        print(f"{name}: {value}")
    if args.json is not None:
        write_json(args.json, {**result, "provenance": provenance()})
        print(f"written: {args.json}")
    return 1 if load.failures else 0


def measure_engine(
    model: str, pictures: Sequence[UInt8Array], files: Sequence[bytes], seconds: float
) -> tuple[float, float]:
    """Frames per second of the model alone: of frames in memory, and of files that become JSON."""
    import aaff
    from aaff.images import decode_image

    segmenter = aaff.load(model)

    def once(_: int) -> int:
        predictions = segmenter.batch([decode_image(file) for file in files])
        return len([prediction.to_json(indent=None) for prediction in predictions])

    with ThreadPoolExecutor(2) as pool:
        return (
            _rate(lambda: len(segmenter.batch(pictures)), seconds),
            _rate(lambda: sum(pool.map(once, range(4))), seconds),
        )


def _rate(work: Callable[[], int], seconds: float) -> float:
    """How much work is done per second, after a first round."""
    work()
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        done += work()
    return done / (time.perf_counter() - began)


@contextmanager
def serving(model: str) -> Iterator[tuple[str, int]]:
    """A server in a process of its own; gives the address of its page and the number of the process."""
    command = [sys.executable, "-m", "aaff", "serve", "--port", "0", "--model", model]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        page = process.stdout.readline().split()[1]
        try:
            with urlopen(Request(f"{page}v1/segment", data=_jpeg(np.zeros((48, 64, 3), np.uint8)))) as response:
                response.read()  # the model is loaded now
            yield page, process.pid
        finally:
            process.send_signal(signal.SIGTERM)


@dataclass
class Load:
    """What the clients saw."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    status: Counter[str] = field(default_factory=Counter)
    memory_mib: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Good responses per second."""
        return len(self.latencies) / self.seconds

    @property
    def failures(self) -> int:
        """Requests without a good response."""
        return sum(count for status, count in self.status.items() if status != "200")

    def summary(self) -> dict[str, Any]:
        """Figures for people and for JSON."""
        median, tail = np.percentile(self.latencies, [50, 99]) * 1000
        third = max(1, len(self.memory_mib) // 3)
        return {
            "seconds": round(self.seconds, 1),
            "requests": len(self.latencies),
            "server_fps": round(self.rate, 1),
            "p50_ms": round(float(median), 1),
            "p99_ms": round(float(tail), 1),
            "failures": self.failures,
            "status": dict(self.status),
            "memory_mib": {
                "first_third": round(max(self.memory_mib[:third]), 1),
                "last_third": round(max(self.memory_mib[-third:]), 1),
            },
        }


async def ask(page: str, process: int, files: Sequence[bytes], clients: int, seconds: float) -> Load:
    """Let the clients ask until the time is over."""
    load = Load()
    began = time.perf_counter()
    end = began + seconds
    watching = asyncio.create_task(_watch(process, load))
    await asyncio.gather(*(_client(page, files, number, end, load) for number in range(clients)))
    load.seconds = time.perf_counter() - began
    watching.cancel()
    return load


async def _client(page: str, files: Sequence[bytes], number: int, end: float, load: Load) -> None:
    """One connection that is kept; a small client, since it takes the time of the server's own cores."""
    address = urlsplit(page)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    while time.perf_counter() < end:
        file = files[number % len(files)]
        number += 1
        asked = time.perf_counter()
        head = f"POST /v1/segment HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: {len(file)}\r\n\r\n"
        writer.write(head.encode() + file)
        try:
            answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            found = re.search(r"content-length: (\d+)", answer, re.IGNORECASE)
            await reader.readexactly(int(found[1]) if found else 0)
        except (OSError, asyncio.IncompleteReadError):
            load.status["connection lost"] += 1
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            continue
        status = answer.split()[1]
        load.status[status] += 1
        if status == "200":
            load.latencies.append(time.perf_counter() - asked)
    writer.close()


async def _watch(process: int, load: Load) -> None:
    page_size = os.sysconf("SC_PAGE_SIZE")
    while True:
        resident = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
        load.memory_mib.append(resident * page_size / 2**20)
        await asyncio.sleep(0.5)


def _jpeg(picture: UInt8Array) -> bytes:
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(picture).save(data, "jpeg", quality=90)
    return data.getvalue()


if __name__ == "__main__":
    sys.exit(main())
