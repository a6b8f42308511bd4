"""Error responses: one sentence in ``application/problem+json`` (RFC 9457).

No response contains a traceback: bugs of the server are logged and reported without details.
"""

from __future__ import annotations

import http
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from aaff.errors import AaffError, UnknownNameError, brief

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """An error and how to fix it."""

    type: str = Field("about:blank", description="always about:blank; the status identifies the kind of problem")
    title: str = Field(description="name of the HTTP status")
    status: int = Field(description="HTTP status")
    detail: str = Field(description="one sentence: what, where, how to fix it")


class Refusal(AaffError):  # noqa: N818 - a refusal, not always an error
    """A request that the server rejects.

    Args:
        status: HTTP status.
        sentence: message for the user.
        retry: seconds after which the client may try again.
    """

    def __init__(self, status: int, sentence: str, *, retry: int | None = None) -> None:
        super().__init__(sentence)
        self.status, self.retry = status, retry

    @property
    def headers(self) -> dict[str, str]:
        """The headers for the status."""
        found = {} if self.retry is None else {"Retry-After": str(self.retry)}
        return found | ({"WWW-Authenticate": 'Bearer realm="aaff"'} if self.status == 401 else {})


def to_problem(error: Exception) -> Problem:
    """The problem for an exception.

    >>> to_problem(Refusal(413, "too large")).status, to_problem(ValueError("secret")).status
    (413, 500)
    """
    if isinstance(error, Refusal):
        return problem(error.status, str(error))
    if isinstance(error, UnknownNameError):
        return problem(404 if str(error).startswith("unknown model") else 422, str(error))
    if isinstance(error, AaffError):
        return problem(422, str(error))
    if isinstance(error, MemoryError):
        return problem(503, "the server is out of memory; try a smaller image")
    return problem(500, "internal server error; see the log of the server")


def problem(status: int, sentence: str) -> Problem:
    """A problem with the name of its status."""
    return Problem(type="about:blank", title=http.HTTPStatus(status).phrase, status=status, detail=sentence)


def to_response(error: Exception) -> JSONResponse:
    """The response for an exception."""
    found = to_problem(error)
    headers = error.headers if isinstance(error, Refusal) else {"Retry-After": "5"} if found.status == 503 else {}
    return JSONResponse(found.model_dump(), found.status, headers, MEDIA_TYPE)


def handle_problems(app: FastAPI) -> None:
    """Install exception handlers that return all errors of an application in this format."""

    async def ours(_: Request, error: Exception) -> JSONResponse:
        return to_response(error)

    async def http_error(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        sentence = _SENTENCES.get(error.status_code, brief(error.detail))
        found = problem(error.status_code, sentence)
        return JSONResponse(found.model_dump(), error.status_code, error.headers, MEDIA_TYPE)

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first: dict[str, Any] = error.errors()[0]
        where = " ".join(str(part) for part in first.get("loc", ()))
        return to_response(Refusal(422, f"{brief(where)}: {brief(first.get('msg', 'invalid'))}"))

    app.add_exception_handler(AaffError, ours)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, ours)


_SENTENCES = {
    404: "there is no such URL; /openapi.json lists all",
    405: "this URL does not support this method; see /openapi.json",
}

RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text, "content": {MEDIA_TYPE: {}}}
    for status, text in {
        400: "The request cannot be read",
        401: "The token is missing or wrong",
        403: "The Host or Origin of the request is not allowed",
        404: "There is no such model or job",
        406: "None of the accepted types is available",
        408: "The request arrived too slowly",
        413: "The body or the image is too large",
        415: "The content type is not supported",
        422: "The content is invalid",
        429: "Too many jobs; try again later",
        500: "Internal server error",
        503: "The server is busy; try again later",
    }.items()
}
"""Problems of every route, for the OpenAPI document."""
