"""The PostgreSQL pool."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy

from .errors import StartupError
from .settings import ServiceSettings

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
"""A connection, whether it came from a pool or not."""

Initialise = Callable[[asyncpg.Connection], Awaitable[None]]

UNAVAILABLE = (
    OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError, asyncpg.AdminShutdownError, asyncpg.CrashShutdownError,
)  # fmt: skip
"""What a statement raises when the database cannot be reached, does not answer, or is stopped while it works."""


@asynccontextmanager
async def open_pool(
    settings: ServiceSettings, schema: str, initialise: Initialise | None = None
) -> AsyncIterator[asyncpg.Pool]:
    """A pool whose connections see `schema` first; `jsonb` is Python data both ways.

    Raises `StartupError` where the database does not answer, or has not been migrated.
    """

    async def prepare(connection: asyncpg.Connection) -> None:
        await connection.set_type_codec(
            "jsonb", schema="pg_catalog", encoder=_encode, decoder=orjson.loads, format="text"
        )
        if initialise is not None:
            await initialise(connection)

    try:
        pool = await asyncpg.create_pool(
            settings.database_url,
            min_size=1,
            max_size=settings.database_pool,
            command_timeout=settings.database_timeout_s,
            timeout=settings.database_timeout_s,
            max_inactive_connection_lifetime=60,
            init=prepare,
            server_settings={"search_path": f"{schema},public", "application_name": f"quire-{schema}", "jit": "off"},
        )
    except UNAVAILABLE as error:
        raise StartupError(f"PostgreSQL does not answer at QUIRE_DATABASE_URL: {error}") from error
    try:
        yield pool
    finally:
        try:
            await asyncio.wait_for(pool.close(), settings.graceful_timeout_s)
        except TimeoutError:
            pool.terminate()


def _encode(value: Any) -> str:
    return orjson.dumps(value).decode()
