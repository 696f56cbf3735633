"""One example of each event, for tests that need some event and care for one or two of its fields."""

import base64
from datetime import UTC, datetime
from typing import Any

from quire_contracts import (
    Blob,
    Chunk,
    DocumentDeleted,
    DocumentDeletedData,
    DocumentEnriched,
    DocumentEnrichedData,
    DocumentIndexed,
    DocumentIndexedData,
    DocumentInfo,
    DocumentUpdated,
    DocumentUpdatedData,
    DocumentUploaded,
    DocumentUploadedData,
    Embedded,
    EmbeddedData,
    Event,
    PreviewImage,
    PreviewReady,
    PreviewReadyData,
    ProcessingFailed,
    ProcessingFailedData,
    TextExtracted,
    TextExtractedData,
    Vectors,
    uuid7,
)

AT = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)


def info(**changes: Any) -> DocumentInfo:
    """A catalog entry."""
    fields: dict[str, Any] = {
        "version": 1, "title": "Field notes", "filename": "notes.txt", "folder": "/station", "tags": ["weather"],
        "metadata": {"season": 3}, "media_type": "text/plain", "size": 23, "created_at": AT,
    }  # fmt: skip
    return DocumentInfo(**{**fields, **changes})


def uploaded(
    workspace: str = "ws_test", document: str | None = None, revision: int = 1, **changes: Any
) -> DocumentUploaded:
    """A document that was just uploaded; `changes` are of its catalog entry."""
    document = document or f"doc_{uuid7().hex}"
    data = DocumentUploadedData(
        revision=revision, document=info(**changes), content_key=f"{workspace}/{document}/{revision}/content",
        sha256="ab" * 32,
    )  # fmt: skip
    return DocumentUploaded.new(workspace=workspace, document=document, data=data)


def extracted(cause: Event, *texts: str) -> TextExtracted:
    """Its text, a chunk for each of `texts`."""
    chunks, start = [], 0
    for index, text in enumerate(texts or ("The wind turned north at noon.",)):
        chunks.append(Chunk(index=index, text=text, page=1, start=start, end=start + len(text)))
        start += len(text) + 1
    data = TextExtractedData(
        revision=cause.data.revision, document=getattr(cause.data, "document", info()), language="en", page_count=1,
        characters=max(0, start - 1), text_key=f"{cause.workspaceid}/{cause.subject}/1/text",
        chunks=Blob[list[Chunk]](inline=chunks, size=100),
    )  # fmt: skip
    return TextExtracted.follow(cause, data)


def embedded(cause: Event, count: int = 1) -> Embedded:
    """Its vectors, of two dimensions."""
    data = base64.b64encode(bytes(4 * count)).decode()
    vectors = Vectors(space="example-2-v1", dimensions=2, count=count, data=data)
    return Embedded.follow(
        cause, EmbeddedData(revision=cause.data.revision, vectors=Blob[Vectors](inline=vectors, size=90))
    )


def indexed(cause: Event, *legs: str) -> DocumentIndexed:
    """It is found by these legs."""
    data = DocumentIndexedData(revision=cause.data.revision, legs=list(legs or ("keyword", "vector")), chunks=1)
    return DocumentIndexed.follow(cause, data, discriminator=",".join(legs))


def enriched(cause: Event) -> DocumentEnriched:
    """Its summary."""
    data = DocumentEnrichedData(
        revision=cause.data.revision, summary="Wind from the north.", keywords=["north wind"], tags=["weather"],
        provider="local",
    )  # fmt: skip
    return DocumentEnriched.follow(cause, data)


def previewed(cause: Event, skipped: str | None = None) -> PreviewReady:
    """Its picture, or why there is none."""
    key = f"{cause.workspaceid}/{cause.subject}/1/previews/"
    image = PreviewImage(page=1, key=f"{key}thumbnail.webp", width=320, height=414)
    page = PreviewImage(page=1, key=f"{key}1-1200.webp", width=1200, height=1553)
    data = PreviewReadyData(
        revision=cause.data.revision, thumbnail=None if skipped else image, pages=[] if skipped else [page],
        page_count=1, skipped=skipped,
    )  # fmt: skip
    return PreviewReady.follow(cause, data)


def updated(cause: Event, **changes: Any) -> DocumentUpdated:
    """A change of its entry."""
    data = DocumentUpdatedData(revision=cause.data.revision, document=info(**{"version": 2, **changes}))
    return DocumentUpdated.new(workspace=cause.workspaceid, document=cause.subject, data=data)


def deleted(cause: Event) -> DocumentDeleted:
    """Its end."""
    data = DocumentDeletedData(revision=cause.data.revision)
    return DocumentDeleted.new(workspace=cause.workspaceid, document=cause.subject, data=data)


def failed(cause: Event, stage: Any = "ingest", reason: str = "corrupt") -> ProcessingFailed:
    """A stage that gave up on it."""
    data = ProcessingFailedData(
        revision=cause.data.revision, stage=stage, reason=reason, detail="The file ends in the middle.", attempts=1,
        cause_type=cause.type,
    )  # fmt: skip
    return ProcessingFailed.follow(cause, data, discriminator=stage, producer=stage)


def one_of_each() -> list[Event]:
    """Every type once, in the order of a document's life."""
    first = uploaded()
    text = extracted(first)
    return [
        first, text, embedded(text), indexed(text), enriched(text), previewed(first), updated(first), deleted(first),
        failed(first),
    ]  # fmt: skip
