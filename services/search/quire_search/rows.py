"""A row of `document` as the state it stands for, and the state as a row."""

from datetime import datetime
from typing import Any

import asyncpg

from quire_contracts import DocumentInfo

from .state import Document, Enrichment, Text


def document_of(row: asyncpg.Record) -> Document:
    """A row of `document` as the state it stands for."""
    info = None
    if row["version"]:
        info = DocumentInfo(
            version=row["version"], title=row["title"], filename=row["filename"], folder=row["folder"],
            tags=row["tags"], metadata=row["metadata"], media_type=row["media_type"], size=row["size"],
            created_at=row["created_at"],
        )  # fmt: skip
    text = enrichment = None
    if row["text_at"] is not None:
        text = Text(row["text_at"], row["language"], row["page_count"], row["chunks"])
    if row["enriched_at"] is not None:
        enrichment = Enrichment(
            row["enriched_at"], row["summary"], tuple(row["keywords"]), tuple(row["suggested_tags"])
        )
    spaces = {name: datetime.fromisoformat(at) for name, at in row["spaces"].items()}
    return Document(row["deleted"], row["revision"], info, text, enrichment, spaces)


def columns_of(no: int, document: Document) -> dict[str, Any]:
    """The same the other way round."""
    info, text, made = document.info, document.text, document.enrichment
    columns = {
        "no": no, "deleted": document.deleted, "revision": document.revision,
        "version": info.version if info else 0, "tags": info.tags if info else [],
        "metadata": info.metadata if info else {}, "title": info.title if info else None,
        "filename": info.filename if info else None, "folder": info.folder if info else None,
        "media_type": info.media_type if info else None, "size": info.size if info else None,
        "created_at": info.created_at if info else None,
        "text_at": text.at if text else None, "language": text.language if text else None,
        "page_count": text.page_count if text else None, "chunks": text.chunks if text else None,
        "enriched_at": made.at if made else None, "summary": made.summary if made else None,
        "keywords": list(made.keywords) if made else [], "suggested_tags": list(made.tags) if made else [],
        "spaces": {name: at.isoformat() for name, at in document.spaces.items()},
    }  # fmt: skip
    return {name: clean(value) for name, value in columns.items()}


def clean(value: Any) -> Any:
    """PostgreSQL has no NUL in its texts: it becomes a space, so that offsets stay."""
    match value:
        case str():
            return value.replace("\0", " ") if "\0" in value else value
        case list():
            return [clean(item) for item in value]
        case dict():
            return {clean(key): clean(item) for key, item in value.items()}
    return value
