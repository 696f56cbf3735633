"""Repairs: whoever can make what is missing is given its cause once more, and nobody else hears of it."""

from collections.abc import Collection, Mapping, Sequence

import asyncpg

from quire_contracts import (
    DocumentDeleted,
    DocumentDeletedData,
    DocumentUploaded,
    Event,
    Stage,
    TextExtracted,
)
from quire_runtime.db import Connection

from . import reindex, replay
from .differences import Cure, Entry

_AGAIN: tuple[tuple[Cure, Stage], ...] = (("ingest", "ingest"), ("embed", "embed"), ("preview", "preview"))


async def mend(
    connection: Connection, rows: Sequence[asyncpg.Record], cures: Mapping[str, Collection[Cure]]
) -> tuple[set[tuple[str, Cure]], int]:
    """Begin these cures (by document id) in the caller's transaction; wake the relay after the commit.

    Returns which of them could be begun, and the number of events that is. Where the text is made anew, everything
    that is made of it follows by itself; where the vectors are, the index gets the text alone.
    """
    wanted = [row for row in rows if cures.get(row["id"])]
    causes = await replay.causes_of(connection, wanted, ["ingest", "embed"])
    begun: set[tuple[str, Cure]] = set()
    events = 0
    for row in wanted:
        asked, known = set(cures[row["id"]]), causes[row["id"]]
        for cure, stage in _AGAIN:
            found = replay.causes_for(stage, row, known) if cure in asked else []
            if found:
                await replay.replay(connection, found, replay.SERVICE[stage])
                begun.add((row["id"], cure))
                events += len(found)
        if "ingest" in asked and DocumentUploaded in known:
            begun |= {(row["id"], cure) for cure in asked & {"embed", "index", "anew", "entry"}}
        elif asked & {"index", "anew", "entry"}:
            parts: list[Event] = [reindex.entry_of(row)]
            if asked & {"index", "anew"}:
                parts += await reindex.parts_of(connection, [row])
                if "embed" in asked:
                    parts = [part for part in parts if part.type in (TextExtracted.type_name(), parts[0].type)]
            await replay.replay(connection, parts, reindex.SERVICE)
            begun |= {(row["id"], cure) for cure in asked & {"index", "anew", "entry"}}
            events += len(parts)
    return begun, events


async def remove(connection: Connection, entries: Sequence[Entry]) -> int:
    """Tell the search service alone that these are deleted; returns how many events that are."""
    events = [
        DocumentDeleted.new(
            workspace=entry.workspace, document=entry.id, data=DocumentDeletedData(revision=max(1, entry.revision))
        )
        for entry in entries
    ]
    await replay.replay(connection, events, reindex.SERVICE)
    return len(events)
