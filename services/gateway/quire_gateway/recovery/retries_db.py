"""SQL of retries: documents with stages that failed."""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from quire_gateway.db import Reader
from quire_runtime.db import Connection

FILTERS = ("status", "folder", "tags", "media_type", "ids", "stage", "reason")
_FAILED = """
    workspace_id = $1 AND deleted_at IS NULL
    AND ($2::text IS NULL OR status = $2)
    AND ($3::text IS NULL OR folder = $3 OR starts_with(folder, rtrim($3, '/') || '/'))
    AND ($4::text[] IS NULL OR tags @> $4)
    AND ($5::text IS NULL OR media_type = $5)
    AND ($6::text[] IS NULL OR id = ANY($6))
    AND EXISTS (
        SELECT FROM (VALUES ('ingest', ingest), ('embed', embed), ('index', "index"), ('preview', preview),
                            ('enrich', enrich)) AS stages(stage, state)
        WHERE state = 'failed' AND ($7::text IS NULL OR stage = $7)
          AND ($8::text IS NULL OR reasons -> stage ->> 'reason' = $8)
    )
"""


async def lock(connection: Connection, workspace: str, ids: Sequence[str]) -> list[asyncpg.Record]:
    """Those of the documents that live, whole and locked, in the order of their ids."""
    return await connection.fetch(
        """
        SELECT * FROM document WHERE id = ANY($1::text[]) AND workspace_id = $2 AND deleted_at IS NULL
        ORDER BY id FOR NO KEY UPDATE
        """,
        list(ids),
        workspace,
    )


async def count_failed(reader: Reader, workspace: str, filters: Mapping[str, Any]) -> int:
    """How many documents have a stage that failed and fit."""
    statement = f"SELECT count(*) FROM document WHERE {_FAILED}"  # noqa: S608 - a constant of this module
    return int(await reader.fetchval(statement, workspace, *_values(filters)))


async def failed(reader: Reader, workspace: str, filters: Mapping[str, Any], after: str, limit: int) -> list[str]:
    """The next ids of such documents, behind an id."""
    rows = await reader.fetch(
        f"SELECT id FROM document WHERE {_FAILED} AND id > $9 ORDER BY id LIMIT $10",  # noqa: S608
        workspace, *_values(filters), after, limit,
    )  # fmt: skip
    return [row["id"] for row in rows]


def _values(filters: Mapping[str, Any]) -> list[Any]:
    return [filters[name] for name in FILTERS]
