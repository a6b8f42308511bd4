"""Video jobs: upload a video, segment it in the background, download the result, remove it.

Each job has its own folder inside one temporary folder, with file names chosen by the server; it is removed with the
job or when the server stops.
"""

from __future__ import annotations

import logging
import secrets
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aaff.errors import AaffError
from aaff.runtime import Segmenter
from aaff.server.metrics import Labels, Metrics
from aaff.server.problems import Refusal
from aaff.server.settings import Limits
from aaff.video import Conversion, Output, Progress, Style, make_output
from aaff.video.container import VideoFile

State = Literal["queued", "running", "done", "failed", "cancelled"]
Form = Literal["overlay", "side", "map"]

LOG = logging.getLogger("aaff.server")


class _Stopped(Exception):  # noqa: N818 - a signal to the conversion
    """The job was cancelled or took too long."""


@dataclass
class Job:
    """One video.

    Attributes:
        id: a random identifier that cannot be guessed.
        folder: contains the upload and the results.
        model: name of the model.
        form: form of the resulting video.
        style: style of overlays.
        state: state of the job.
        progress: progress of a running job, after its first frame.
        problems: messages about frames that could not be read.
        error: why the job failed.
        ended: when it ended, in seconds of the monotonic clock.
    """

    id: str
    folder: Path
    model: str
    form: Form
    style: Style
    state: State = "queued"
    progress: Progress | None = None
    problems: tuple[str, ...] = ()
    error: str = ""
    ended: float | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def upload(self) -> Path:
        """Path of the upload; the client's file name is not kept."""
        return self.folder / "upload"

    @property
    def video(self) -> Path:
        """The resulting video."""
        return self.folder / f"result_{self.form}.mp4"

    @property
    def frames(self) -> Path:
        """One line of JSON per frame."""
        return self.folder / "result.jsonl"

    def describe(self) -> dict[str, Any]:
        """Public status of the job, JSON-ready."""
        now = self.progress
        return {
            "id": self.id,
            "state": self.state,
            "model": self.model,
            "form": self.form,
            "frames": now.frames if now else 0,
            "total": now.total if now else None,
            "fps": round(now.rate, 2) if now and now.rate else None,
            "seconds_left": round(now.left, 1) if now and now.left is not None else None,
            "problems": list(self.problems),
            "error": self.error or None,
            "result": f"/v1/video/{self.id}/result" if self.state == "done" else None,
        }


class Jobs:
    """The video jobs of one server.  One job runs at a time, in its own thread.

    Args:
        limits: number of jobs, maximum duration, and how long results are kept.
        metrics: counts jobs by state.
    """

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self._limits, self._metrics = limits, metrics
        self._place = tempfile.TemporaryDirectory(prefix="aaff-serve-", ignore_cleanup_errors=True)
        self._jobs: dict[str, Job] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="aaff-job")
        metrics.gauge("aaff_jobs", self._states)

    def create(self, model: str, form: Form, style: Style) -> Job:
        """Create a job, before its upload is received.

        Raises:
            Refusal: there are too many jobs (429).
        """
        self._remove_old()
        unfinished = sum(job.state in ("queued", "running") for job in self._jobs.values())
        if unfinished >= self._limits.jobs:
            raise Refusal(429, f"{unfinished} videos are already queued or running; try again later", retry=30)
        name = secrets.token_urlsafe(16)
        folder = Path(self._place.name) / name
        folder.mkdir(mode=0o700)
        job = self._jobs[name] = Job(name, folder, model, form, style)
        return job

    def start(self, job: Job, segmenter: Segmenter, source: VideoFile) -> None:
        """Queue a job."""
        self._thread.submit(self._run, job, segmenter, source)

    def open(self, job: Job) -> VideoFile:
        """Open the uploaded video and decode its first frame.

        Raises:
            DataError: it is not a video, damaged or too large.
        """
        # The name hides the path on the server from clients.
        return VideoFile(job.upload, name="the video", max_pixels=self._limits.pixels)

    def get(self, name: str) -> Job:
        """Find a job by its id.

        Raises:
            Refusal: there is no such job, or it was removed (404).
        """
        self._remove_old()
        try:
            return self._jobs[name]
        except KeyError:
            raise Refusal(404, "there is no such job; results are removed after a while") from None

    def remove(self, job: Job) -> None:
        """Cancel a job or remove its results.  Its files are removed now, or as soon as its thread has closed them."""
        self._jobs.pop(job.id, None)
        job.stop.set()
        if job.state == "queued":
            job.state = "cancelled"
        if job.state != "running":
            shutil.rmtree(job.folder, ignore_errors=True)

    def close(self) -> None:
        """Cancel all jobs and remove all files."""
        for job in list(self._jobs.values()):
            self.remove(job)
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._place.cleanup()

    def _run(self, job: Job, segmenter: Segmenter, source: VideoFile) -> None:
        if job.stop.is_set():
            return
        job.state = "running"
        latest = time.monotonic() + 60 * self._limits.job_minutes
        state: State = "failed"

        def report(now: Progress) -> None:
            job.progress = now
            if job.stop.is_set() or time.monotonic() > latest:
                raise _Stopped

        try:
            conversion = Conversion(segmenter, source, self._outputs(job, segmenter, source))
            conversion.run(report)
            job.problems = tuple(conversion.problems)
            state = "done"
        except _Stopped:
            state = "cancelled" if job.stop.is_set() else "failed"
            job.error = "" if job.stop.is_set() else f"it took longer than {self._limits.job_minutes:g} minutes"
        except AaffError as error:
            job.error = str(error).replace(str(job.folder), "the server's folder")
        except Exception:
            LOG.exception("a video failed")
            job.error = "internal server error; see the log of the server"
        finally:
            job.upload.unlink(missing_ok=True)
            job.ended, job.state = time.monotonic(), state
            self._metrics.count("aaff_jobs_total", state=state)
            if job.id not in self._jobs:
                shutil.rmtree(job.folder, ignore_errors=True)

    def _outputs(self, job: Job, segmenter: Segmenter, source: VideoFile) -> list[Output[Any]]:
        stem = job.folder / "result"
        kinds: tuple[Literal["overlay", "side", "map", "json"], ...] = (job.form, "json")
        return [make_output(kind, stem, source.info, segmenter.labels, style=job.style) for kind in kinds]

    def _remove_old(self) -> None:
        ended = sorted((job for job in self._jobs.values() if job.ended is not None), key=lambda job: job.ended or 0)
        oldest = time.monotonic() - 60 * self._limits.keep_minutes
        surplus = len(ended) - self._limits.kept
        for place, job in enumerate(ended):
            if place < surplus or (job.ended or 0) < oldest:
                self.remove(job)

    def _states(self) -> Mapping[Labels, float]:
        counts = Counter(job.state for job in self._jobs.values())
        return {(("state", state),): counts[state] for state in ("queued", "running", "done", "failed")}
