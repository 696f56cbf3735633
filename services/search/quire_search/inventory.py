"""What the index holds of each document, in numbers: for the catalog, which compares them with its own."""

from collections.abc import Callable
from typing import Annotated

import asyncpg
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

PAGE = 1000

ENTRIES = """
WITH page AS (
    SELECT d.*, w.id AS workspace_name FROM document AS d JOIN workspace AS w ON w.no = d.workspace
    WHERE d.id > $1 AND ($2::text IS NULL OR d.id <= $2) ORDER BY d.id LIMIT $3
)
SELECT page.id, page.workspace_name AS workspace, page.revision, page.version, page.deleted, page.chunks,
    (SELECT count(*) FROM chunk AS c WHERE c.document = page.no AND c.index >= 0) AS chunk_rows,
    (SELECT count(*) FROM chunk AS c WHERE c.document = page.no AND c.index < 0) AS title_rows,
    (SELECT coalesce(jsonb_object_agg(name, coalesce(counted.vectors, 0)), '{}')
     FROM jsonb_object_keys(page.spaces) AS name
     LEFT JOIN (
         SELECT s.name, count(*) AS vectors FROM embedding AS e JOIN space AS s ON s.no = e.space
         WHERE e.document = page.no GROUP BY s.name
     ) AS counted USING (name)) AS vectors
FROM page ORDER BY page.id
"""


class Entry(BaseModel):
    """What the index holds of a document."""

    id: str
    workspace: str
    revision: int = Field(description="0 where no content was heard of")
    version: int = Field(description="Of the catalog's entry; 0 where none was heard of")
    deleted: bool
    chunks: int | None = Field(description="Passages that were entered; none where there is no text")
    chunk_rows: int = Field(description="Passages that are there")
    title_rows: int
    vectors: dict[str, int] = Field(description="Embedding space to vectors that are there")


class Inventory(BaseModel):
    """One page, in the order of the ids."""

    data: list[Entry]


async def inventory(pool: asyncpg.Pool, after: str, until: str | None, limit: int) -> Inventory:
    """The documents behind the id `after` up to `until`."""
    rows = await pool.fetch(ENTRIES, after, until, limit)
    return Inventory(data=[Entry(**row) for row in rows])


def routes(pool: Callable[[], asyncpg.Pool]) -> APIRouter:
    """The routes; `pool` gives the pool of the running service."""
    router = APIRouter()

    @router.get("/inventory")
    async def page(
        after: Annotated[str, Query(max_length=64, pattern=r"^[^\x00]*$")] = "",
        until: Annotated[str | None, Query(max_length=64, pattern=r"^[^\x00]*$", description="the last one")] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
    ) -> Inventory:
        """Documents of all workspaces, deleted ones included."""
        return await inventory(pool(), after, until, limit)

    return router
