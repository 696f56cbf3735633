"""Work that one gateway at a time does: advisory locks, which end with their holder whatever happens to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg


@asynccontextmanager
async def held(pool: asyncpg.Pool, name: str) -> AsyncIterator[bool]:
    """Whether the lock is ours for as long as the context lasts; False where somebody else has it now."""
    async with pool.acquire() as connection:
        ours = bool(await connection.fetchval("SELECT pg_try_advisory_lock(hashtext($1))", name))
        try:
            yield ours
        finally:
            if ours:
                await connection.execute("SELECT pg_advisory_unlock(hashtext($1))", name)
