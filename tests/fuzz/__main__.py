"""``make fuzz``: many mutated inputs for every reader, with figures of what went wrong.

The readers run in a process of their own, so that a crash or an endless loop is counted and the run continues.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aaff.files import write_json
from aaff.provenance import provenance
from tests.fuzz.mutations import mutated, random_edits
from tests.fuzz.targets import TARGETS, Target

HANG = 180
"""Seconds after which an input counts as a hang; the machine may be busy."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1500, help="mutated inputs for each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[target.name for target in TARGETS])
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--keep", type=Path, help="folder for the inputs that failed")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        return _work(**json.loads(args.work))
    rows = {name: _run(name, args.inputs, args.seed, args.keep) for name in args.only}
    wrong = {name: row["faults"] for name, row in rows.items() if row["faults"]}
    for name, faults in wrong.items():
        for text, count in faults.items():
            print(f"  {name}: {count} × {text}")
    total = {key: sum(row[key] for row in rows.values()) for key in ("inputs", "tracebacks", "hangs", "crashes")}
    print(", ".join(f"{value:,} {key}" for key, value in total.items()))
    if args.json:
        plain = {name: {k: v for k, v in row.items() if k != "faults"} for name, row in rows.items()}
        write_json(args.json, {"provenance": provenance(), "seed": args.seed, "total": total, "readers": plain})
    return 1 if wrong else 0


def _run(name: str, inputs: int, seed: int, keep: Path | None) -> dict[str, Any]:
    """All inputs of one reader."""
    row: dict[str, Any] = {"inputs": inputs, "tracebacks": 0, "hangs": 0, "crashes": 0, "faults": Counter()}
    began = time.monotonic()
    first = 0
    with TemporaryDirectory() as folder:
        log = Path(folder, "log")
        while first < inputs:
            log.write_text("")
            work = {"name": name, "first": first, "end": inputs, "seed": seed, "folder": folder}
            child = subprocess.Popen([sys.executable, "-m", "tests.fuzz", "--work", json.dumps(work)], stderr=-3)
            hung = False
            while child.poll() is None:
                time.sleep(0.2)
                if log.exists() and time.time() - log.stat().st_mtime > HANG:
                    hung = True
                    child.send_signal(signal.SIGKILL)
                    child.wait()
            lines = [json.loads(line) for line in log.read_text().splitlines()]
            faults = [(line["input"], line["fault"]) for line in lines if line.get("fault")]
            row["tracebacks"] += len(faults)
            done = lines[-1]["input"] + 1 if lines else first
            if child.returncode:
                row["hangs" if hung else "crashes"] += 1
                faults.append((done, "hang" if hung else f"exit status {child.returncode}"))
            for number, text in faults:
                row["faults"][text] += 1
                if keep:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{name}-{number}").write_bytes(_input(_target(name), seed, number))
            first = done + 1 if child.returncode else inputs
    row["seconds"] = round(time.monotonic() - began, 1)
    print(f"{name:14} {inputs:6} inputs  {row['seconds']:6} s  {sum(row['faults'].values())} failed", flush=True)
    return row


def _work(name: str, first: int, end: int, seed: int, folder: str) -> int:
    """Read the inputs from ``first`` to before ``end``; a line in the log for each."""
    target = _target(name)
    place = Path(folder, "input")
    place.mkdir(exist_ok=True)
    with open(Path(folder, "log"), "a", buffering=1) as log:
        for number in range(first, end):
            fault = target.fault(place, _input(target, seed, number))
            log.write(json.dumps({"input": number, "fault": fault}) + "\n")
    sys.stdout.flush()
    os._exit(0)  # decoders that a broken file left in an odd state have no say in the end


def _input(target: Target, seed: int, number: int) -> bytes:
    rng = random.Random(f"{target.name} {seed} {number}")
    return mutated(rng.choice(target.seeds), random_edits(rng))


def _target(name: str) -> Target:
    return next(target for target in TARGETS if target.name == name)


if __name__ == "__main__":
    sys.exit(main())
