"""SQL of the dead letters."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import asyncpg

from quire_gateway.db import Reader
from quire_runtime.db import Connection

from .parked import Letter

State = Literal["parked", "requeued", "discarded"]

FILTERS = ("service", "event_type", "document", "workspace", "reason", "since", "until", "state")
_FIT = """
    ($1::text IS NULL OR service = $1) AND ($2::text IS NULL OR event_type = $2)
    AND ($3::text IS NULL OR document_id = $3) AND ($4::text IS NULL OR workspace_id = $4)
    AND ($5::text IS NULL OR starts_with(reason, $5))
    AND ($6::timestamptz IS NULL OR last_at >= $6) AND ($7::timestamptz IS NULL OR last_at < $7)
    AND ($8::text IS NULL OR state = $8)
"""
_SHOWN = """
    id, service, event_id, event_type, workspace_id, document_id, event_time, reason, attempts, times, state,
    first_at, last_at
"""


async def keep(reader: Reader, letter: Letter) -> None:
    """Enter a parked message; the same one parked once more waits again, with the newest reason."""
    await reader.execute(
        """
        INSERT INTO dead_letter AS known (id, service, event_id, event_type, workspace_id, document_id, event_time,
                                          reason, attempts, headers, body)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::jsonb, $11)
        ON CONFLICT (id) DO UPDATE SET state = 'parked', times = known.times + 1, last_at = now(),
            reason = excluded.reason, attempts = excluded.attempts, headers = excluded.headers
        """,
        letter.id, letter.service, letter.event_id, letter.event_type, letter.workspace, letter.document,
        letter.event_time, letter.reason, letter.attempts, letter.headers, letter.body,
    )  # fmt: skip


async def waiting(reader: Reader) -> dict[str, int]:
    """How many dead letters wait for a person, by service."""
    rows = await reader.fetch("SELECT service, count(*) AS n FROM dead_letter WHERE state = 'parked' GROUP BY service")
    return {row["service"]: row["n"] for row in rows}


async def newest(
    reader: Reader, filters: Mapping[str, Any], before: tuple[datetime, str] | None, limit: int
) -> list[asyncpg.Record]:
    """Dead letters without their messages, newest first, before the position `(last_at, id)`."""
    at, last = before if before is not None else (None, None)
    return await reader.fetch(
        f"""
        SELECT {_SHOWN} FROM dead_letter
        WHERE {_FIT} AND ($9::timestamptz IS NULL OR (last_at, id) < ($9, $10::text))
        ORDER BY last_at DESC, id DESC LIMIT $11
        """,  # noqa: S608 - constants of this module
        *_values(filters), at, last, limit,
    )  # fmt: skip


async def count(reader: Reader, filters: Mapping[str, Any]) -> int:
    """How many fit."""
    return int(await reader.fetchval(f"SELECT count(*) FROM dead_letter WHERE {_FIT}", *_values(filters)))  # noqa: S608


async def one(reader: Reader, letter_id: str) -> asyncpg.Record | None:
    """A dead letter with its message."""
    return await reader.fetchrow("SELECT * FROM dead_letter WHERE id = $1", letter_id)


async def some(reader: Reader, filters: Mapping[str, Any], after: str, limit: int) -> list[str]:
    """The next ids that fit, behind an id."""
    rows = await reader.fetch(
        f"SELECT id FROM dead_letter WHERE {_FIT} AND id > $9 ORDER BY id LIMIT $10",  # noqa: S608
        *_values(filters), after, limit,
    )  # fmt: skip
    return [row["id"] for row in rows]


async def lock(connection: Connection, ids: Sequence[str]) -> list[asyncpg.Record]:
    """Dead letters with their messages, locked, in the order of their ids."""
    return await connection.fetch(
        "SELECT * FROM dead_letter WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE", list(ids)
    )


async def settle(connection: Connection, ids: Sequence[str], state: State) -> None:
    """Say what became of dead letters."""
    await connection.execute("UPDATE dead_letter SET state = $2 WHERE id = ANY($1::text[])", list(ids), state)


async def supersede(connection: Connection, replayed: Sequence[tuple[str, str, str]]) -> None:
    """Documents were given to services once more (workspace, document, service): what was parked of them is settled."""
    await connection.execute(
        """
        UPDATE dead_letter d SET state = 'requeued'
        FROM unnest($1::text[], $2::text[], $3::text[]) AS r(workspace_id, document_id, service)
        WHERE d.state = 'parked' AND d.document_id = r.document_id AND d.workspace_id = r.workspace_id
          AND d.service = r.service
        """,
        *([row[column] for row in replayed] for column in range(3)),
    )


def _values(filters: Mapping[str, Any]) -> list[Any]:
    return [filters[name] for name in FILTERS]
