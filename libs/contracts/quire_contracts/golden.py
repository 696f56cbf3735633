"""The canonical example of each event, from one imaginary document's life."""

from datetime import UTC, datetime, timedelta
from typing import Any

from .blob import Blob
from .event import Event, derived_id
from .events import (
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
    PreviewImage,
    PreviewReady,
    PreviewReadyData,
    ProcessingFailed,
    ProcessingFailedData,
    StageRetried,
    StageRetriedData,
    TextExtracted,
    TextExtractedData,
    Vectors,
)

_AT = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
_WORKSPACE = "ws_0195951c8d2a7c4e8f1b2a3c4d5e6f70"
_DOCUMENT = "doc_0195951ca1b27d3f9e4c5b6a79880102"
_PREFIX = f"{_WORKSPACE}/{_DOCUMENT}/1"
_TEXT = "The seismometer on the north ridge stopped at four in the morning."
_INFO = DocumentInfo(
    version=1, title="Night report", filename="night-report.pdf", folder="/reports/2026", tags=["seismometer"],
    metadata={"shift": "night"}, media_type="application/pdf", size=48213, created_at=_AT,
)  # fmt: skip


def golden(kind: type[Event]) -> Event:
    """The example of one type."""
    seconds, cause, data = _EXAMPLES[kind]
    root = "0195951c-a1b2-7d3f-9e4c-5b6a79880101"
    event_id = root if cause is None else derived_id(root, kind.type_name())
    return kind(
        id=event_id,
        source=f"/quire/{kind.producer if kind.producer != '*' else 'ingest'}",
        subject=_DOCUMENT,
        time=_AT + timedelta(seconds=seconds),
        workspaceid=_WORKSPACE,
        correlationid="0195951c-9f00-7aaa-8bbb-0123456789ab",
        causationid=None
        if cause is None
        else (root if cause is DocumentUploaded else derived_id(root, cause.type_name())),
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        data=data,
    )  # type: ignore[call-arg]


def _image(name: str, width: int, height: int) -> PreviewImage:
    return PreviewImage(page=1, key=f"{_PREFIX}/previews/{name}.webp", width=width, height=height)


_CHUNK = Chunk(index=0, text=_TEXT, page=1, start=0, end=len(_TEXT))
_VECTORS = Vectors(space="static-wordllama-256-v1", dimensions=4, count=1, data="AC4AsQA0ADg=")

_EXAMPLES: dict[type[Event], tuple[float, type[Event] | None, Any]] = {
    DocumentUploaded: (0.0, None, DocumentUploadedData(
        revision=1, document=_INFO, content_key=f"{_PREFIX}/content",
        sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    )),
    TextExtracted: (0.031, DocumentUploaded, TextExtractedData(
        revision=1, document=_INFO, language="en", page_count=1, characters=len(_TEXT), text_key=f"{_PREFIX}/text",
        chunks=Blob[list[Chunk]](inline=[_CHUNK], size=132),
    )),
    Embedded: (0.042, TextExtracted, EmbeddedData(revision=1, vectors=Blob[Vectors](inline=_VECTORS, size=93))),
    DocumentIndexed: (0.055, Embedded, DocumentIndexedData(
        revision=1, legs=["keyword", "vector"], chunks=1, space="static-wordllama-256-v1",
    )),
    DocumentEnriched: (0.049, TextExtracted, DocumentEnrichedData(
        revision=1, summary=_TEXT, keywords=["north ridge", "seismometer"], tags=["seismometer"], provider="local",
    )),
    PreviewReady: (0.120, DocumentUploaded, PreviewReadyData(
        revision=1, thumbnail=_image("thumbnail", 320, 453), pages=[_image("1-1200", 1200, 1697)], page_count=1,
    )),
    DocumentUpdated: (61.0, DocumentUploaded, DocumentUpdatedData(
        revision=1, document=_INFO.model_copy(update={"version": 2, "tags": ["seismometer", "outage"]}),
    )),
    DocumentDeleted: (86400.0, DocumentUploaded, DocumentDeletedData(revision=1)),
    StageRetried: (340.0, DocumentUploaded, StageRetriedData(revision=1, stage="preview", by="user")),
    ProcessingFailed: (0.027, DocumentUploaded, ProcessingFailedData(
        revision=1, stage="ingest", reason="encrypted", detail="The PDF is protected by a password.", attempts=1,
        cause_type="quire.document.uploaded.v1",
    )),
}  # fmt: skip
