"""Looking at a broker as an outsider: what a queue holds, and what passes on the events exchange."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from quire_contracts import EVENTS, Event, Topology, parse_event
from quire_runtime.settings import ServiceSettings


async def eventually(condition: Callable[[], Awaitable[bool]], what: str, within_s: float = 15) -> None:
    """Wait until a condition holds; fails with `what` where it never does."""
    try:
        async with asyncio.timeout(within_s):
            while not await condition():  # noqa: ASYNC110 - the condition is another process's
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not within {within_s} s: {what}") from None


class Observer:
    """A connection of the test's own."""

    def __init__(self, connection: aio_pika.abc.AbstractConnection, topology: Topology) -> None:
        self._connection = connection
        self.topology = topology
        self.events: list[Event] = []

    async def depth(self, queue: str) -> int:
        """Messages that wait in a queue."""
        async with await self._connection.channel() as channel:
            found = await channel.declare_queue(queue, passive=True)
            return found.declaration_result.message_count or 0

    async def take(self, queue: str) -> AbstractIncomingMessage:
        """The next message of a queue, acknowledged."""
        taken: list[AbstractIncomingMessage] = []

        async def one() -> bool:
            async with await self._connection.channel() as channel:
                source = await channel.get_queue(queue)
                message = await source.get(fail=False, no_ack=True)
                if message is not None:
                    taken.append(message)
                return bool(taken)

        await eventually(one, f"a message in {queue}")
        return taken[0]

    async def send(self, exchange: str, key: str, body: bytes, headers: dict[str, Any] | None = None) -> None:
        """Publish raw bytes, as a foreign system would."""
        async with await self._connection.channel() as channel:
            target = await channel.get_exchange(exchange)
            await target.publish(aio_pika.Message(body, headers=headers, delivery_mode=2), key)

    async def empty(self, *queues: str) -> None:
        """Wait until these queues hold nothing."""
        for queue in queues:

            async def nothing(name: str = queue) -> bool:
                return await self.depth(name) == 0

            await eventually(nothing, f"{queue} is empty")

    async def received(self, count: int) -> list[Event]:
        """Wait until that many events passed on the exchange; all that passed."""

        async def enough() -> bool:
            return len(self.events) >= count

        await eventually(enough, f"{count} events on the exchange, of which came {[e.type for e in self.events]}")
        return self.events


@asynccontextmanager
async def observing(settings: ServiceSettings) -> AsyncIterator[Observer]:
    """An observer of the events exchange; the topology must be declared already."""
    topology = Topology(settings.broker_namespace, settings.retry_ladder)
    async with await aio_pika.connect(settings.broker_url) as connection:
        observer = Observer(connection, topology)
        channel = await connection.channel()
        queue = await channel.declare_queue("", exclusive=True)
        for event in EVENTS:
            await queue.bind(topology.events, event.type_name())

        async def note(message: AbstractIncomingMessage) -> None:
            observer.events.append(parse_event(message.body))

        await queue.consume(note, no_ack=True)
        yield observer
