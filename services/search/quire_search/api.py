"""The internal HTTP interface: the gateway's queries."""

import time
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from pydantic import AwareDatetime, BaseModel, Field

from quire_models import ModelError

from .engine import Engine, Request
from .parse import LONGEST_QUERY
from .query import Filters, Mode

Name = Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[^\x00]*$")]


class Highlight(BaseModel):
    """A part of the document's text: `text == full_text[start:end]`, in code points."""

    text: str
    page: int | None
    start: int
    end: int
    ranges: list[tuple[int, int]] = Field(description="The matched words, as offsets into `text`")


class Legs(BaseModel):
    """What each leg found: BM25's sum and the cosine of the best passage; none where the leg did not find it."""

    keyword: float | None
    vector: float | None


class Hit(BaseModel):
    """A document that was found."""

    document_id: str
    revision: int
    title: str
    filename: str
    folder: str
    tags: list[str]
    metadata: dict[str, Any]
    media_type: str
    size: int
    created_at: AwareDatetime
    language: str | None
    page_count: int | None
    summary: str | None
    keywords: list[str]
    suggested_tags: list[str]
    score: float = Field(description="0 to 1; comparable within one answer only")
    highlights: list[Highlight] = Field(description="At most three, best first")
    legs: Legs


class Results(BaseModel):
    """The best documents, and the counts of all that were found."""

    data: list[Hit]
    facets: dict[str, dict[str, int]] = Field(
        description="type, tag, folder and language; value to documents, most frequent first, at most 50 values"
    )
    took_ms: float


def routes(engine: Callable[[], Engine]) -> APIRouter:
    """The routes; `engine` gives the engine of the running service."""
    router = APIRouter()

    @router.get("/query")
    async def query(
        workspace: Annotated[Name, Query()],
        q: Annotated[str, Query(max_length=LONGEST_QUERY)] = "",
        mode: Mode = "hybrid",
        limit: Annotated[int, Query(ge=1, le=100)] = 10,
        folder: Annotated[Name | None, Query(description="This folder and everything below it")] = None,
        tag: Annotated[list[Name], Query(max_length=50, description="All of them")] = [],  # noqa: B006
        type: Annotated[list[Name], Query(max_length=50, description="Media type: one of them")] = [],  # noqa: A002, B006
        language: Annotated[list[Name], Query(max_length=50, description="One of them")] = [],  # noqa: B006
        created_from: AwareDatetime | None = None,
        created_to: AwareDatetime | None = None,
    ) -> Results:
        """Documents of one workspace, best first; without words the newest ones."""
        started = time.perf_counter()
        filters = Filters(folder, tuple(tag), tuple(type), tuple(language), created_from, created_to)
        try:
            answer = await engine().search(Request(workspace, q, mode, limit, filters))
        except ModelError as error:
            raise HTTPException(503, f"the query cannot be embedded now: {error}", {"Retry-After": "5"}) from error
        took = round((time.perf_counter() - started) * 1000, 2)
        return Results.model_validate({"data": answer.hits, "facets": answer.facets, "took_ms": took})

    return router
