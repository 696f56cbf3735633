"""What the index is made of, from the event log: given to the search service once more, and to no other."""

from collections.abc import Sequence

import asyncpg

from quire_contracts import (
    DocumentEnriched,
    DocumentUpdated,
    DocumentUpdatedData,
    Embedded,
    Event,
    TextExtracted,
    parse_event,
)
from quire_gateway import db
from quire_runtime.db import Connection

from . import reindex_db, replay

SERVICE = "search"
PARTS: tuple[type[Event], ...] = (TextExtracted, Embedded, DocumentEnriched)
"""The events that content is indexed from."""


async def parts_of(connection: db.Reader, rows: Sequence[asyncpg.Record]) -> list[Event]:
    """The newest event of each kind of these documents (rows of the catalog), with the catalog's entry as it is now."""
    by_id = {row["id"]: row for row in rows}
    newest: dict[tuple[str, type[Event]], Event] = {}
    for body in await db.logged(connection, list(by_id), PARTS):
        event = parse_event(body)
        if event.data.revision == by_id[event.subject]["revision"]:
            newest[event.subject, type(event)] = event
    for row in rows:
        text = newest.get((row["id"], TextExtracted))
        if isinstance(text, TextExtracted):
            data = text.data.model_copy(update={"document": db.info_of(row)})
            newest[row["id"], TextExtracted] = text.model_copy(update={"data": data})
        elif row["version"] > 1:  # it is found by its title, which the index heard of when it was changed
            newest[row["id"], DocumentUpdated] = entry_of(row)
    return list(newest.values())


def entry_of(row: asyncpg.Record) -> DocumentUpdated:
    """The catalog's entry as an event."""
    data = DocumentUpdatedData(revision=row["revision"], document=db.info_of(row))
    return DocumentUpdated.new(workspace=row["workspace_id"], document=row["id"], data=data)


async def give(connection: Connection, rows: Sequence[asyncpg.Record]) -> int:
    """Put everything that these documents are indexed from into the outbox, for the search service; returns how many
    events that are. Wake the relay after the commit."""
    events = await parts_of(connection, rows)
    await replay.replay(connection, events, SERVICE)
    return len(events)


async def give_lost(connection: Connection, events: Sequence[Event]) -> None:
    """Of events that are logged only now: give those once more that the index may have applied before it was emptied.

    Call it in the transaction that logs them.
    """
    parts = [event for event in events if isinstance(event, PARTS)]
    if parts and (until := await reindex_db.emptied_until(connection)) is not None:
        lost = {event.subject for event in parts if event.time <= until}
        if lost:
            await give(connection, await reindex_db.living_by_id(connection, lost))
