"""Whether the promise was kept: looks at tables, queues and files as a stranger would, and knows no code of Quire.

| invariant | what must hold once everything is drained |
|---|---|
| I1 | every upload that was answered with 2xx is in exactly one terminal state |
| I2 | what the event log says was published is what a subscriber saw, neither more nor less |
| I3 | the index is what the catalog and the objects imply |
| I4 | each event had one effect in each consumer |
| I5 | nothing waits in queues and outboxes, and parked is exactly what was expected |
| I6 | the store holds what the catalog names, and nothing else |
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import asyncpg

from tests.support import checker_index, checker_store
from tests.support.checker_findings import Finding

REFUSED = (413, 415, 422, 507)
"""Answers that promise that nothing was kept."""

REPLAYED = """
    SELECT e.id FROM catalog.event e JOIN catalog.event cause ON cause.id = e.body::jsonb->>'causationid'
    WHERE cause.type IN (e.type, 'quire.stage.retried.v1')
"""
"""A replay goes to one service's queue and not to everybody."""


@dataclass(frozen=True)
class Upload:
    """One attempt of a client: the id it was given, if any, and the status, which is 0 where no answer came."""

    document: str | None
    status: int
    sha256: str
    at: float
    workspace: str


@dataclass(frozen=True)
class Queue:
    """What the broker says of one queue."""

    name: str
    ready: int
    unacknowledged: int


@dataclass(frozen=True)
class Evidence:
    """What was seen from outside during a run."""

    uploads: Sequence[Upload]
    observed: Mapping[str, int]
    """Event id to the number of times the subscriber got it."""
    queues: Sequence[Queue]
    objects: Path
    """The folder of the object store."""
    deleted: frozenset[str] = frozenset()
    """Documents that clients deleted."""
    may_fail: frozenset[str] = frozenset()
    """Documents whose terminal state is to be `failed`."""
    parked: Mapping[str, int] = field(default_factory=dict)
    """Service to the number of its messages that are to be parked."""


async def check(database: asyncpg.Connection, evidence: Evidence) -> list[Finding]:
    """Everything that is not as it should be. The connection sees the schemas `catalog` and `search` and all rows."""
    return [
        *await _terminal(database, evidence),
        *await _observed(database, evidence),
        *await checker_index.check(database, evidence.objects),
        *await _drained(database, evidence),
        *await checker_store.check(database, evidence.objects),
    ]


async def _terminal(database: asyncpg.Connection, evidence: Evidence) -> list[Finding]:
    rows = {
        row["id"]: row
        for row in await database.fetch("SELECT id, status, sha256, workspace_id, deleted_at FROM catalog.document")
    }
    accepted = {one.document: one for one in evidence.uploads if one.document is not None}
    found = []

    def note(kind: Literal["lost", "duplicated", "unexpected"], text: str, ids: Sequence[str]) -> None:
        if ids:
            found.append(Finding("I1", kind, text, list(ids)))

    note("lost", "accepted, and not in the catalog", [one for one in accepted if one not in rows])
    living = {one: row for one, row in rows.items() if row["deleted_at"] is None}
    note("lost", "accepted, and still processing", [
        one for one in accepted if one in living and living[one]["status"] == "processing"
    ])  # fmt: skip
    note("unexpected", "deleted by nobody", [
        one for one in accepted if one in rows and one not in living and one not in evidence.deleted
    ])  # fmt: skip
    note("unexpected", "failed", [
        one for one, row in living.items() if row["status"] == "failed" and one not in evidence.may_fail
    ])  # fmt: skip
    note("unexpected", "should have failed, and did not", [
        one for one in evidence.may_fail if one in living and living[one]["status"] != "failed"
    ])  # fmt: skip
    note("unexpected", "another content or workspace than was sent", [
        one for one, upload in accepted.items()
        if one in rows and (rows[one]["sha256"], rows[one]["workspace_id"]) != (upload.sha256, upload.workspace)
    ])  # fmt: skip
    # Where no answer came, or 503, the document may exist; where it was refused, it must not.
    sent = {upload.sha256 for upload in evidence.uploads if upload.status not in REFUSED}
    note("unexpected", "in the catalog, and never sent or refused", [
        one for one, row in rows.items() if row["sha256"] not in sent
    ])  # fmt: skip
    twice = Counter((row["workspace_id"], row["sha256"]) for row in living.values())
    note("duplicated", "one content, several living documents", [
        one for one, row in living.items() if twice[(row["workspace_id"], row["sha256"])] > 1
    ])  # fmt: skip
    return found


async def _observed(database: asyncpg.Connection, evidence: Evidence) -> list[Finding]:
    logged = {row["id"]: row["type"] for row in await database.fetch("SELECT id, type FROM catalog.event")}
    replays = {row["id"] for row in await database.fetch(REPLAYED)}
    unseen = [f"{one} {kind}" for one, kind in logged.items() if one not in evidence.observed and one not in replays]
    unlogged = [one for one in evidence.observed if one not in logged]
    twice = await database.fetch(
        "SELECT document_id, type FROM catalog.event WHERE type = 'quire.document.uploaded.v1'"
        f" AND id NOT IN ({REPLAYED}) GROUP BY 1, 2 HAVING count(*) > 1"
    )
    found = []
    if unseen:
        found.append(Finding("I2", "lost", "in the log, and not seen by the subscriber", unseen))
    if unlogged:
        found.append(Finding("I2", "lost", "seen by the subscriber, and not in the log", unlogged))
    if twice:
        found.append(Finding("I2", "duplicated", "uploaded twice", [row["document_id"] for row in twice]))
    return found


async def _drained(database: asyncpg.Connection, evidence: Evidence) -> list[Finding]:
    found = []
    parked: Counter[str] = Counter()
    for queue in evidence.queues:
        if queue.name.endswith(".parked"):
            parked[queue.name.split(".")[1]] += queue.ready
        elif queue.ready or queue.unacknowledged:
            text = f"{queue.name} holds {queue.ready} and {queue.unacknowledged} unacknowledged"
            found.append(Finding("I5", "lost", text, [queue.name]))
    for schema in ("catalog", "search"):
        rows = await database.fetch(f"SELECT event_id FROM {schema}.outbox ORDER BY seq")
        if rows:
            found.append(Finding("I5", "lost", f"{schema}.outbox holds {len(rows)}", [row["event_id"] for row in rows]))
    letters = []
    if await database.fetchval("SELECT to_regclass('catalog.dead_letter') IS NOT NULL"):
        letters = await database.fetch("SELECT id, service, reason FROM catalog.dead_letter WHERE state = 'parked'")
    parked.update(row["service"] for row in letters)
    for service in parked | Counter(evidence.parked):
        if parked[service] != evidence.parked.get(service, 0):
            text = f"{service}: {parked[service]} parked where {evidence.parked.get(service, 0)} were expected"
            reasons = [f"{row['id']} {row['reason']}" for row in letters if row["service"] == service]
            found.append(Finding("I5", "unexpected", text, reasons))
    return found
