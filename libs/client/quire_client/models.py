"""What the API answers, as the client sees it; fields that are not known here are ignored."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

Mode = Literal["hybrid", "semantic", "keyword"]


class Stage(BaseModel):
    """How far one stage of a document's processing is: `pending`, or ended as `done`, `failed` or `skipped`."""

    status: str
    reason: str | None = None
    detail: str | None = None


class Preview(BaseModel):
    """A picture of a page; `url` is a path on the server, sizes are in pixels."""

    page: int
    url: str
    width: int
    height: int


class Document(BaseModel):
    """A document of the catalog."""

    id: str
    title: str
    filename: str
    folder: str = "/"
    tags: list[str] = []
    metadata: dict[str, Any] = {}
    media_type: str
    size: int
    sha256: str
    revision: int = 1
    version: int = 1
    created_at: datetime
    updated_at: datetime
    status: str
    """`processing`, `ready` or `failed`."""
    stages: dict[str, Stage]
    searchable: list[str] = []
    """Legs of the search that find it by now: `keyword`, `vector`."""
    language: str | None = None
    page_count: int | None = None
    characters: int | None = None
    chunks: int | None = None
    summary: str | None = None
    keywords: list[str] = []
    suggested_tags: list[str] = []
    thumbnail_url: str | None = None
    previews: list[Preview] = []
    etag: str | None = None
    """The state of the entry for `change(if_match=…)`; only where one document was asked for or changed."""

    @property
    def settled(self) -> bool:
        """Nothing more will happen to it: ready or failed."""
        return self.status in {"ready", "failed"}

    @property
    def waiting_for(self) -> list[str]:
        """Names of the stages that have not ended."""
        return [name for name, stage in self.stages.items() if stage.status == "pending"]

    @property
    def problems(self) -> list[str]:
        """What failed, in words, one line a stage."""
        return [
            f"{name}: {stage.detail or stage.reason or 'failed'}"
            for name, stage in self.stages.items()
            if stage.status == "failed"
        ]


class UploadedDocument(Document):
    """The answer to an upload."""

    duplicate: bool
    """The workspace already had this content: it is the document that is shown."""


class Highlight(BaseModel):
    """A passage that speaks for a hit."""

    text: str
    page: int | None = None
    """From 1; none where the document has no pages."""
    start: int = 0
    """First character of the passage in the document's text."""
    end: int = 0
    ranges: list[tuple[int, int]] = []
    """Matched words, as offsets of characters in `text`."""


class Hit(BaseModel):
    """A document that was found."""

    document: Document
    score: float
    highlights: list[Highlight] = []


class SearchResults(BaseModel):
    """The best documents, and what all matches have in common."""

    data: list[Hit]
    facets: dict[str, dict[str, int]] = {}
    """For each facet (`type`, `tag`, `folder`, `language`): value and number of documents."""
    took_ms: float


class TimelineEntry(BaseModel):
    """One event in the life of a document."""

    id: str
    type: str
    source: str = ""
    time: datetime
    since_upload_ms: int
    took_ms: int | None = None
    """Milliseconds from the event that caused it to this one."""
    causationid: str | None = None
    summary: str
    data: dict[str, Any] = {}


class Timeline(BaseModel):
    """Every event of a document, in the order in which they were recorded."""

    data: list[TimelineEntry]


class Event(BaseModel):
    """An event of the workspace: the CloudEvents document that other systems get from the broker."""

    id: str
    type: str
    """For example `quire.text.extracted.v1`."""
    source: str = ""
    subject: str
    """The id of the document."""
    time: datetime
    workspaceid: str = ""
    correlationid: str | None = None
    causationid: str | None = None
    data: dict[str, Any] = {}
    cursor: str = ""
    """Its place in the stream: `events(after=cursor)` goes on behind it."""


class Retried(BaseModel):
    """What became of a retry of many documents."""

    matched: int
    """Documents with a stage that failed and that the filter names."""
    retried: int
    dry_run: bool = False


class DeadLetter(BaseModel):
    """A message that no worker could handle."""

    id: str
    service: str
    """Whose message it was."""
    event_id: str | None = None
    event_type: str | None = None
    workspace: str | None = None
    document: str | None = None
    event_time: datetime | None = None
    reason: str
    attempts: int
    times: int = 1
    """How often it was given up."""
    first_at: datetime
    last_at: datetime
    state: str
    """`parked` (it waits for a person), `requeued` or `discarded`."""
    headers: dict[str, Any] = {}
    event: Any = None
    """The message as JSON; only where one dead letter was asked for, and its body is JSON."""
    body_base64: str | None = None
    """The message where it is anything else."""


class DeadLettersChanged(BaseModel):
    """What became of many dead letters."""

    matched: int
    changed: int
    refused: int = 0
    """Of those that were to be requeued: their bodies are no text."""
    dry_run: bool = False


class AuditEntry(BaseModel):
    """Who did what, when."""

    at: datetime
    actor: str
    """The id of the API key, or `sweeper`."""
    action: str
    """For example `dead-letters.requeue`."""
    workspace: str | None = None
    subject: str | None = None
    detail: dict[str, Any] = {}
