"""GET /search: asks the search service, and shows each hit as the catalog knows it now."""

from typing import Annotated, Any, Literal

import httpx
from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, Field

from . import db, names
from .auth import Authenticated
from .models import Document, document_of
from .problems import RESPONSES, Problem
from .state import Running

router = APIRouter(responses=RESPONSES)

QUERY_LIMIT = 2000


class Highlight(BaseModel):
    """A passage that speaks for the hit."""

    text: str
    page: int | None = Field(default=None, description="1-based; none where the document has no pages")
    start: int = Field(description="First character of the passage in the document's text")
    end: int
    ranges: list[tuple[int, int]] = Field(description="Matched words, as offsets in the passage")


class Hit(BaseModel):
    """A document that was found."""

    document: Document
    score: float
    highlights: list[Highlight]


class SearchResults(BaseModel):
    """The best documents, and what all matches have in common."""

    data: list[Hit]
    facets: dict[str, dict[str, int]] = Field(description="For each facet: value and number of documents")
    took_ms: float


@router.get("/search")
async def search(
    caller: Authenticated,
    gateway: Running,
    q: Annotated[str, Query(min_length=1, max_length=QUERY_LIMIT, description='words, "phrases", OR, -not')],
    mode: Literal["hybrid", "semantic", "keyword"] = "hybrid",
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
    folder: Annotated[str | None, Query(max_length=1000, description="a folder with everything below it")] = None,
    tag: Annotated[list[str] | None, Query(max_length=20, description="all of them")] = None,
    media_type: Annotated[list[str] | None, Query(max_length=20, description="one of them")] = None,
    language: Annotated[list[str] | None, Query(max_length=20, description="ISO 639-1 codes, one of them")] = None,
    created_after: AwareDatetime | None = None,
    created_before: AwareDatetime | None = None,
) -> SearchResults:
    """Find documents by meaning and by word."""
    parameters: dict[str, Any] = {
        "workspace": caller.workspace,
        "q": names.clean(q, QUERY_LIMIT),
        "mode": mode,
        "limit": limit,
        "folder": names.clean_folder(folder) if folder else None,
        "tag": [names.clean(name, 100) for name in tag] if tag else None,
        "type": [names.clean(name, 200) for name in media_type] if media_type else None,
        "language": [names.clean(name, 20) for name in language] if language else None,
        "created_from": created_after.isoformat() if created_after else None,
        "created_to": created_before.isoformat() if created_before else None,
    }
    found = await _ask(gateway.search, {name: value for name, value in parameters.items() if value is not None})
    rows = await db.documents(gateway.pool, caller.workspace, [hit["document_id"] for hit in found["data"]])
    hits = [
        Hit(document=document_of(rows[hit["document_id"]]), score=hit["score"], highlights=hit["highlights"])
        for hit in found["data"]
        if hit["document_id"] in rows
    ]
    return SearchResults(data=hits, facets=found["facets"], took_ms=found["took_ms"])


async def _ask(client: httpx.AsyncClient, parameters: dict[str, Any]) -> dict[str, Any]:
    try:
        answer = await client.get("/query", params=parameters)
    except httpx.HTTPError as error:
        detail = f"The search service does not answer ({type(error).__name__}); try again."
        raise Problem(503, "search_unavailable", detail, headers={"Retry-After": "2"}) from error
    if answer.status_code == 422:
        raise Problem(422, "invalid", "The query is not valid.")
    if answer.status_code != 200:
        raise Problem(503, "search_unavailable", "The search service failed; try again.", headers={"Retry-After": "2"})
    found: dict[str, Any] = answer.json()
    return found
