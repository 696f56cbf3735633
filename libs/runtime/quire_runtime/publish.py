"""Publishing: on a connection of its own, persistent, mandatory, confirmed by the broker, each under a time-out."""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import aio_pika
import structlog
from aio_pika.abc import AbstractConnection, AbstractRobustChannel, AbstractRobustConnection
from yarl import URL

from quire_contracts import CONTENT_TYPE, Event, Topology

from .errors import StartupError
from .metrics import PUBLISH_FAILURES, PUBLISHED
from .settings import ServiceSettings

log = structlog.get_logger(__name__)

RECONNECT_S = 1.0
HEARTBEAT_S = 10
"""A connection whose other end is silent for twice this long is given up."""


CONNECT_TIMEOUT_S = 10.0
DECLARE_TIMEOUT_S = 60.0
"""The first declaration makes some forty quorum queues, each of which elects a leader."""


def is_stopping(error: BaseException) -> bool:
    """Whether a cancellation is meant for our own task; a connection that breaks throws others at whoever waits."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


async def connect(settings: ServiceSettings, purpose: str) -> AbstractConnection:
    """A connection to the broker for one purpose, which its list of connections names. It is not made again by itself.

    Raises the driver's error, or OSError, where the broker is away.
    """
    return await aio_pika.connect(
        _url(settings),
        timeout=CONNECT_TIMEOUT_S,
        client_properties={"connection_name": f"quire {purpose} {settings.instance}"},
    )


def _url(settings: ServiceSettings) -> str:
    return str(URL(settings.broker_url).update_query(heartbeat=HEARTBEAT_S))


class PublishFailed(Exception):
    """The broker did not confirm; the message may have arrived all the same."""


class Publisher:
    """Publishes events. Usable while the broker is away: `publish` then raises `PublishFailed` after its time-out."""

    def __init__(self, settings: ServiceSettings, topology: Topology) -> None:
        self._settings = settings
        self._topology = topology
        self._connection: AbstractRobustConnection | None = None
        self._channel: AbstractRobustChannel | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._connected = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether the connection to the broker is open now."""
        return self._connection is not None and self._connection.connected.is_set()

    def route(self, event_type: str, target: str | None = None) -> tuple[str, str]:
        """Exchange and routing key of an event for everybody, or for the work queue of one service."""
        if target is None:
            return self._topology.events, event_type
        return self._topology.returned, self._topology.work_queue(target)

    async def ready(self) -> None:
        """Wait until the broker was reached for the first time and the topology is declared."""
        await self._connected.wait()

    async def publish(self, event: Event) -> None:
        """Publish a domain event; returns when the broker has it on disk. Raises `PublishFailed`."""
        await self.send(self._topology.events, event.type, event.to_json(), event_type=event.type, message_id=event.id)

    async def send(
        self,
        exchange: str,
        routing_key: str,
        body: bytes,
        *,
        event_type: str,
        message_id: str | None = None,
        headers: Mapping[str, Any] | None = None,
    ) -> None:
        """Publish a body as it is to an exchange. Raises `PublishFailed`."""
        message = aio_pika.Message(
            body,
            content_type=CONTENT_TYPE,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=message_id,
            headers=dict(headers or {}),
        )
        try:
            async with asyncio.timeout(self._settings.publish_timeout_s):
                await self._connected.wait()
                assert self._channel is not None
                target = await self._channel.get_exchange(exchange, ensure=False)
                await target.publish(message, routing_key, mandatory=True)
        except (Exception, asyncio.CancelledError) as error:
            PUBLISH_FAILURES.labels(event_type).inc()
            if is_stopping(error):
                raise
            raise PublishFailed(f"{routing_key} was not confirmed: {type(error).__name__} {error}") from error
        PUBLISHED.labels(event_type).inc()

    async def __aenter__(self) -> Self:
        self._connecting = asyncio.create_task(self._connect(), name="publisher connects")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()

    async def _connect(self) -> None:
        while True:
            connection: AbstractRobustConnection | None = None
            try:
                await declare(self._settings.broker_url, self._topology)
                connection = await aio_pika.connect_robust(
                    _url(self._settings),
                    timeout=CONNECT_TIMEOUT_S,
                    reconnect_interval=RECONNECT_S,
                    client_properties={"connection_name": f"quire publisher {self._settings.instance}"},
                )
                channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
                assert isinstance(channel, AbstractRobustChannel)
                connection.reconnect_callbacks.add(self._declare_again)
                self._connection, self._channel = connection, channel
                self._connected.set()
                return
            except (Exception, asyncio.CancelledError) as error:
                if connection is not None:
                    await connection.close()
                if is_stopping(error):
                    raise
                log.warning("the broker cannot be used yet", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(RECONNECT_S)

    async def _declare_again(self, _connection: AbstractRobustConnection | None) -> None:
        """The broker that came back may have lost its disk."""
        try:
            await declare(self._settings.broker_url, self._topology)
        except Exception as error:
            log.warning("the topology could not be declared again", error=f"{type(error).__name__}: {error}")


async def declare(broker_url: str, topology: Topology) -> None:
    """Declare every exchange, queue and binding; harmless where they exist.

    Raises `StartupError` where one exists with other arguments.
    """
    async with asyncio.timeout(DECLARE_TIMEOUT_S), await aio_pika.connect(broker_url) as connection:
        try:
            channel = await connection.channel()
            for exchange in topology.exchanges():
                await channel.declare_exchange(
                    exchange.name, exchange.kind, durable=True, arguments=dict(exchange.arguments)
                )
            queues = {
                queue.name: await channel.declare_queue(queue.name, durable=True, arguments=dict(queue.arguments))
                for queue in topology.queues()
            }
            for binding in topology.bindings():
                await queues[binding.queue].bind(binding.exchange, binding.routing_key)
        except aio_pika.exceptions.ChannelPreconditionFailed as error:
            raise StartupError(
                f"a queue or exchange exists on the broker with other arguments: {error}. "
                "Drain and delete it, or choose another QUIRE_BROKER_NAMESPACE"
            ) from error
