"""Errors as RFC 9457 problem documents, for every status the API gives."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from obstore.exceptions import BaseError as StoreError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from quire_runtime.db import UNAVAILABLE

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
_SOON = {"Retry-After": "5"}


class FieldProblem(BaseModel):
    """What is wrong with one part of the request."""

    pointer: str = Field(examples=["/query/limit"])
    detail: str


class ProblemDocument(BaseModel):
    """RFC 9457, with a stable `code` for programs and the request's id for people."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str | None = None
    instance: str
    code: str = Field(examples=["not_found"])
    request_id: str
    errors: list[FieldProblem] | None = None


class Problem(Exception):
    """Ends a request with a problem document."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.headers = headers or {}


def not_found() -> Problem:
    """For an id that is unknown, deleted, or another workspace's: the three look the same."""
    return Problem(404, "not_found", "There is no such document.")


_SCHEMA = {"$ref": "#/components/schemas/ProblemDocument"}
RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {"description": "A problem document", "content": {MEDIA_TYPE: {"schema": _SCHEMA}}},
}
"""For the routes' `responses`: every error is a problem document."""


def respond(request: Request, problem: Problem) -> JSONResponse:
    """The problem as a response to this request."""
    document = ProblemDocument(
        type="about:blank",
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.detail,
        instance=request.url.path,
        code=problem.code,
        request_id=request.scope.get("quire.request_id", ""),
        errors=problem.errors or None,
    )
    return JSONResponse(document.model_dump(exclude_none=True), problem.status, problem.headers, MEDIA_TYPE)


async def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return respond(request, error)


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    return respond(request, Problem(error.status_code, code, str(error.detail), headers=dict(error.headers or {})))


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [
        FieldProblem(pointer="/" + "/".join(str(part) for part in found["loc"]), detail=found["msg"])
        for found in error.errors()[:20]
    ]
    return respond(request, Problem(422, "invalid", "The request is not valid; see `errors`.", errors=errors))


async def _on_unavailable(request: Request, error: Exception) -> JSONResponse:
    log.warning("the database is away", error=f"{type(error).__name__}: {error}")
    problem = Problem(503, "unavailable", "The catalog cannot be reached now; try again.", headers=_SOON)
    return respond(request, problem)


async def _on_store(request: Request, error: Exception) -> JSONResponse:
    log.warning("the store is away", error=f"{type(error).__name__}: {error}")
    problem = Problem(503, "store_unavailable", "The store cannot be reached now; try again.", headers=_SOON)
    return respond(request, problem)


async def _on_defect(request: Request, error: Exception) -> JSONResponse:
    log.error("a request failed", exc_info=error)
    return respond(request, Problem(500, "internal", "Something went wrong; the request id finds it in the logs."))


def install(app: FastAPI) -> None:
    """Make every error of the app a problem document."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    for kind in UNAVAILABLE:
        app.add_exception_handler(kind, _on_unavailable)
    app.add_exception_handler(StoreError, _on_store)
    app.add_exception_handler(Exception, _on_defect)
