"""Receiving a content: hashed, measured and stored in one pass, then entered in the catalog together with others."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import structlog
from obstore.exceptions import BaseError as StoreError

from quire_contracts import DocumentUploaded, DocumentUploadedData, uuid7
from quire_contracts.keys import content_key
from quire_runtime.batch import Batcher
from quire_runtime.outbox import Relay
from quire_runtime.storage import Store
from quire_runtime.telemetry import stamp

from . import db
from .detect import ALLOWED, HEAD_BYTES, UNKNOWN, ZIP, detect, detect_zip, name_of_unknown
from .feed import Feed
from .problems import Problem

log = structlog.get_logger(__name__)

_ZIP_TAIL = 256 * 1024
_STORE_FULL = ("No space left", "StorageFull", "QuotaExceeded", "InsufficientStorage", "EntityTooLarge")


@dataclass(frozen=True)
class Content:
    """A stored content that is not in the catalog yet."""

    document: str
    key: str
    media_type: str
    size: int
    sha256: str


@dataclass(frozen=True)
class NewDocument:
    """A stored content as it goes into the catalog, and the event that says so."""

    key: str
    row: dict[str, Any]
    event: DocumentUploaded

    @property
    def content(self) -> tuple[str, str]:
        """What tells duplicates: workspace and SHA-256."""
        return self.row["workspace_id"], self.row["sha256"]


def new_document(
    workspace: str,
    content: Content,
    *,
    title: str,
    filename: str,
    folder: str,
    tags: list[str],
    metadata: dict[str, Any],
    correlation: str,
) -> NewDocument:
    """A content with what its owner said of it. Call it in the request's own context: the trace begins here."""
    row = {
        "id": content.document, "workspace_id": workspace, "title": title, "filename": filename, "folder": folder,
        "tags": tags, "metadata": metadata, "media_type": content.media_type, "size": content.size,
        "sha256": content.sha256, "content_key": content.key, "created_at": datetime.now(UTC),
    }  # fmt: skip
    data = DocumentUploadedData(revision=1, document=db.info_of(row), content_key=content.key, sha256=content.sha256)
    event = DocumentUploaded.new(workspace=workspace, document=content.document, data=data, correlation=correlation)
    return NewDocument(content.key, row, stamp(event))


class Receiver:
    """Stores contents and enters them in the catalog; many entries share one transaction."""

    def __init__(self, pool: asyncpg.Pool, store: Store, relay: Relay, feed: Feed, max_bytes: int) -> None:
        self._pool = pool
        self._store = store
        self._relay = relay
        self._feed = feed
        self._max_bytes = max_bytes
        self._entries: Batcher[NewDocument, tuple[asyncpg.Record, bool]] = Batcher(self._enter, max_items=200)

    def running(self) -> AbstractAsyncContextManager[object]:
        """Needed around `enter`."""
        return self._entries

    def check_room(self) -> None:
        """Raises a 503 problem while more events wait for the broker than the installation is to hold."""
        if self._relay.is_full:
            raise Problem(
                503, "busy", "Too many documents wait to be processed; try again.", headers={"Retry-After": "30"}
            )

    async def store(self, workspace: str, filename: str, data: AsyncIterator[bytes]) -> Content:
        """Store a content while it arrives.

        Raises problems: 422 empty, 415 a type that is not taken, 413 longer than the limit, 507 or 503 where the store
        fails. Nothing is left in the store then.
        """
        head = b""
        async for piece in data:
            head += piece
            if len(head) >= HEAD_BYTES:
                break
        if not head:
            raise Problem(422, "empty_file", "The file is empty.")
        media_type = detect(head[:HEAD_BYTES], filename)
        if media_type == UNKNOWN:
            raise _unsupported(await asyncio.to_thread(name_of_unknown, head[:HEAD_BYTES]))
        if media_type != ZIP:
            _check_allowed(media_type)
        document = f"doc_{uuid7().hex}"
        key = content_key(workspace, document, 1)
        passed = _Measured(head, data, self._max_bytes)
        try:
            await self._store.upload(key, passed)
            if media_type == ZIP:
                media_type = await self._look_into_zip(key, passed.size)
        except (StoreError, OSError) as error:
            log.error("the content could not be stored", error=str(error))
            await self._discard(key)
            if any(sign in str(error) for sign in _STORE_FULL):
                raise Problem(507, "store_full", "There is no room for the content.") from error
            raise Problem(
                503, "store_unavailable", "The content could not be stored; try again.", headers={"Retry-After": "5"}
            ) from error
        except Problem:
            await self._discard(key)
            raise
        return Content(document, key, media_type, passed.size, passed.sha256)

    async def enter(self, new: NewDocument) -> tuple[asyncpg.Record, bool]:
        """The catalog's row for a content, and whether the workspace already had it.

        The new object of a duplicate is deleted. Where the database fails the object stays: the commit may have
        happened all the same.
        """
        try:
            row, duplicate = await self._entries.add(new)
        except Problem:
            await self._discard(new.key)
            raise
        if duplicate:
            await self._discard(new.key)
        return row, duplicate

    async def discard(self, content: Content) -> None:
        """Delete a content that will not be entered."""
        await self._discard(content.key)

    async def _enter(self, batch: list[NewDocument]) -> list[tuple[asyncpg.Record, bool]]:
        async with self._pool.acquire() as connection:
            async with connection.transaction():
                inserted = await db.insert_documents(connection, [new.row for new in batch])
                await db.publish(connection, [new.event for new in batch if new.row["id"] in inserted])
            found = await db.documents_by_content(connection, [new.content for new in batch])
        self._relay.wake(len(inserted))
        self._feed.hint()
        by_content = {(row["workspace_id"], row["sha256"]): row for row in found}
        answers = []
        for new in batch:
            row = by_content.get(new.content)
            if row is None:  # the document it duplicates was deleted in this very moment
                raise Problem(409, "conflict", "The same content was just deleted; upload it again.")
            answers.append((row, row["id"] != new.row["id"]))
        return answers

    async def _look_into_zip(self, key: str, size: int) -> str:
        tail = b"".join([piece async for piece in self._store.stream(key, max(0, size - _ZIP_TAIL))])
        media_type = detect_zip(tail)
        _check_allowed(media_type)
        return media_type

    async def _discard(self, key: str) -> None:
        try:
            await self._store.delete(key)
        except (StoreError, OSError) as error:
            log.warning("an object is left over", key=key, error=str(error))


class _Measured:
    """Passes a content through, hashing and counting it; 413 beyond the limit."""

    def __init__(self, head: bytes, rest: AsyncIterator[bytes], limit: int) -> None:
        self._head = head
        self._rest = rest
        self._limit = limit
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._pass(self._head)
        async for piece in self._rest:
            yield self._pass(piece)

    def _pass(self, piece: bytes) -> bytes:
        self.size += len(piece)
        if self.size > self._limit:
            raise too_large(self._limit)
        self._hash.update(piece)
        return piece


def too_large(limit: int) -> Problem:
    """For a content beyond the limit."""
    return Problem(413, "too_large", f"A document has at most {limit} bytes here.")


def _check_allowed(media_type: str) -> None:
    if media_type not in ALLOWED:
        raise _unsupported(media_type)


def _unsupported(media_type: str) -> Problem:
    return Problem(415, "unsupported_type", f"The content is {media_type}, which is not taken.")
