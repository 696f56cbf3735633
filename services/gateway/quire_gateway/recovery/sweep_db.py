"""SQL of the sweeper and its chores."""

from collections.abc import Collection, Sequence
from datetime import timedelta

import asyncpg

from quire_gateway.db import Reader
from quire_runtime.db import Connection

_STUCK = "status = 'processing' AND deleted_at IS NULL AND updated_at < now() - $1::interval"


async def stuck(
    connection: Connection, still_for: timedelta, after: asyncpg.Record | None, limit: int
) -> list[asyncpg.Record]:
    """Documents in which nothing has changed for so long, oldest first, behind the row `after`; locked.

    `still_s` says for how long. Rows that somebody else has locked are getting on, and are left out.
    """
    return await connection.fetch(
        f"""
        SELECT *, extract(epoch FROM now() - updated_at)::float8 AS still_s FROM document
        WHERE {_STUCK} AND ($2::timestamptz IS NULL OR (created_at, id) > ($2, $3::text))
        ORDER BY created_at, id LIMIT $4 FOR NO KEY UPDATE SKIP LOCKED
        """,  # noqa: S608
        still_for,
        after["created_at"] if after else None,
        after["id"] if after else None,
        limit,
    )


async def count_stuck(reader: Reader, still_for: timedelta) -> int:
    """How many documents there are in which nothing has changed for so long."""
    return int(await reader.fetchval(f"SELECT count(*) FROM document WHERE {_STUCK}", still_for))  # noqa: S608


async def unswept_outbox(reader: Reader, older_than: timedelta) -> bool:
    """Whether the outbox holds an event so old that it cannot be said what has reached the broker."""
    return bool(
        await reader.fetchval(
            "SELECT EXISTS (SELECT FROM (SELECT created_at FROM outbox ORDER BY seq LIMIT 1) AS first"
            " WHERE created_at < now() - $1::interval)",
            older_than,
        )
    )


async def forget_replays(connection: Connection, ids: Collection[str]) -> None:
    """These documents begin anew: the sweeper has done what it could."""
    await connection.execute("UPDATE document SET replays = 0 WHERE id = ANY($1::text[])", list(ids))


async def settle(connection: Connection, ids: Collection[str]) -> None:
    """Documents that are no longer being processed have nothing to be counted against them."""
    await connection.execute(
        "UPDATE document SET replays = 0 WHERE id = ANY($1::text[]) AND status <> 'processing'",
        list(ids),
    )


async def claim_chore(reader: Reader, name: str, every: timedelta) -> bool:
    """Whether a chore is due; it is taken to be done then."""
    return bool(
        await reader.fetchval(
            """
            INSERT INTO chore AS c VALUES ($1, now())
            ON CONFLICT (name) DO UPDATE SET ran_at = now() WHERE c.ran_at <= now() - $2::interval
            RETURNING true
            """,
            name,
            every,
        )
    )


async def unclaim_chore(reader: Reader, name: str) -> None:
    """The chore was not done after all."""
    await reader.execute("DELETE FROM chore WHERE name = $1", name)


async def living(reader: Reader, documents: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those (workspace, document) that the catalog has and has not deleted."""
    rows = await reader.fetch(
        """
        SELECT d.workspace_id, d.id FROM document d
        JOIN unnest($1::text[], $2::text[]) AS given(workspace_id, id) USING (workspace_id, id)
        WHERE d.deleted_at IS NULL
        """,
        [workspace for workspace, _ in documents],
        [document for _, document in documents],
    )
    return {(row["workspace_id"], row["id"]) for row in rows}
