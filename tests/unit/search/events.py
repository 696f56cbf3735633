"""Builders of the events that the index is made of, and of the changes they become."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import numpy as np

from quire_contracts import (
    Blob,
    Chunk,
    DocumentDeleted,
    DocumentDeletedData,
    DocumentEnriched,
    DocumentEnrichedData,
    DocumentInfo,
    DocumentUpdated,
    DocumentUpdatedData,
    Embedded,
    EmbeddedData,
    Event,
    TextExtracted,
    TextExtractedData,
    Vectors,
)
from quire_search.handlers import text_change, vector_change
from quire_search.state import Change, OtherChange

E = TypeVar("E", bound=Event)

DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)
SPACE = "static-wordllama-256-v1"


def info(**fields: Any) -> DocumentInfo:
    given: dict[str, Any] = {
        "version": 1, "title": "Keeping a lighthouse", "filename": "keeper.pdf", "folder": "/coast", "tags": ["sea"],
        "metadata": {"shelf": 3}, "media_type": "application/pdf", "size": 1200, "created_at": DAY,
    }  # fmt: skip
    return DocumentInfo(**{**given, **fields})


def chunks_of(*texts: str) -> list[Chunk]:
    """Chunks that follow each other with a line break between them, one a page."""
    made: list[Chunk] = []
    start = 0
    for index, text in enumerate(texts):
        made.append(Chunk(index=index, text=text, page=index + 1, start=start, end=start + len(text)))
        start += len(text) + 1
    return made


def extracted(
    *texts: str, document: str = "d1", workspace: str = "w1", revision: int = 1, language: str | None = "en",
    seconds: float = 0, **fields: Any,
) -> TextExtracted:  # fmt: skip
    data = TextExtractedData(
        revision=revision, document=info(**fields), language=language, page_count=len(texts), characters=0,
        text_key="text", chunks=Blob[list[Chunk]](inline=chunks_of(*texts), size=1),
    )  # fmt: skip
    return at(TextExtracted.new(workspace=workspace, document=document, data=data), seconds)


def embedded(
    rows: Any, *, document: str = "d1", workspace: str = "w1", revision: int = 1, space: str = SPACE, seconds: float = 0
) -> Embedded:
    vectors = np.asarray(rows, dtype="<f2").reshape(len(rows), -1) if len(rows) else np.empty((0, 4), "<f2")
    packed = Vectors(
        space=space, dimensions=vectors.shape[1], count=len(vectors), data=base64.b64encode(vectors.tobytes()).decode()
    )
    data = EmbeddedData(revision=revision, vectors=Blob[Vectors](inline=packed, size=1))
    return at(Embedded.new(workspace=workspace, document=document, data=data), seconds)


def enriched(
    summary: str = "About light.", *, document: str = "d1", workspace: str = "w1", revision: int = 1, seconds: float = 0
) -> DocumentEnriched:
    data = DocumentEnrichedData(
        revision=revision, summary=summary, keywords=["lamp"], tags=["history"], provider="local"
    )
    return at(DocumentEnriched.new(workspace=workspace, document=document, data=data), seconds)


def updated(
    version: int = 2, *, document: str = "d1", workspace: str = "w1", revision: int = 1, **fields: Any
) -> DocumentUpdated:
    data = DocumentUpdatedData(revision=revision, document=info(version=version, **fields))
    return DocumentUpdated.new(workspace=workspace, document=document, data=data)


def deleted(*, document: str = "d1", workspace: str = "w1", revision: int = 1) -> DocumentDeleted:
    return DocumentDeleted.new(workspace=workspace, document=document, data=DocumentDeletedData(revision=revision))


def at(event: E, seconds: float) -> E:
    """The event, as it happened so long after noon."""
    return event.model_copy(update={"time": DAY + timedelta(seconds=seconds)})


def change_of(event: Event) -> Change:
    """What the event's handler hands to the batch."""
    match event:
        case TextExtracted():
            assert event.data.chunks.inline is not None
            return text_change(event, event.data.chunks.inline)
        case Embedded():
            assert event.data.vectors.inline is not None
            return vector_change(event, event.data.vectors.inline)
        case DocumentEnriched() | DocumentUpdated() | DocumentDeleted():
            return OtherChange(event)
    raise TypeError(event)


def changes_of(events: Sequence[Event]) -> list[Change]:
    return [change_of(event) for event in events]
