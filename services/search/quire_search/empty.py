"""Emptying the index, or forgetting a deletion, so that it can be made anew from the event log, while queries go on.

The rows of `document` stay, as they were when the document was first heard of: ties between documents are broken by
their numbers, and a deleted one must not come back. What queries read goes in one moment, at the end.
"""

import asyncio
import itertools
import time
from collections.abc import Callable
from datetime import datetime

import asyncpg
import structlog
from fastapi import APIRouter, HTTPException
from pydantic import AwareDatetime, BaseModel

from quire_runtime.db import Connection

log = structlog.get_logger(__name__)

BUSY_S = 30.0
"""How long it is tried before the index is said to be busy."""
LOCK_MS = (200, 200, 200, 200, 1500)
"""How long each try may wait. Mostly far below PostgreSQL's deadlock_timeout of a second, so that no query waits long
behind us or is the one to fail where it and we wait for each other; now and then above, which ends an autovacuum."""
PAUSE_S = 0.1
STATEMENT_S = 600.0

FORGET = """
UPDATE document SET
    version = 0, revision = 0, created_at = NULL, media_type = NULL, language = NULL, folder = NULL, tags = '{}',
    title = NULL, filename = NULL, metadata = '{}', size = NULL, text_at = NULL, page_count = NULL, chunks = NULL,
    enriched_at = NULL, summary = NULL, keywords = '{}', suggested_tags = '{}', spaces = '{}'
WHERE NOT deleted AND (version > 0 OR revision > 0)
"""


class Emptied(BaseModel):
    """What was done."""

    documents: int
    at: AwareDatetime
    """Whatever the index applied before this moment is gone, and nothing that it applies later."""


class Tombstones(BaseModel):
    """Documents of which nothing is left but that they were deleted."""

    ids: list[str]


class Busy(Exception):
    """The index could not be had alone for a moment."""


async def empty(pool: asyncpg.Pool) -> Emptied:
    """Forget every text, vector and entry; raises `Busy` where queries never left a gap, or an index is being built.

    Workspaces keep their numbers and the languages that their texts were ever analysed in, spaces theirs.
    """
    async with pool.acquire() as connection, connection.transaction():
        # Writers lock `document` first: from here on none is under way, and those that come wait for the commit.
        await connection.execute("LOCK TABLE document IN SHARE ROW EXCLUSIVE MODE")
        done = await connection.execute(FORGET, timeout=STATEMENT_S)
        await _alone(connection)
        await connection.execute("TRUNCATE chunk, embedding, term")
        await connection.execute("UPDATE workspace SET version = version + 1, chunks = 0")
        at: datetime = await connection.fetchval("SELECT clock_timestamp()")
    log.warning("the index was emptied", documents=int(done.split()[-1]))
    return Emptied(documents=int(done.split()[-1]), at=at)


async def _alone(connection: Connection) -> None:
    """Lock out queries; a moment at a time, so that none waits behind us for a slow one."""
    deadline = time.monotonic() + BUSY_S
    for patience in itertools.cycle(LOCK_MS):
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = {patience}")
                await connection.execute("LOCK TABLE chunk, embedding, term IN ACCESS EXCLUSIVE MODE")
            return
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            if time.monotonic() > deadline:
                raise Busy from None
            await asyncio.sleep(PAUSE_S)


def routes(pool: Callable[[], asyncpg.Pool]) -> APIRouter:
    """The routes; `pool` gives the pool of the running service."""
    router = APIRouter()

    @router.post("/forget", status_code=204)
    async def forget(tombstones: Tombstones) -> None:
        """Forget that documents were deleted, which else is for good: the catalog has them after all."""
        await pool().execute("DELETE FROM document WHERE deleted AND id = ANY($1::text[])", tombstones.ids)

    @router.post("/empty")
    async def make_empty() -> Emptied:
        """Forget everything that can be made anew."""
        try:
            return await empty(pool())
        except Busy:
            detail = f"queries, or the making of a vector index, held the tables for {BUSY_S:g} s"
            raise HTTPException(503, detail, {"Retry-After": "60"}) from None

    return router
