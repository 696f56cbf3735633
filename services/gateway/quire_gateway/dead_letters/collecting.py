"""Collecting: what the workers have parked is moved from the broker into the catalog, where people can look at it.

A message is acknowledged after its row is committed, so that it is in one of the two places at every moment. While the
database is away messages are not taken, and those in hand are held: the broker drops a message of a parked queue
that comes back to it too often. Every gateway collects.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aio_pika
import asyncpg
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage

from quire_contracts import Topology
from quire_gateway.metrics import DEAD_LETTERS
from quire_gateway.settings import GatewaySettings
from quire_runtime.publish import CONNECT_TIMEOUT_S, RECONNECT_S, Publisher, connect, is_stopping

from . import letters_db
from .parked import letter_of

log = structlog.get_logger(__name__)

IN_HAND = 10
"""Messages of one parked queue; a body may have megabytes."""
AT_ONCE = 2
"""Connections of the pool that are used for it."""
LONGEST_PAUSE_S = 30.0
MEASURE_S = 5.0


class Collector:
    """Takes from every parked queue until cancelled."""

    def __init__(self, pool: asyncpg.Pool, publisher: Publisher, topology: Topology, settings: GatewaySettings) -> None:
        self._pool = pool
        self._publisher = publisher
        self._topology = topology
        self._settings = settings
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Collect; begins anew with another connection whenever this one is lost."""
        pause = RECONNECT_S
        while True:
            try:
                await self._publisher.ready()
                await self._pool.fetchval("SELECT 1")
                connection = await connect(self._settings, "collector")
                pause = RECONNECT_S
                try:
                    await self._collect(connection)
                finally:
                    await _close(connection)
                log.warning("dead letters: the connection is lost, connecting again")
            except (Exception, asyncio.CancelledError) as error:
                if is_stopping(error):
                    raise
                log.warning("dead letters cannot be collected yet", error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def _collect(self, connection: AbstractConnection) -> None:
        """Returns when a consumer is gone."""
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=IN_HAND)
        tags = set()
        for row in self._topology.table:
            queue = await channel.get_queue(self._topology.parked_queue(row.service))
            tags.add(await queue.consume(self._keeping(row.service, channel)))
        underlay: Any = await channel.get_underlay_channel()
        while not channel.is_closed and tags <= underlay.consumers.keys():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(self._settings.consumer_check_s)

    def _keeping(self, service: str, channel: AbstractChannel) -> Callable[[AbstractIncomingMessage], Awaitable[None]]:
        async def keep(message: AbstractIncomingMessage) -> None:
            letter = letter_of(service, message.body, message.headers)
            pause = RECONNECT_S
            while not channel.is_closed:
                try:
                    async with self._slots:
                        await letters_db.keep(self._pool, letter)
                    await message.ack()
                    log.info("a dead letter is kept", service=service, dead_letter=letter.id, reason=letter.reason)
                    return
                except aio_pika.exceptions.AMQPError as error:  # the broker delivers it again: it is the same row
                    log.warning("a dead letter was not acknowledged", error=f"{type(error).__name__}: {error}")
                    return
                except Exception as error:
                    log.warning("a dead letter cannot be kept yet", error=f"{type(error).__name__}: {error}")
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE_S)

        return keep

    async def measure(self) -> None:
        """Keep the gauge of waiting dead letters right, until cancelled."""
        while True:
            try:
                waiting = await letters_db.waiting(self._pool)
                for row in self._topology.table:
                    DEAD_LETTERS.labels(row.service).set(waiting.get(row.service, 0))
            except Exception as error:
                log.warning("the dead letters could not be counted", error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(MEASURE_S)


async def _close(connection: AbstractConnection) -> None:
    """One that is broken cannot be closed in an orderly way."""
    with suppress(Exception):
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await connection.close()


@asynccontextmanager
async def running(collector: Collector) -> AsyncIterator[None]:
    """Collect for as long as the context lasts."""
    works = (collector.run, collector.measure)
    tasks = [asyncio.create_task(work(), name=f"dead letters {work.__name__}") for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
