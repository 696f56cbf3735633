"""SQL of making the index anew from the event log."""

from collections.abc import Collection
from datetime import datetime

import asyncpg

from quire_gateway.db import Reader
from quire_runtime.db import Connection

EMPTIED = "index emptied"
"""The row of `chore` that says until when an event may have been applied to an index that is no more."""


async def announce_emptying(reader: Reader, until: datetime) -> None:
    """Say that what the index applied until a moment is lost. Wait for `settled` before relying on it."""
    await reader.execute(
        "INSERT INTO chore (name, ran_at) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET ran_at = excluded.ran_at",
        EMPTIED,
        until,
    )


async def now_running(reader: Reader) -> int:
    """A number that every transaction which begins to write from now on has, or exceeds."""
    return int(await reader.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())::text"))


async def have_ended(reader: Reader, before: int) -> bool:
    """Whether every transaction below a number of `now_running` is over."""
    return int(await reader.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")) >= before


async def emptied_until(reader: Reader) -> datetime | None:
    """What was announced last."""
    at: datetime | None = await reader.fetchval("SELECT ran_at FROM chore WHERE name = $1", EMPTIED)
    return at


async def living_by_id(reader: Reader, ids: Collection[str]) -> list[asyncpg.Record]:
    """Documents that are not deleted."""
    return await reader.fetch("SELECT * FROM document WHERE id = ANY($1::text[]) AND deleted_at IS NULL", list(ids))


async def hold_living(connection: Connection, ids: Collection[str]) -> list[asyncpg.Record]:
    """Documents that are not deleted, and cannot be before the caller's transaction ends."""
    return await connection.fetch(
        "SELECT * FROM document WHERE id = ANY($1::text[]) AND deleted_at IS NULL ORDER BY id FOR SHARE", list(ids)
    )


async def newest_before(reader: Reader, before: str | None, limit: int) -> list[asyncpg.Record]:
    """Documents that are not deleted, of all workspaces, newest first: their ids grow with time."""
    return await reader.fetch(
        "SELECT * FROM document WHERE deleted_at IS NULL AND ($1::text IS NULL OR id < $1) ORDER BY id DESC LIMIT $2",
        before,
        limit,
    )


async def count_living(reader: Reader) -> int:
    """How many documents there are."""
    return int(await reader.fetchval("SELECT count(*) FROM document WHERE deleted_at IS NULL"))


async def newest_event(reader: Reader) -> str | None:
    """The id of the event that was logged last."""
    found: str | None = await reader.fetchval("SELECT id FROM event ORDER BY txid DESC, seq DESC LIMIT 1")
    return found
