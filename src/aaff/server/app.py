"""The web application: routes, page, guards and lifespan of a server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import FileResponse
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.staticfiles import StaticFiles

from aaff import __version__
from aaff.errors import AaffError, OptionError
from aaff.server import infer, live, segment, video
from aaff.server.context import LOG, Context, Loader
from aaff.server.guard import Guard
from aaff.server.jobs import Jobs
from aaff.server.metrics import MEDIA_TYPE
from aaff.server.problems import RESPONSES, Refusal, handle_problems
from aaff.server.settings import Settings

PAGE = Path(__file__).parent / "page"


def create_app(models: Mapping[str, Loader], settings: Settings = Settings(), *, media: Path | None = None) -> FastAPI:
    """The web application of ``aaff serve``, for uvicorn or any other ASGI server.

    Args:
        models: name → function that loads the model; the first is the default.
        settings: see ``aaff.server.Settings``.
        media: an image or video that the page shows first.

    Raises:
        OptionError: ``models`` is empty.

    Example::

        import aaff
        from aaff.server import create_app

        app = create_app({"street": aaff.load})
    """
    if not models:
        raise OptionError("a server needs at least one model")
    context = Context(models, settings)
    jobs = Jobs(settings.limits, context.metrics)

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(_load_default(context))
        yield
        loading.cancel()
        await asyncio.to_thread(jobs.close)
        await context.close()

    app = FastAPI(
        title="aaff",
        version=__version__,
        summary="Semantic segmentation of images, videos and cameras",
        lifespan=life,
        docs_url=None,  # these pages load scripts from other hosts
        redoc_url=None,
        middleware=[*_cross_origin(settings), Middleware(Guard, settings=settings, metrics=context.metrics)],
    )
    handle_problems(app)
    _add_state(app, context, media)
    app.include_router(segment.make_routes(context))
    app.include_router(video.make_routes(context, jobs))
    app.include_router(infer.make_routes(context))
    app.include_router(live.make_routes(context))
    _add_page(app, media)
    app.state.context, app.state.jobs = context, jobs
    return app


async def _load_default(context: Context) -> None:
    with contextlib.suppress(AaffError):  # it is logged, and /readyz keeps reporting "not ready"
        model = await context.models.get()
        LOG.info("model %s is ready", model.name)


def _cross_origin(settings: Settings) -> list[Middleware]:
    """Answers to the preflight requests of other sites, and the headers that let their pages read responses."""
    if not settings.origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(settings.origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Accept", "Authorization", "Content-Type", "Inference-Header-Content-Length"],
            expose_headers=["Inference-Header-Content-Length", "Retry-After"],
        )
    ]


def _add_state(app: FastAPI, context: Context, media: Path | None) -> None:
    """Routes for health, metrics, models and version."""

    @app.get("/healthz", tags=["server"])
    async def healthz() -> dict[str, str]:
        """Whether the server is running."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["server"], responses={503: RESPONSES[503]})
    async def readyz() -> dict[str, str]:
        """Whether the first model is loaded."""
        if context.models.default not in context.models.loaded:
            raise Refusal(503, "the model is still loading", retry=2)
        return {"status": "ready"}

    @app.get("/metrics", tags=["server"], response_class=Response, responses={401: RESPONSES[401]})
    async def metrics() -> Response:
        """Counters and timings in Prometheus format."""
        return Response(context.metrics.text(), media_type=MEDIA_TYPE)

    @app.get("/v1/models", tags=["server"], responses={401: RESPONSES[401]})
    async def models() -> dict[str, Any]:
        """The models by name; models that are not loaded yet have no details."""
        loaded = context.models.loaded
        return {
            "default": context.models.default,
            "models": [
                {"name": name, "loaded": name in loaded, "details": loaded[name].describe() if name in loaded else None}
                for name in context.models.names
            ],
        }

    @app.get("/v1/info", tags=["server"], responses={401: RESPONSES[401]})
    async def info() -> dict[str, Any]:
        """Version and limits of the server, and the name of the image or video that its page shows first."""
        limits = context.limits
        return {
            "version": __version__,
            "image_bytes": limits.image_mb * 10**6,
            "video_bytes": limits.video_mb * 10**6,
            "pixels": limits.pixels,
            "media": media.name if media else None,
        }


def _add_page(app: FastAPI, media: Path | None) -> None:
    """The page and its files."""

    @app.get("/", include_in_schema=False)
    async def index() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    if media is not None:

        @app.get("/v1/media", include_in_schema=False)
        async def first_media() -> FileResponse:
            return FileResponse(media)

    class Files(StaticFiles):
        def file_response(self, *args: Any, **kwargs: Any) -> Response:
            response = super().file_response(*args, **kwargs)
            response.headers["Cache-Control"] = "no-cache"  # so that a new version of aaff is used immediately
            return response

    app.mount("/page", Files(directory=PAGE), name="page")
