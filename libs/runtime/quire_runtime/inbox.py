"""The inbox: which events a consumer has already applied, kept in the transaction that applies them."""

from collections.abc import Iterable
from datetime import timedelta

import asyncpg

from .db import Connection

TABLE = """
CREATE TABLE inbox (
    consumer text NOT NULL,
    event_id text NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, event_id)
);
CREATE INDEX inbox_seen_at ON inbox (seen_at);
"""
"""For the migrations of a service that owns tables."""

PRUNED_AT_ONCE = 10_000


async def claim(connection: Connection, consumer: str, event_ids: Iterable[str]) -> set[str]:
    """The ids that this consumer meets for the first time. Call it in the transaction that applies them.

    A concurrent transaction that claims the same id waits for this one to end. Ids are claimed in sorted order, so that
    two batches cannot wait for each other.
    """
    rows = await connection.fetch(
        """
        INSERT INTO inbox (consumer, event_id)
        SELECT $1, id FROM (SELECT DISTINCT unnest($2::text[]) AS id ORDER BY 1) AS ids
        ON CONFLICT DO NOTHING RETURNING event_id
        """,
        consumer,
        list(event_ids),
    )
    return {row["event_id"] for row in rows}


async def prune(pool: asyncpg.Pool, older_than: timedelta) -> int:
    """Forget the events that were applied longer ago, a few thousand in a transaction; returns how many there were.

    Keep them longer than a message can be under way: one that comes later than that is applied again.
    """
    gone = 0
    while True:
        done = await pool.execute(
            """
            DELETE FROM inbox WHERE (consumer, event_id) IN (
                SELECT consumer, event_id FROM inbox WHERE seen_at < now() - $1::interval ORDER BY seen_at LIMIT $2
                FOR UPDATE SKIP LOCKED
            )
            """,
            older_than,
            PRUNED_AT_ONCE,
        )
        gone += int(done.split()[-1])
        if int(done.split()[-1]) < PRUNED_AT_ONCE:
            return gone
