"""The outbox: events are rows of the transaction that makes them true; the relay hands them to the broker.

Whatever is committed is looked at, never only what comes after a remembered number, because numbers are drawn before
the commit. Rows are deleted once the broker has confirmed them; a relay that dies in between publishes again, and
consumers deduplicate. One relay of a service works at a time (an advisory lock), and while it waits for the broker its
transaction has written nothing, so that it holds nobody up.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import asyncpg
import structlog

from quire_contracts import Event

from .db import Connection
from .metrics import OUTBOX_PENDING
from .publish import Publisher
from .settings import ServiceSettings
from .telemetry import stamp

log = structlog.get_logger(__name__)

LONGEST_PAUSE_S = 30.0
MEASURE_S = 5.0

TABLE = """
CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id text NOT NULL UNIQUE,
    type text NOT NULL,
    body text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
"""
"""For the migrations of a service that owns tables."""

TARGET = "ALTER TABLE outbox ADD COLUMN target text"
"""For a later migration of the same services: a row with a target goes to that service's work queue alone."""


async def add(connection: Connection, events: Sequence[Event], target: str | None = None) -> list[Event]:
    """Put events into the outbox, in the caller's transaction; returns them as they will be published.

    With a `target` they go to that service alone. An event whose id is already waiting is not added again. Call
    `Relay.wake` after the commit.
    """
    stamped = [stamp(event) for event in events]
    await add_bodies(connection, [(event.id, event.type, event.to_json().decode()) for event in stamped], target)
    return stamped


async def add_bodies(connection: Connection, bodies: Sequence[tuple[str, str, str]], target: str | None = None) -> None:
    """The same with events as they are written: (id, type, JSON)."""
    if bodies:
        await connection.execute(
            "INSERT INTO outbox (event_id, type, body, target)"
            " SELECT *, $4 FROM unnest($1::text[], $2::text[], $3::text[]) ON CONFLICT (event_id) DO NOTHING",
            *(list(column) for column in zip(*bodies, strict=True)),
            target,
        )


class Relay:
    """Publishes what the outbox holds, in batches whose confirms are awaited together."""

    def __init__(self, service: str, pool: asyncpg.Pool, publisher: Publisher, settings: ServiceSettings) -> None:
        self._service = service
        self._pool = pool
        self._publisher = publisher
        self._settings = settings
        self._woken = asyncio.Event()
        self._waiting = 0

    @property
    def can_publish(self) -> bool:
        """Whether the broker is there now."""
        return self._publisher.connected

    @property
    def is_full(self) -> bool:
        """Whether more events wait than `outbox_limit`: time to take nothing that would add to them."""
        return self._waiting >= self._settings.outbox_limit

    def wake(self, added: int = 1) -> None:
        """Say that a transaction with so many new events was committed."""
        self._waiting += added
        self._woken.set()

    async def relay_once(self) -> int:
        """Publish one batch and delete what the broker confirmed; returns how many rows that were.

        0 where another relay of the service is at work. Raises the first failure after the confirmed ones are safely
        deleted.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            mine = await connection.fetchval(
                "SELECT pg_try_advisory_xact_lock(hashtext('outbox relay'), hashtext(current_schema()))"
            )
            if not mine:
                return 0
            rows = await connection.fetch(
                "SELECT seq, event_id, type, body, target FROM outbox ORDER BY seq LIMIT $1",
                self._settings.outbox_batch,
            )
            if not rows:
                return 0
            results = await asyncio.gather(*(self._publish(row) for row in rows), return_exceptions=True)
            done = [row["seq"] for row, result in zip(rows, results, strict=True) if result is None]
            await connection.execute("DELETE FROM outbox WHERE seq = ANY($1::bigint[])", done)
        self._waiting = max(0, self._waiting - len(done))
        failures = [result for result in results if result is not None]
        if failures:
            raise failures[0]
        return len(done)

    async def _publish(self, row: asyncpg.Record) -> None:
        exchange, key = self._publisher.route(row["type"], row["target"])
        await self._publisher.send(
            exchange, key, row["body"].encode(), event_type=row["type"], message_id=row["event_id"]
        )

    async def run(self) -> None:
        """Relay until cancelled: at once when woken, every `outbox_poll_s` in any case, less often while it fails."""
        pause = self._settings.outbox_poll_s
        while True:
            self._woken.clear()
            try:
                await self._publisher.ready()
                while await self.relay_once() == self._settings.outbox_batch:
                    pass
                pause = self._settings.outbox_poll_s
            except Exception as error:  # the broker or the database is away, or a queue is full: the rows wait
                log.warning("the outbox could not be relayed", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.outbox_poll_s):
                    await self._woken.wait()

    async def measure(self) -> None:
        """Count the waiting rows now and then, until cancelled; other processes add and take away too."""
        while True:
            try:
                self._waiting = await self._pool.fetchval(
                    "SELECT count(*) FROM (SELECT FROM outbox LIMIT $1) AS waiting", 2 * self._settings.outbox_limit
                )
                OUTBOX_PENDING.labels(self._service).set(self._waiting)
            except Exception as error:
                log.warning("the outbox could not be counted", error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(MEASURE_S)


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[Relay]:
    """The relay as a task, for as long as the context lasts; what is left at the end is relayed once more."""
    tasks = [asyncio.create_task(work(), name=f"outbox {work.__name__}") for work in (relay.run, relay.measure)]
    try:
        yield relay
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            if relay.can_publish:
                await relay.relay_once()
        except Exception as error:
            log.warning("events wait in the outbox for the next start", error=f"{type(error).__name__}: {error}")
