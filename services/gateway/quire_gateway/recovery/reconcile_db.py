"""SQL of the comparison of the catalog with the index and the store."""

from collections.abc import Sequence
from datetime import timedelta

import asyncpg

from quire_contracts import Embedded, TextExtracted
from quire_gateway.db import Reader


async def page(reader: Reader, after: str, still_for: timedelta, limit: int) -> list[asyncpg.Record]:
    """Documents behind an id, tombstones included; `moving` where one has changed just now."""
    return await reader.fetch(
        "SELECT *, updated_at > now() - $2::interval AS moving FROM document WHERE id > $1 ORDER BY id LIMIT $3",
        after,
        still_for,
        limit,
    )


async def known(reader: Reader, ids: Sequence[str]) -> set[str]:
    """Those of the ids that the catalog has, tombstones included."""
    rows = await reader.fetch("SELECT id FROM document WHERE id = ANY($1::text[])", list(ids))
    return {row["id"] for row in rows}


async def count(reader: Reader) -> int:
    """How many documents there are, tombstones included."""
    return int(await reader.fetchval("SELECT count(*) FROM document"))


async def payloads(reader: Reader, ids: Sequence[str]) -> list[asyncpg.Record]:
    """What the newest `TextExtracted` and `Embedded` of the documents' present revisions say of their payloads.

    Where it is (key) and how long, or how many chunks or vectors (count) of which space ride inside the event.
    """
    return await reader.fetch(
        """
        SELECT DISTINCT ON (e.document_id, e.type) e.document_id, e.type,
            coalesce(said.data -> 'chunks', said.data -> 'vectors') ->> 'key' AS key,
            (coalesce(said.data -> 'chunks', said.data -> 'vectors') ->> 'size')::bigint AS size,
            coalesce(json_array_length(said.data -> 'chunks' -> 'inline'),
                     (said.data -> 'vectors' -> 'inline' ->> 'count')::int) AS count,
            said.data -> 'vectors' -> 'inline' ->> 'space' AS space
        FROM event e JOIN document d ON d.id = e.document_id,
            LATERAL (SELECT e.body::json -> 'data' AS data OFFSET 0) AS said
        WHERE e.document_id = ANY($1::text[]) AND e.type = ANY($2::text[])
          AND (said.data ->> 'revision')::int = d.revision
        ORDER BY e.document_id, e.type, e.txid DESC, e.seq DESC
        """,
        list(ids),
        [TextExtracted.type_name(), Embedded.type_name()],
    )
