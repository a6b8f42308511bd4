"""``python -m tests.fuzz.jobs``: the jobs of ``/v1/video`` under mutated videos, wrong ids and calls in any order.

Every session uploads one video, sound or broken, and then asks, fetches, cancels and removes in a random order, beside
the jobs of the sessions before it.  A fault is an unexpected status, an answer with internals in it, a state that goes
back, a result that does not fit its lines, an exception in the log, or a file that stays behind.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import random
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import av
import httpx
from fastapi.testclient import TestClient

from aaff.files import write_json
from aaff.provenance import provenance
from aaff.runtime import Segmenter
from aaff.server import Limits, Settings, create_app
from tests.fuzz.mutations import mutated, random_edits
from tests.fuzz.targets import TARGETS
from tests.runtime.conftest import ThresholdEngine

LIMITS = Limits(video_mb=1, pixels=200_000, jobs=3, kept=4, seconds=30, job_minutes=1)
ORDER = {"queued": 0, "running": 1, "done": 2, "failed": 2, "cancelled": 2}
FORMS = ("overlay", "side", "map")
INTERNALS = re.compile(r"Traceback|aaff-serve-|/tmp/|site-packages|\.py\b")
WRONG_IDS = ("x", "..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "a" * 4000, "%00", "é", "upload", "result.jsonl", "-1", " ")


class Sessions:
    """Sessions against one server.

    Attributes:
        faults: what went wrong, and how often.
        counts: statuses and final states.
    """

    def __init__(self, client: TestClient, seed: int) -> None:
        self._client, self._rng = client, random.Random(seed)
        self._videos = next(target for target in TARGETS if target.name == "video").seeds
        self._alive: dict[str, str] = {}
        self._gone: list[str] = []
        self.faults: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()

    def run(self) -> None:
        """One session."""
        self._create()
        for _ in range(self._rng.randrange(1, 6)):
            self._rng.choice((self._ask, self._ask, self._fetch, self._remove, self._wrong))()

    def end(self, folder: Path) -> None:
        """Remove all jobs; nothing may stay behind."""
        for job in list(self._alive):
            self._client.delete(f"/v1/video/{job}")
        end = time.monotonic() + 60
        while time.monotonic() < end and any(folder.iterdir()):
            time.sleep(0.05)
        self._expect("all files are removed", not any(folder.iterdir()))

    def _create(self) -> None:
        rng = self._rng
        data = rng.choice(self._videos)
        if rng.random() < 0.7:
            data = mutated(data, random_edits(rng))
        query = f"?form={rng.choice(FORMS)}&alpha={rng.choice((0, 0.5, 1))}"
        if rng.random() < 0.1:
            query = rng.choice(("?model=none", "?form=x", "?alpha=2", "?classes=none", "?alpha=nan"))
        if rng.random() < 0.3:
            name = rng.choice(("../../x.mp4", "/etc/passwd", "a\x00b", "con", "x" * 300))
            found = self._send("POST", f"/v1/video{query}", files={"file": (name, data)})
        else:
            found = self._send("POST", f"/v1/video{query}", content=data)
        self._status(found, 202, 400, 404, 413, 422, 429)
        if found.status_code == 429:
            self._expect("Retry-After comes with 429", "retry-after" in found.headers)
            self._finish()
        elif found.status_code == 202:
            self._alive[found.json()["id"]] = "queued"

    def _finish(self) -> None:
        """Wait until no job runs, so that the next upload is taken."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            for job in list(self._alive):
                self._look(job)
            if all(ORDER[state] == 2 for state in self._alive.values()):
                return
            time.sleep(0.02)
        self._expect("every job ends", False)

    def _ask(self) -> None:
        if self._alive:
            self._look(self._rng.choice(list(self._alive)))

    def _look(self, job: str) -> None:
        found = self._send("GET", f"/v1/video/{job}")
        self._status(found, 200, 404)  # finished jobs beyond the limit are removed
        if found.status_code == 404:
            self._forget(job)
            return
        now = found.json()
        before, self._alive[job] = self._alive[job], now["state"]
        self._expect("states go forward", ORDER[now["state"]] >= ORDER[before])
        self._expect("a failure is explained", (now["state"] == "failed") == bool(now["error"]))
        self._expect("a mistake of the server", "internal server error" not in (now["error"] or ""))
        if ORDER[before] < 2 <= ORDER[now["state"]]:
            self.counts[now["state"]] += 1

    def _fetch(self) -> None:
        if not self._alive:
            return
        job = self._rng.choice(list(self._alive))
        video = self._send("GET", f"/v1/video/{job}/result")
        lines = self._send("GET", f"/v1/video/{job}/result", headers={"Accept": "application/x-ndjson"})
        for found in (video, lines):
            self._status(found, 200, 404)
        if video.status_code == lines.status_code == 200:
            written = [json.loads(line) for line in lines.text.splitlines()]
            with av.open(io.BytesIO(video.content)) as container:
                frames = sum(1 for _ in container.decode(video=0))
            self._expect("a frame for every line", frames == len(written) > 0)
            self.counts["results compared"] += 1

    def _remove(self) -> None:
        if self._alive:
            job = self._rng.choice(list(self._alive))
            self._status(self._send("DELETE", f"/v1/video/{job}"), 204, 404)
            self._forget(job)

    def _wrong(self) -> None:
        name = self._rng.choice((*WRONG_IDS, *self._gone[-3:]))
        method = self._rng.choice(("GET", "DELETE"))
        tail = self._rng.choice(("", "/result")) if method == "GET" else ""
        address = f"/v1/video/{quote(name, safe='%')}{tail}"
        self._status(self._send(method, address), 404, 405)

    def _forget(self, job: str) -> None:
        del self._alive[job]
        self._gone.append(job)

    def _send(self, method: str, address: str, **rest: Any) -> httpx.Response:
        found = self._client.request(method, address, **rest)
        self.counts[f"{method} {found.status_code}"] += 1
        if found.status_code >= 400:
            detail = found.json().get("detail", "") if "json" in found.headers["content-type"] else ""
            self._expect("a problem has a sentence", 0 < len(detail) < 1500)
            self._expect("a problem tells no internals", not INTERNALS.search(found.text))
        return found

    def _status(self, found: httpx.Response, *allowed: int) -> None:
        request = found.request
        shown = re.sub(r"/v1/video/[^/?]+", "/v1/video/ID", request.url.path)
        self._expect(f"{request.method} {shown} gives {found.status_code}", found.status_code in allowed)

    def _expect(self, what: str, holds: bool) -> None:
        if not holds:
            self.faults[what] += 1


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"log: {record.getMessage()}: {record.exc_info and record.exc_info[1]!r}")


def fuzz(sessions: int, seed: int = 0) -> Sessions:
    """Run the sessions against a server of their own."""
    errors = _Errors()
    logging.getLogger("aaff.server").addHandler(errors)
    app = create_app({"light": lambda: Segmenter(ThresholdEngine())}, Settings(limits=LIMITS))
    with TestClient(app, base_url="http://localhost:8000", raise_server_exceptions=False) as client:
        found = Sessions(client, seed)
        for _ in range(sessions):
            found.run()
        found.end(Path(app.state.jobs._place.name))
    logging.getLogger("aaff.server").removeHandler(errors)
    found.faults.update(errors.lines)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.jobs", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help='put the figures under "jobs" of this file, which may exist')
    args = parser.parse_args()
    found = fuzz(args.sessions, args.seed)
    figures = {
        "sessions": args.sessions,
        "requests": sum(count for name, count in found.counts.items() if name.split()[-1].isdigit()),
        "faults": sum(found.faults.values()),
        "counts": dict(sorted(found.counts.items())),
        "provenance": provenance(),
    }
    for name, value in figures.items():
        print(f"{name}: {value}")
    for what, count in found.faults.items():
        print(f"  {count} × {what}")
    if args.json:
        before = json.loads(args.json.read_text(encoding="utf-8")) if args.json.exists() else {}
        write_json(args.json, {**before, "jobs": figures})
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
