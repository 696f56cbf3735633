"""Replays: a stage's cause is taken from the event log and given to its service once more, and to no other.

| stage           | service            | cause                                                       |
|-----------------|--------------------|-------------------------------------------------------------|
| ingest, preview | ingest, previewer  | `DocumentUploaded`                                          |
| embed, enrich   | embedder, enricher | `TextExtracted`                                             |
| index           | search             | `TextExtracted` and `Embedded`, for the legs that are missing |

A replay has an id of its own, so that what follows from it is new to everybody who has seen the first time.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

import asyncpg

from quire_contracts import (
    TABLE,
    DocumentUploaded,
    Embedded,
    Event,
    Stage,
    StageRetried,
    StageRetriedData,
    TextExtracted,
    parse_event,
)
from quire_gateway import db
from quire_gateway.dead_letters import letters_db
from quire_runtime import outbox
from quire_runtime.db import Connection

STAGES: tuple[Stage, ...] = tuple(row.stage for row in TABLE if row.stage)
SERVICE: Mapping[Stage, str] = {row.stage: row.service for row in TABLE if row.stage}
_CAUSES: Mapping[Stage, tuple[type[Event], ...]] = {
    "ingest": (DocumentUploaded,),
    "preview": (DocumentUploaded,),
    "embed": (TextExtracted,),
    "enrich": (TextExtracted,),
    "index": (TextExtracted, Embedded),
}
_LEGS: Mapping[type[Event], str] = {TextExtracted: "keyword", Embedded: "vector"}

Causes = Mapping[type[Event], Event]
"""The newest event of each type for the document's present revision, as far as there is one."""


async def causes_of(
    connection: db.Reader, rows: Sequence[asyncpg.Record], stages: Iterable[Stage] = STAGES
) -> dict[str, Causes]:
    """What these stages of these documents (rows of the catalog) follow from; by document id.

    The events carry the catalog's entry as it is now, whatever it was when they were written.
    """
    by_id = {row["id"]: row for row in rows}
    found: dict[str, dict[type[Event], Event]] = {row["id"]: {} for row in rows}
    kinds = {kind for stage in stages for kind in _CAUSES[stage]}
    for body in await db.logged(connection, list(by_id), list(kinds)):
        event = parse_event(body)
        row = by_id[event.subject]
        if event.data.revision != row["revision"]:
            continue
        if isinstance(event, (DocumentUploaded, TextExtracted)):
            data = event.data.model_copy(update={"document": db.info_of(row)})
            event = event.model_copy(update={"data": data})
        found[event.subject][type(event)] = event
    return {document: dict(causes) for document, causes in found.items()}


def causes_for(stage: Stage, row: asyncpg.Record, causes: Causes, *, whole: bool = False) -> list[Event]:
    """What is to be given to the stage's service: empty where the stage before has not done its part.

    Of the index only the missing legs are done again, unless the `whole` stage is wanted.
    """
    wanted = _CAUSES[stage]
    if stage == "index" and not whole:
        wanted = tuple(kind for kind in wanted if _LEGS[kind] not in row["searchable"]) or wanted
    return [causes[kind] for kind in wanted if kind in causes]


async def retry(
    connection: Connection,
    rows: Sequence[asyncpg.Record],
    stages: Mapping[str, Collection[Stage]],
    *,
    by: Literal["user", "sweeper"],
    correlation: str | None = None,
    whole: bool = False,
) -> list[StageRetried]:
    """Do stages of documents once more, in the caller's transaction, which holds locks on the rows.

    `stages` gives the wanted ones by document id. A stage whose cause is not known is left out; the others are
    `pending` from now on, and what the service had parked of the document is settled. Returns what was announced.
    Wake the relay after the commit.
    """
    known = await causes_of(connection, rows, {stage for wanted in stages.values() for stage in wanted})
    retried: list[StageRetried] = []
    replays: dict[str, list[Event]] = defaultdict(list)
    for row in rows:
        for stage in stages.get(row["id"], ()):
            causes = causes_for(stage, row, known[row["id"]], whole=whole)
            if not causes:
                continue
            asked = StageRetried.new(
                workspace=row["workspace_id"],
                document=row["id"],
                data=StageRetriedData(revision=row["revision"], stage=stage, by=by),
                correlation=correlation,
            )
            retried.append(asked)
            replays[SERVICE[stage]] += [cause.replay(asked) for cause in causes]
    await db.begin_again(connection, [(event.subject, event.data.stage) for event in retried], counted=by == "sweeper")
    await letters_db.supersede(
        connection, [(event.workspaceid, event.subject, SERVICE[event.data.stage]) for event in retried]
    )
    await db.publish(connection, retried)
    for service, events in replays.items():
        await outbox.add(connection, events, service)
    return retried


async def replay(connection: Connection, events: Sequence[Event], service: str) -> None:
    """Give logged events to one service once more without a word to anybody; wake the relay after the commit."""
    await outbox.add(connection, [event.replay() for event in events], service)
