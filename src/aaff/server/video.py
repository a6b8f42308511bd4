"""``/v1/video``: upload a video, follow its job, and download the result."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel

from aaff.errors import TooLargeError, UnknownNameError
from aaff.server.context import Context
from aaff.server.jobs import Form, Jobs, State
from aaff.server.problems import RESPONSES, Refusal
from aaff.server.uploads import save_upload
from aaff.video import Style

_FILE: dict[str, Any] = {"type": "string", "format": "binary"}
_BODY = {
    "required": True,
    "description": "the video (MP4, MKV, WebM, …) as the body, or as the file of a form",
    "content": {
        "video/*": {"schema": _FILE},
        "application/octet-stream": {"schema": _FILE},
        "multipart/form-data": {"schema": {"type": "object", "properties": {"file": _FILE}, "required": ["file"]}},
    },
}
_RESULT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The video, or one line of JSON per frame",
        "content": {"video/mp4": {"schema": _FILE}, "application/x-ndjson": {"schema": {"type": "string"}}},
    }
}


class JobStatus(BaseModel):
    """Status and progress of a video job."""

    id: str
    state: State
    model: str
    form: Form
    frames: int
    total: int | None
    fps: float | None
    seconds_left: float | None
    problems: list[str]
    error: str | None
    result: str | None


def make_routes(context: Context, jobs: Jobs) -> APIRouter:
    """The routes for video jobs."""
    router = APIRouter(tags=["videos"], responses=RESPONSES)
    limits = context.limits

    @router.post("/v1/video", status_code=202, response_model=JobStatus, openapi_extra={"requestBody": _BODY})
    async def start(
        request: Request,
        model: Annotated[str | None, Query(max_length=200)] = None,
        form: Annotated[Form, Query(description="form of the resulting video")] = "overlay",
        alpha: Annotated[float, Query(ge=0, le=1)] = 0.5,
        legend: bool = True,
        classes: Annotated[list[str], Query(max_length=255)] = [],  # noqa: B006
    ) -> Response:
        """Upload a video and start a job; `Location` is the URL of its status."""
        loaded = await context.models.get(model)
        for name in classes:
            if name not in loaded.segmenter.labels.names:
                raise UnknownNameError("class", name, loaded.segmenter.labels.names)
        job = jobs.create(loaded.name, form, Style(alpha, legend, tuple(classes)))
        try:
            await save_upload(request, job.upload, megabytes=limits.video_mb, seconds=limits.seconds)
            source = await context.in_thread(jobs.open, job)
        except TooLargeError as error:
            jobs.remove(job)
            raise Refusal(413, str(error).partition("; if you trust")[0]) from error
        except BaseException:
            jobs.remove(job)
            raise
        jobs.start(job, loaded.segmenter, source)
        return JSONResponse(job.describe(), 202, {"Location": f"/v1/video/{job.id}"})

    @router.get("/v1/video/{job}", response_model=JobStatus)
    async def status(job: str) -> dict[str, Any]:
        """Status and progress of a job."""
        return jobs.get(job).describe()

    @router.get("/v1/video/{job}/result", responses=_RESULT, response_class=FileResponse)
    async def result(request: Request, job: str) -> Response:
        """Result of a finished job: the video, or with `Accept: application/x-ndjson` one line of JSON per frame."""
        found = jobs.get(job)
        if found.state != "done":
            raise Refusal(404, f"the job is {found.state}, so it has no result", retry=2)
        lines = "ndjson" in request.headers.get("accept", "")
        path: Path = found.frames if lines else found.video
        kind, name = ("application/x-ndjson", "frames.jsonl") if lines else ("video/mp4", f"{found.form}.mp4")
        return FileResponse(path, media_type=kind, filename=name, content_disposition_type="inline")

    @router.delete("/v1/video/{job}", status_code=204, response_class=Response)
    async def cancel(job: str) -> Response:
        """Cancel a job, or remove its result."""
        await context.in_thread(jobs.remove, jobs.get(job))
        return Response(status_code=204)

    return router
