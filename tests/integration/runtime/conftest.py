"""A database with the runtime's own tables, and a broker with a publisher and an observer."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from quire_contracts import Topology
from quire_runtime import inbox, outbox
from quire_runtime.db import open_pool
from quire_runtime.publish import Publisher
from quire_runtime.settings import ServiceSettings
from tests.integration.runtime.workbench import Bench
from tests.support.broker import observing


@pytest.fixture(scope="module")
def tables(postgres_url: str) -> str:
    """The URL of a database whose schema `probe` has an outbox and an inbox."""

    async def create() -> None:
        connection = await asyncpg.connect(postgres_url)
        try:
            await connection.execute(
                "CREATE SCHEMA probe; SET search_path TO probe;" + outbox.TABLE + outbox.TARGET + ";" + inbox.TABLE
            )
            await connection.execute("CREATE TABLE probe.effect (id text, at timestamptz DEFAULT now())")
        finally:
            await connection.close()

    asyncio.run(create())
    return postgres_url


@pytest.fixture
async def pool(tables: str, settings: ServiceSettings) -> AsyncIterator[asyncpg.Pool]:
    """A pool on that schema, with empty tables."""
    async with open_pool(settings.model_copy(update={"database_url": tables}), "probe") as opened:
        await opened.execute("TRUNCATE outbox, inbox, effect")
        yield opened


@pytest.fixture
async def bench(settings: ServiceSettings) -> AsyncIterator[Bench]:
    async with Publisher(settings, Topology(settings.broker_namespace, settings.retry_ladder)) as publisher:
        await publisher.ready()
        async with observing(settings) as observer:
            yield Bench(settings, publisher, observer)
