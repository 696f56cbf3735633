"""What the gateway does with events: it logs each one and projects it onto the catalog, many in one transaction."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal

import asyncpg

from quire_contracts import (
    DocumentDeleted,
    DocumentEnriched,
    DocumentIndexed,
    Embedded,
    Event,
    PreviewReady,
    ProcessingFailed,
    TextExtracted,
)
from quire_contracts.keys import document_prefix
from quire_runtime.batch import Batcher
from quire_runtime.db import Connection
from quire_runtime.errors import Refused
from quire_runtime.storage import Store

from . import db
from .feed import Feed
from .recovery import reindex, sweep_db

Fate = Literal["applied", "unknown", "deleted"]
Apply = Callable[[Connection, list[Any]], Awaitable[None]]

APPLY: dict[type[Event], Apply] = {
    TextExtracted: db.apply_text,
    Embedded: db.apply_vectors,
    DocumentIndexed: db.apply_index,
    DocumentEnriched: db.apply_enrichment,
    PreviewReady: db.apply_previews,
    ProcessingFailed: db.apply_failures,
}


class Handlers:
    """The gateway's handlers; use `running` around them."""

    def __init__(self, pool: asyncpg.Pool, store: Store, feed: Feed) -> None:
        self._pool = pool
        self._store = store
        self._feed = feed
        self._projections: Batcher[Event, Fate] = Batcher(self._project, max_items=200)

    def running(self) -> AbstractAsyncContextManager[object]:
        """Needed around the handlers."""
        return self._projections

    async def on_progress(self, event: Event) -> None:
        """A worker did, or could not do, its part."""
        fate = await self._projections.add(event)
        if fate == "unknown":
            raise Refused(f"{event.workspaceid} has no document {event.subject} with the objects that are named")
        if fate == "deleted":  # a worker was still busy when its document was deleted: what it wrote goes too
            await self._store.delete_prefix(document_prefix(event.workspaceid, event.subject))

    async def on_document_deleted(self, event: DocumentDeleted) -> None:
        """Everything the document had in the store goes, where the catalog agrees that it is deleted."""
        async with self._pool.acquire() as connection, connection.transaction():
            known = await db.lock_documents(connection, [event.subject])
        fate = _fate(event, known.get(event.subject))
        if fate != "deleted":
            raise Refused(f"{event.workspaceid} has not deleted {event.subject}")
        await self._store.delete_prefix(document_prefix(event.workspaceid, event.subject))

    async def _project(self, events: list[Event]) -> list[Fate]:
        async with self._pool.acquire() as connection, connection.transaction():
            known = await db.lock_documents(connection, [event.subject for event in events])
            fates = [_fate(event, known.get(event.subject)) for event in events]
            ours = {event.id: event for event, fate in zip(events, fates, strict=True) if fate != "unknown"}
            fresh = await db.record(connection, list(ours.values()))
            by_kind: dict[type[Event], list[Event]] = defaultdict(list)
            for event in ours.values():
                if event.id in fresh and known[event.subject]["deleted_at"] is None:
                    by_kind[type(event)].append(event)
            for kind, apply in APPLY.items():
                if by_kind[kind]:
                    await apply(connection, by_kind[kind])
            applied = [event for events_of_kind in by_kind.values() for event in events_of_kind]
            if applied:
                if swept := {event.subject for event in applied if known[event.subject]["replays"]}:
                    await sweep_db.settle(connection, swept)
                await reindex.give_lost(connection, applied)
        self._feed.hint()
        return fates


def _fate(event: Event, row: asyncpg.Record | None) -> Fate:
    if row is None or row["workspace_id"] != event.workspaceid or not _keys_are_its_own(event):
        return "unknown"
    return "deleted" if row["deleted_at"] is not None else "applied"


def _keys_are_its_own(event: Event) -> bool:
    """Whether the objects that an event names lie below its own document, whose readers will be served them."""
    keys: list[str] = []
    if isinstance(event, TextExtracted):
        keys = [event.data.text_key]
    elif isinstance(event, PreviewReady):
        keys = [image.key for image in (event.data.thumbnail, *event.data.pages) if image is not None]
    prefix = document_prefix(event.workspaceid, event.subject)
    return all(key.startswith(prefix) and ".." not in key for key in keys)
