"""What waits for a service: in its queues on the broker, and in our own outbox."""

import asyncio
from collections.abc import Iterable

import aio_pika
import asyncpg
from aio_pika.abc import AbstractConnection

from quire_contracts import Topology
from quire_gateway.settings import GatewaySettings
from quire_runtime.publish import connect

ANSWER_S = 10.0


class Waiting:
    """Asks the broker, on a connection of its own that is opened when it is first needed; close it at the end."""

    def __init__(self, settings: GatewaySettings, topology: Topology) -> None:
        self._settings = settings
        self._topology = topology
        self._connection: AbstractConnection | None = None
        self._one = asyncio.Lock()

    async def anywhere(self, service: str) -> int:
        """Messages that wait for a service, those that are to be tried again later included.

        What a worker has in hand is not among them. Raises the driver's error, or TimeoutError, where the broker
        does not answer.
        """
        return await self._depth([*self._topology.taken_from(service), *self._topology.delay_queues(service)])

    async def due(self, service: str) -> int:
        """Messages that a worker of the service would take now. Raises like `anywhere`."""
        return await self._depth(self._topology.taken_from(service))

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()

    async def _depth(self, queues: Iterable[str]) -> int:
        async with self._one, asyncio.timeout(ANSWER_S):
            connection = await self._connected()
            found = 0
            for queue in queues:
                async with connection.channel() as channel:  # one each: the broker closes it where there is no queue
                    try:
                        declared = await channel.declare_queue(queue, passive=True)
                    except aio_pika.exceptions.ChannelNotFoundEntity:
                        continue
                    found += declared.declaration_result.message_count or 0
            return found

    async def _connected(self) -> AbstractConnection:
        if self._connection is None or self._connection.is_closed:
            self._connection = await connect(self._settings, "depths")
        return self._connection


class Pace:
    """Says when those who put many events into the outbox at once are to wait, so that nobody else has to."""

    OUTBOX = 1000
    QUEUE = 2000

    def __init__(self, pool: asyncpg.Pool, waiting: Waiting) -> None:
        self._pool = pool
        self._waiting = waiting

    async def is_full(self, service: str) -> bool:
        """Whether more waits already than the relay and the service do in a few seconds."""
        outbox: int = await self._pool.fetchval("SELECT count(*) FROM (SELECT FROM outbox LIMIT $1) AS r", self.OUTBOX)
        return outbox >= self.OUTBOX or await self._waiting.due(service) >= self.QUEUE

    async def left(self, service: str) -> int:
        """Messages for a service that it has not taken yet."""
        outbox: int = await self._pool.fetchval("SELECT count(*) FROM outbox WHERE target = $1", service)
        return outbox + await self._waiting.anywhere(service)
