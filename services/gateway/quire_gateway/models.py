"""What the API speaks of: documents, their stages, lists, the timeline and search results."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import asyncpg
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, StringConstraints

Status = Literal["processing", "ready", "failed"]
StageStatus = Literal["pending", "done", "failed", "skipped"]

STAGES = ("ingest", "embed", "index", "preview", "enrich")
_NEEDS_TEXT = ("embed", "index", "enrich")

Word = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
"""What a list is filtered by; PostgreSQL knows no text with NUL."""
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Tags = Annotated[list[Tag], Field(max_length=50)]


def _possible(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("there is no such moment in UTC") from None


Moment = Annotated[AwareDatetime, AfterValidator(_possible)]


class Stage(BaseModel):
    """How far one stage of a document's processing is."""

    status: StageStatus
    reason: str | None = Field(default=None, description="Short code where it failed or was skipped")
    detail: str | None = Field(default=None, description="The reason in words")


class Stages(BaseModel):
    """The stages; each ends as done, failed or skipped."""

    ingest: Stage
    embed: Stage
    index: Stage
    preview: Stage
    enrich: Stage


class Preview(BaseModel):
    """A picture of a page."""

    page: int
    url: str
    width: int
    height: int


class Document(BaseModel):
    """A document of the catalog."""

    id: str = Field(examples=["doc_01932c5e7a2f7c3e9b1d2f3a4b5c6d7e"])
    title: str
    filename: str
    folder: str
    tags: list[str]
    metadata: dict[str, Any]
    media_type: str
    size: int = Field(description="Bytes of the content")
    sha256: str
    revision: int = Field(description="Version of the content")
    version: int = Field(description="Version of this entry; the ETag is made of it")
    created_at: datetime
    updated_at: datetime
    status: Status
    stages: Stages
    searchable: list[str] = Field(description="Legs of the search that find it by now: keyword, vector")
    language: str | None
    page_count: int | None
    characters: int | None
    chunks: int | None
    summary: str | None
    keywords: list[str]
    suggested_tags: list[str]
    thumbnail_url: str | None
    previews: list[Preview]


class UploadedDocument(Document):
    """The answer to an upload."""

    duplicate: bool = Field(description="The workspace already had this content: it is the document that is shown")


class DocumentChange(BaseModel):
    """What may be changed of a document; a field that is absent stays as it is."""

    model_config = {"extra": "forbid"}

    title: Title | None = None
    folder: str | None = Field(default=None, max_length=1000)
    tags: Tags | None = None
    metadata: dict[str, Any] | None = None


class DocumentList(BaseModel):
    """One page of documents, newest first."""

    data: list[Document]
    next_cursor: str | None


class TimelineEntry(BaseModel):
    """One event in the life of a document."""

    id: str
    type: str
    source: str
    time: datetime
    since_upload_ms: int = Field(description="Milliseconds from the upload to this event")
    took_ms: int | None = Field(description="Milliseconds from the event that caused it to this one")
    causationid: str | None
    summary: str = Field(description="What happened, in words")
    data: dict[str, Any] = Field(description="The event's data; payloads longer than a few kilobytes are left out")


class Timeline(BaseModel):
    """Every event of a document, in the order in which they were recorded."""

    data: list[TimelineEntry]


def stages_of(row: asyncpg.Record) -> Stages:
    """The stages as people see them: what waits for a text that will never come is skipped, not pending."""
    reasons = row["reasons"]
    shown: dict[str, Stage] = {}
    for name in STAGES:
        status = row[name]
        why = reasons.get(name, {})
        if status == "pending" and row["ingest"] == "failed" and name in _NEEDS_TEXT:
            status, why = "skipped", {"reason": "no_text", "detail": "The text could not be extracted."}
        elif status == "pending" and row["embed"] == "failed" and name == "index":
            status, why = "skipped", {"reason": "no_vectors", "detail": "The text could not be embedded."}
        shown[name] = Stage(status=status, reason=why.get("reason"), detail=why.get("detail"))
    return Stages(**shown)


def document_of(row: asyncpg.Record) -> Document:
    """A catalog row as the API shows it."""
    base = f"/api/v1/documents/{row['id']}/previews"
    previews = row["previews"] or {}
    pages = [
        Preview(page=image["page"], url=f"{base}/{image['page']}", width=image["width"], height=image["height"])
        for image in previews.get("pages", ())
    ]
    return Document(
        **{name: row[name] for name in _COPIED},
        stages=stages_of(row),
        thumbnail_url=f"{base}/thumbnail" if previews.get("thumbnail") else None,
        previews=pages,
    )


_COPIED = (
    "id", "title", "filename", "folder", "tags", "metadata", "media_type", "size", "sha256", "revision", "version",
    "created_at", "updated_at", "status", "searchable", "language", "page_count", "characters", "chunks", "summary",
    "keywords", "suggested_tags",
)  # fmt: skip
