"""Embedding spaces: their numbers, and the index a space gets once it is large."""

import math
import time
from collections.abc import Iterable, Mapping

import asyncpg

from quire_runtime.db import Connection

from .state import Change, VectorChange

EXACT_BELOW = 50_000
"""Vectors of one workspace up to which every one is compared; above, the HNSW index is asked."""


RECHECK_S = 60.0

VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)"

BUILD_TIMEOUT_S = 24 * 3600.0


class Spaces:
    """The numbers of embedding spaces, learnt once."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._numbers: dict[str, int] = {}
        self._indexed: dict[int, tuple[float, bool]] = {}

    async def numbers(self, changes: Iterable[Change]) -> Mapping[str, int]:
        """Name to number, with every space that the changes speak of."""
        for change in changes:
            if isinstance(change, VectorChange):
                await self.number(change.space, change.dimensions)
        return self._numbers

    async def number(self, name: str, dimensions: int) -> int:
        """The number of a space, which is entered if it is new."""
        if name not in self._numbers:
            await self._pool.execute(
                "INSERT INTO space (name, dimensions) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", name, dimensions
            )
            self._numbers[name] = await self._pool.fetchval("SELECT no FROM space WHERE name = $1", name)
        return self._numbers[name]

    async def has_index(self, number: int) -> bool:
        """Whether the space has its HNSW index; looked up at most once in `RECHECK_S`."""
        looked_up, found = self._indexed.get(number, (-math.inf, False))
        if time.monotonic() - looked_up > RECHECK_S:
            found = bool(await self._pool.fetchval(VALID, hnsw_name(number)))
            self._indexed[number] = time.monotonic(), found
        return found

    async def index_large(self) -> list[str]:
        """Give every space that has grown large its HNSW index; returns the indexes made.

        One process at a time; reads and writes go on meanwhile. A build that was interrupted is done again.
        """
        made: list[str] = []
        async with self._pool.acquire() as connection:
            if not await connection.fetchval("SELECT pg_try_advisory_lock(hashtext('quire search hnsw'))"):
                return made
            try:
                for row in await connection.fetch(
                    "SELECT no, dimensions FROM space WHERE"
                    " (SELECT count(*) FROM (SELECT 1 FROM embedding WHERE space = no LIMIT $1) AS few) = $1",
                    EXACT_BELOW,
                ):
                    if await self._build(connection, row["no"], row["dimensions"]):
                        made.append(hnsw_name(row["no"]))
            finally:
                await connection.execute("SELECT pg_advisory_unlock(hashtext('quire search hnsw'))")
        return made

    async def _build(self, connection: Connection, space: int, dimensions: int) -> bool:
        name = hnsw_name(space)
        if await connection.fetchval(VALID, name):
            return False
        await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}", timeout=BUILD_TIMEOUT_S)
        await connection.execute(
            f"CREATE INDEX CONCURRENTLY {name} ON embedding USING hnsw"
            f" ((vector::halfvec({dimensions})) halfvec_ip_ops) WITH (m = 16, ef_construction = 128)"
            f" WHERE space = {space}",
            timeout=BUILD_TIMEOUT_S,
        )
        return True


def hnsw_name(space: int) -> str:
    """The index of a space."""
    return f"embedding_hnsw_{space}"
