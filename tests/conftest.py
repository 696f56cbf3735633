"""Fixtures that every kind of test may ask for: real servers, each test with a corner of its own in them."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import aio_pika
import asyncpg
import pytest

from quire_contracts import Topology
from quire_runtime.settings import ServiceSettings
from tests.support.servers import Provision

LADDER = ("30ms", "60ms")


@pytest.fixture(scope="session")
def provision() -> Iterator[Provision]:
    """The servers of this run."""
    provided = Provision()
    yield provided
    provided.close()


@pytest.fixture(scope="session")
def broker_url(provision: Provision) -> str:
    """A RabbitMQ."""
    return provision.server("rabbitmq").url


@pytest.fixture(scope="session")
def redis_url(provision: Provision) -> str:
    """A Redis."""
    return provision.server("redis").url


@pytest.fixture(scope="session")
def postgres_server(provision: Provision) -> str:
    """A PostgreSQL with pgvector, as a user who may create databases and extensions."""
    return provision.server("postgres").url


@pytest.fixture(scope="module")
def postgres_url(postgres_server: str) -> Iterator[str]:
    """An empty database for the tests of one module."""
    name = f"test_{uuid.uuid4().hex}"
    asyncio.run(_administer(postgres_server, f'CREATE DATABASE "{name}"'))
    yield urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}"))
    asyncio.run(_administer(postgres_server, f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _administer(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def settings(broker_url: str, tmp_path: Path) -> AsyncIterator[ServiceSettings]:
    """Settings with exchanges and queues of the test's own, a ladder of milliseconds, and a store in a folder."""
    made = ServiceSettings(
        broker_url=broker_url,
        broker_namespace=f"t{uuid.uuid4().hex[:10]}",
        retry_ladder=LADDER,
        publish_timeout_s=10,
        graceful_timeout_s=10,
        consumer_check_s=0.05,
        outbox_poll_s=0.05,
        store_url=f"file://{tmp_path / 'objects'}",
    )
    yield made
    await remove_topology(made)


async def remove_topology(settings: ServiceSettings) -> None:
    """Delete what a test declared on the broker."""
    topology = Topology(settings.broker_namespace, settings.retry_ladder)
    async with await aio_pika.connect(settings.broker_url) as connection:
        channel = await connection.channel()
        for queue in topology.queues():
            await channel.queue_delete(queue.name)
        for exchange in topology.exchanges():
            await channel.exchange_delete(exchange.name)
