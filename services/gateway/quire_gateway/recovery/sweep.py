"""The sweeper: documents that do not get on are helped on, or told to have failed; and what nobody needs is deleted.

A document is stuck when nothing has changed in it for longer than any handler and any delay takes, and the services
that it waits for have nothing waiting. Their causes are given to them once more; where that does not help, the stages
fail with the reason `stuck`, so that every document ends. Every gateway sweeps, one at a time.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import aio_pika
import asyncpg
import structlog
from pydantic import BaseModel, Field

from quire_contracts import (
    DocumentUploaded,
    Event,
    ProcessingFailed,
    ProcessingFailedData,
    Stage,
    StageRetried,
    TextExtracted,
    parse_event,
)
from quire_gateway import audit_db, db
from quire_gateway.metrics import STUCK_DOCUMENTS, SWEPT
from quire_gateway.settings import GatewaySettings
from quire_runtime.db import Connection
from quire_runtime.outbox import Relay
from quire_runtime.storage import Store

from . import locks, orphans, replay, sweep_db
from .waiting import Waiting

log = structlog.get_logger(__name__)

BATCH = 100
PATIENCE = 6
"""So many times `stuck_after_s` a document may wait behind the messages of others."""
NO_BROKER = (aio_pika.exceptions.AMQPError, OSError, TimeoutError)

Doomed = Sequence[tuple[asyncpg.Record, Stage]]


class Swept(BaseModel):
    """What a pass did."""

    replayed: int = Field(default=0, description="Documents whose stages were given to their services once more")
    failed: int = Field(default=0, description="Documents with a stage that failed with the reason `stuck`")
    waiting: int = Field(default=0, description="Documents that stand still behind messages that wait")
    objects: int | None = Field(default=None, description="Orphaned objects deleted; none where it was not the time")
    uploads: int | None = Field(default=None, description="Unfinished uploads deleted; none likewise")


def roots(row: asyncpg.Record | Mapping[str, object]) -> list[Stage]:
    """The pending stages that wait for nothing but their service: those before them have done their part."""
    found: list[Stage] = []
    searchable = row["searchable"]
    assert isinstance(searchable, Sequence)
    if row["ingest"] == "pending":
        found.append("ingest")
    elif row["ingest"] == "done":
        found += [stage for stage in ("embed", "enrich") if row[stage] == "pending"]
        if row["index"] == "pending" and (row["embed"] == "done" or "keyword" not in searchable):
            found.append("index")
    if row["preview"] == "pending":
        found.append("preview")
    return found


class Sweeper:
    """Sweeps every `sweep_every_s` until cancelled, and when asked to."""

    def __init__(
        self, pool: asyncpg.Pool, store: Store, relay: Relay, waiting: Waiting, settings: GatewaySettings
    ) -> None:
        self._pool = pool
        self._store = store
        self._relay = relay
        self._waiting = waiting
        self._settings = settings
        self._still_for = timedelta(seconds=settings.stuck_after_s)

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(self._settings.sweep_every_s)
            try:
                STUCK_DOCUMENTS.set(await sweep_db.count_stuck(self._pool, self._still_for))
                await self.sweep()
            except Exception as error:  # the next pass does it
                log.warning("the sweeper could not do its work", error=f"{type(error).__name__}: {error}")

    async def sweep(self) -> Swept | None:
        """One pass; None where another gateway is at it. Raises one of `NO_BROKER` where the broker is away."""
        async with locks.held(self._pool, "quire sweeper") as ours:
            if not ours:
                return None
            done = await self._help_on()
            await self._do_chores(done)
            return done

    async def _help_on(self) -> Swept:
        done, last = Swept(), None
        look = _Look(self._waiting, await sweep_db.unswept_outbox(self._pool, self._still_for))
        while not self._relay.is_full:
            async with self._pool.acquire() as connection, connection.transaction():
                rows = await sweep_db.stuck(connection, self._still_for, last, BATCH)
                added = await self._batch(connection, rows, look, done)
            self._relay.wake(added)
            if len(rows) < BATCH:
                break
            last = rows[-1]
        if done.replayed or done.failed:
            log.warning("stuck documents", replayed=done.replayed, failed=done.failed, waiting=done.waiting)
        return done

    async def _batch(self, connection: Connection, rows: Sequence[asyncpg.Record], look: "_Look", done: Swept) -> int:
        again: dict[str, list[Stage]] = {}
        doomed: list[tuple[asyncpg.Record, Stage]] = []
        for row in rows:
            overdue = row["still_s"] > PATIENCE * self._settings.stuck_after_s
            idle = [stage for stage in roots(row) if overdue or not await look.is_busy(replay.SERVICE[stage])]
            if not idle:
                done.waiting += 1
            elif row["replays"] >= self._settings.sweep_replays:
                doomed += [(row, stage) for stage in idle]
            else:
                again[row["id"]] = idle
        retried = await replay.retry(connection, [row for row in rows if row["id"] in again], again, by="sweeper")
        told = {(event.subject, event.data.stage) for event in retried}
        doomed += [(row, stage) for row in rows for stage in again.get(row["id"], ()) if (row["id"], stage) not in told]
        failed = await self._give_up(connection, doomed)
        replayed = {event.subject for event in retried}
        if replayed:
            await audit_db.add(connection, "sweeper", "sweeper.replay", detail={"ids": sorted(replayed)})
        done.replayed += len(replayed)
        done.failed += len({event.subject for event in failed})
        SWEPT.labels("replayed").inc(len(replayed))
        SWEPT.labels("failed").inc(len({event.subject for event in failed}))
        return 2 * len(retried) + len(failed)

    async def _give_up(self, connection: Connection, doomed: Doomed) -> list[ProcessingFailed]:
        if not doomed:
            return []
        ids = sorted({row["id"] for row, _ in doomed})
        causes: dict[str, dict[str, Event]] = defaultdict(dict)
        for body in await db.logged(connection, ids, [DocumentUploaded, StageRetried]):
            event = parse_event(body)
            causes[event.subject][event.data.stage if isinstance(event, StageRetried) else ""] = event
        failed = [
            _failure(row, stage, causes[row["id"]].get(stage) or causes[row["id"]][""])
            for row, stage in doomed
            if causes[row["id"]]
        ]
        await db.publish(connection, failed)
        await db.apply_failures(connection, failed)
        await sweep_db.forget_replays(connection, ids)
        await audit_db.add(connection, "sweeper", "sweeper.give-up", detail={"ids": ids})
        return failed

    async def _do_chores(self, done: Swept) -> None:
        every = timedelta(seconds=self._settings.chore_every_s)
        before = datetime.now(UTC) - timedelta(seconds=self._settings.orphan_grace_s)
        if await sweep_db.claim_chore(self._pool, "orphans", every):
            try:
                done.objects = await orphans.delete_older(self._pool, self._store, before)
                done.uploads = await self._store.discard_unfinished(before)
            except Exception:
                await sweep_db.unclaim_chore(self._pool, "orphans")
                raise
            SWEPT.labels("object").inc(done.objects)
            SWEPT.labels("upload").inc(done.uploads)
            log.info("the store was swept", objects=done.objects, uploads=done.uploads)


class _Look:
    """Which services have something waiting, looked up once in a pass."""

    def __init__(self, waiting: Waiting, everywhere: bool) -> None:
        self._waiting = waiting
        self._everywhere = everywhere
        self._busy: dict[str, bool] = {}

    async def is_busy(self, service: str) -> bool:
        """Whether a message for the service may be on its way, or the word of what it did on its way to us."""
        for name in ("gateway", service):
            if name not in self._busy:
                self._busy[name] = self._everywhere or await self._waiting.anywhere(name) > 0
        return self._busy["gateway"] or self._busy[service]


def _failure(row: asyncpg.Record, stage: Stage, cause: Event) -> ProcessingFailed:
    tries = row["replays"] + 1
    given = DocumentUploaded if stage in ("ingest", "preview") else TextExtracted
    data = ProcessingFailedData(
        revision=row["revision"], stage=stage, reason="stuck", attempts=tries, cause_type=given.type_name(),
        detail=f"Nothing was heard of it for {row['still_s']:.0f} s, after {tries} tries.",
    )  # fmt: skip
    return ProcessingFailed.follow(cause, data, discriminator=f"{stage} is stuck", producer="gateway")


@asynccontextmanager
async def running(sweeper: Sweeper) -> AsyncIterator[None]:
    """The sweeper as a task, for as long as the context lasts."""
    task = asyncio.create_task(sweeper.run(), name="sweeper")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
