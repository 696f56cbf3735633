"""What the index believes about one document, and how an event changes that: a pure function, whatever the order.

The result depends on which events were seen and not on their order: content belongs to the newest revision, within a
revision to the event with the latest time; the catalog's entry with the highest version wins; a deletion is for ever.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from pgvector import HalfVector

from quire_contracts import (
    Chunk,
    DocumentDeleted,
    DocumentEnriched,
    DocumentInfo,
    DocumentUpdated,
    Embedded,
    Event,
    TextExtracted,
)

from .lexical import Passage


@dataclass(frozen=True)
class Enrichment:
    """What the enricher made of the text."""

    at: datetime
    summary: str
    keywords: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Text:
    """The keyword leg of a document."""

    at: datetime
    language: str | None
    page_count: int | None
    chunks: int


@dataclass(frozen=True)
class Document:
    """A row of `document`."""

    deleted: bool = False
    revision: int = 0
    info: DocumentInfo | None = None
    text: Text | None = None
    enrichment: Enrichment | None = None
    spaces: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class TextChange:
    """An event with its chunks, taken apart into passages."""

    event: TextExtracted
    chunks: Sequence[Chunk]
    passages: Sequence[Passage]


@dataclass(frozen=True)
class VectorChange:
    """An event with its vectors, one for each chunk."""

    event: Embedded
    space: str
    dimensions: int
    rows: Sequence[HalfVector]


@dataclass(frozen=True)
class OtherChange:
    """An event that carries all it means."""

    event: DocumentEnriched | DocumentUpdated | DocumentDeleted


Change = TextChange | VectorChange | OtherChange

NEW: Final = Document()


@dataclass
class Effects:
    """What must be done to the rows of a document besides its own."""

    wipe: bool = False
    """Everything that was stored for it before goes."""
    text: TextChange | None = None
    """Its chunks are replaced by these."""
    vectors: dict[str, VectorChange] = field(default_factory=dict)
    """Its vectors in a space are replaced by these."""
    cause: Event | None = None
    """The last event that added to a leg."""


def apply(document: Document, change: Change, effects: Effects) -> Document:
    """The document after the change; what else must happen is added to `effects`."""
    event = change.event
    if document.deleted:
        return document
    if isinstance(event, DocumentDeleted):
        effects.wipe, effects.text, effects.vectors, effects.cause = True, None, {}, None
        return Document(deleted=True)
    if isinstance(event, DocumentUpdated):
        return _informed(document, event.data.document)
    if isinstance(event, TextExtracted):
        document = _informed(document, event.data.document)
    if event.data.revision < document.revision:
        return document
    if event.data.revision > document.revision:
        effects.wipe, effects.text, effects.vectors, effects.cause = True, None, {}, None
        document = Document(revision=event.data.revision, info=document.info)
    return _content(document, change, effects)


def _informed(document: Document, info: DocumentInfo) -> Document:
    if document.info is not None and document.info.version >= info.version:
        return document
    return replace(document, info=info)


def _content(document: Document, change: Change, effects: Effects) -> Document:
    event = change.event
    if isinstance(change, TextChange):
        if document.text is not None and document.text.at >= event.time:
            return document
        effects.text, effects.cause = change, event
        data = change.event.data
        return replace(document, text=Text(event.time, data.language, data.page_count, len(change.chunks)))
    if isinstance(change, VectorChange):
        if change.space in document.spaces and document.spaces[change.space] >= event.time:
            return document
        effects.vectors[change.space] = change
        effects.cause = event
        return replace(document, spaces={**document.spaces, change.space: event.time})
    if isinstance(change.event, DocumentEnriched):
        if document.enrichment is not None and document.enrichment.at >= event.time:
            return document
        made = change.event.data
        return replace(
            document, enrichment=Enrichment(event.time, made.summary, tuple(made.keywords), tuple(made.tags))
        )
    return document
