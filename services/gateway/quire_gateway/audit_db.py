"""SQL of the audit log."""

from collections.abc import Mapping
from typing import Any

import asyncpg

from quire_runtime.db import Connection

from .db import Reader


async def add(
    connection: Connection,
    actor: str,
    action: str,
    *,
    workspace: str | None = None,
    subject: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Note who did what, in the transaction that does it; `detail["ids"]` names many subjects of one deed."""
    await connection.execute(
        "INSERT INTO audit (workspace_id, actor, action, subject, detail) VALUES ($1, $2, $3, $4, $5::jsonb)",
        workspace, actor, action, subject, dict(detail or {}),
    )  # fmt: skip


async def newest(reader: Reader, filters: Mapping[str, Any], before: int | None, limit: int) -> list[asyncpg.Record]:
    """Entries, newest first, before the position `seq`; filters: action (how it begins), actor, subject, since."""
    return await reader.fetch(
        """
        SELECT * FROM audit
        WHERE ($1::text IS NULL OR starts_with(action, $1)) AND ($2::text IS NULL OR actor = $2)
          AND ($3::text IS NULL OR subject = $3 OR detail -> 'ids' ? $3)
          AND ($4::timestamptz IS NULL OR at >= $4) AND ($5::bigint IS NULL OR seq < $5)
        ORDER BY seq DESC LIMIT $6
        """,
        filters["action"], filters["actor"], filters["subject"], filters["since"], before, limit,
    )  # fmt: skip
