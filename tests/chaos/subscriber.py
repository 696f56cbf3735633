"""A stranger who listens to every event: a durable queue of its own on the events exchange, for a whole run."""

import asyncio
import contextlib
import json
import threading
from collections import Counter
from types import TracebackType
from typing import Self

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

QUEUE = "chaos.subscriber"
EXCHANGE = "quire.events"
AGAIN_S = 0.3


class Subscriber:
    """Remembers the id of every event that came, and how often; connects again whenever the broker went away.

    It acknowledges what it has noted, so that its queue is empty when it has seen everything. `received` may be read
    at any time from any thread.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="subscriber", daemon=True)
        self._listening = threading.Event()
        self._task: asyncio.Task[None] | None = None
        self._received: Counter[str] = Counter()

    @property
    def received(self) -> Counter[str]:
        """Event id to number of deliveries."""
        return Counter(self._received)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._listening.wait(60):
            raise AssertionError("the subscriber could not listen within 60 s")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._task = self._loop.create_task(self._listen())
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except (OSError, aio_pika.exceptions.AMQPError, TimeoutError):
                await asyncio.sleep(AGAIN_S)

    async def _listen_once(self) -> None:
        async with await aio_pika.connect(self._url, timeout=10) as connection:
            channel = await connection.channel()
            await channel.set_qos(500)
            queue = await channel.declare_queue(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
            await queue.bind(EXCHANGE, "quire.#")
            gone = self._loop.create_future()

            def closed(*_: object) -> None:
                if not gone.done():
                    gone.set_result(None)

            connection.close_callbacks.add(closed)
            channel.close_callbacks.add(closed)
            await queue.consume(self._note)
            self._listening.set()
            await gone

    async def _note(self, message: AbstractIncomingMessage) -> None:
        self._received[str(json.loads(message.body)["id"])] += 1
        with contextlib.suppress(aio_pika.exceptions.AMQPError, OSError):
            await message.ack()
