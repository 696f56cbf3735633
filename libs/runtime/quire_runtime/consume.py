"""Consuming: one queue, a handler for each event type, and what each of its four outcomes does to the message.

| the handler…                         | settlement                                                                 |
|--------------------------------------|----------------------------------------------------------------------------|
| returns events or nothing            | publish them, then acknowledge                                             |
| raises `Permanent`                   | publish `ProcessingFailed`, then acknowledge                               |
| raises `Later`                       | to a delay queue without counting an attempt, then acknowledge             |
| raises anything else                 | to the next delay queue, or parked + `ProcessingFailed`, then acknowledge  |
| raises `Refused`, or is undecodable  | parked with the reason, then acknowledge                                   |

A message is acknowledged only after whatever replaces it was confirmed by the broker.

Before any of that: one workspace may have a quarter of the hands. What it sends beyond that is moved to the service's
bulk queue, from which the same worker takes with half as many hands again. A document of another workspace then waits
for what is in hand, and not for the flood. Moving needs no hand: of the work queue twice as many messages are taken.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import aio_pika
import structlog
from faststream.middlewares import AckPolicy
from faststream.rabbit import Channel, RabbitBroker, RabbitMessage, RabbitQueue

from quire_contracts import Event, ProcessingFailed, ProcessingFailedData, Topology, UndecodableEvent, parse_event
from quire_contracts.topology import Consumer, seconds

from . import metrics
from .errors import Later, Permanent, Refused
from .publish import HEARTBEAT_S, Publisher, PublishFailed, is_stopping
from .settings import ServiceSettings
from .storage import ObjectNotFound
from .telemetry import consuming, stamp

log = structlog.get_logger(__name__)

Outcome = Event | Sequence[Event] | None
Handler = Callable[[Any], Awaitable[Outcome]]
Handlers = Mapping[type[Event], Handler]

ATTEMPT = "x-quire-attempt"
"""Header: which attempt this delivery is, from 1."""
POSTPONED_SINCE = "x-quire-postponed-since"
"""Header: Unix seconds of the first time the message was postponed."""
DELIVERY_COUNT = "x-delivery-count"
"""Header of quorum queues: how often the message was given to a worker and came back unsettled."""
DELIVERIES = 10
"""Unsettled deliveries after which a message is given up; the broker's own limit is only the last resort."""
LONGEST_PAUSE_S = 30.0
CLOSE_S = 5.0
LOOKS_FOR_OBJECT = 3
"""Attempts after which an object that is not in the store is taken for deleted with its document."""
REASON = "x-quire-reason"
"""Header: why the message is in a delay queue or parked."""


class WorkerDied(Exception):
    """The message was delivered again and again without an outcome: whoever takes it seems to die of it."""


@dataclass(frozen=True)
class _Journey:
    """What a message's headers say of the way it has come."""

    attempt: int
    deliveries: int
    postponed_since: float

    @classmethod
    def of(cls, message: RabbitMessage) -> "_Journey":
        """Raises ValueError where a header makes no sense."""
        headers = message.headers
        try:
            return cls(
                int(headers.get(ATTEMPT, 1)),
                int(headers.get(DELIVERY_COUNT, 0)),
                float(headers.get(POSTPONED_SINCE, time.time())),
            )
        except TypeError as error:
            raise ValueError(str(error)) from error


class Consumption:
    """Takes messages of one service's queue until closed."""

    def __init__(
        self, row: Consumer, handlers: Handlers, publisher: Publisher, topology: Topology, settings: ServiceSettings
    ) -> None:
        if set(handlers) != set(row.takes):
            wanted, given = ({event.__name__ for event in events} for events in (row.takes, handlers))
            raise ValueError(f"the topology says that {row.service} takes {wanted}, its handlers are for {given}")
        self._row = row
        self._handlers = {event.type_name(): handler for event, handler in handlers.items()}
        self._publisher = publisher
        self._topology = topology
        self._settings = settings
        self._ladder = topology.ladder(row.service)
        self._hands = settings.prefetch or row.prefetch
        self._share = max(1, self._hands // 4)
        self._in_hand: Counter[str] = Counter()
        """Messages by workspace, as far as they count towards its share."""
        self._broker: RabbitBroker | None = None
        self._stopping = False

    async def is_alive(self) -> bool:
        """Whether the broker would deliver to us now."""
        subscribers = self._broker.subscribers if self._broker is not None else ()
        for subscriber in subscribers:
            queue, tag = getattr(subscriber, "_queue_obj", None), getattr(subscriber, "_consumer_tag", None)
            if queue is None or tag is None or queue.channel.is_closed:
                return False
            if tag not in (await queue.channel.get_underlay_channel()).consumers:
                return False
        return bool(subscribers)

    async def run(self) -> None:
        """Consume until cancelled; starts again whenever the consumer is found dead."""
        alive = metrics.CONSUMING.labels(self._row.service)
        while True:
            try:
                await self._publisher.ready()
                self._broker = self._new_broker()
                await self._broker.start()
                log.info("consuming", queue=self._topology.work_queue(self._row.service))
                while await self.is_alive():
                    alive.set(1)
                    await asyncio.sleep(self._settings.consumer_check_s)
                log.warning("the consumer is gone: starting again")
            except (Exception, asyncio.CancelledError) as error:
                if is_stopping(error):
                    raise
                log.warning("cannot consume yet", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(min(1.0, self._settings.consumer_check_s))
            finally:
                alive.set(0)
                await self._stop_broker()

    def _new_broker(self) -> RabbitBroker:
        broker = RabbitBroker(
            self._settings.broker_url,
            graceful_timeout=self._settings.graceful_timeout_s,
            reconnect_interval=1.0,
            apply_types=False,
            logger=None,
            client_properties={"heartbeat": HEARTBEAT_S},
        )
        free, self._stopping = asyncio.Semaphore(self._hands), False

        async def take(message: RabbitMessage) -> None:
            await self._on_message(message, free)

        async def take_bulk(message: RabbitMessage) -> None:
            await self._on_message(message, None)

        work, bulk = self._topology.taken_from(self._row.service)
        for queue, prefetch, taker in ((work, 2 * self._hands, take), (bulk, max(1, self._hands // 2), take_bulk)):
            broker.subscriber(
                RabbitQueue(queue, declare=False),
                channel=Channel(prefetch_count=prefetch),
                ack_policy=AckPolicy.MANUAL,
                decoder=_undecoded,
                no_reply=True,
            )(taker)
        return broker

    async def _stop_broker(self) -> None:
        broker, self._broker = self._broker, None
        self._stopping = True
        if broker is not None:
            try:
                async with asyncio.timeout(self._settings.graceful_timeout_s + CLOSE_S):
                    await broker.stop()
            except Exception as error:  # a connection that is gone cannot be closed in an orderly way
                log.warning("the broker connection was not closed in order", error=f"{type(error).__name__}: {error}")

    async def _on_message(self, message: RabbitMessage, free: asyncio.Semaphore | None) -> None:
        """`free` are the hands of the work queue; none for what comes from the bulk queue, to a hand of its own."""
        started = time.perf_counter()
        in_hand = metrics.IN_HAND.labels(self._row.service)
        in_hand.inc()
        kind = message.raw_message.routing_key or "unknown"
        try:
            try:
                event = parse_event(message.body)
                journey = _Journey.of(message)
            except (UndecodableEvent, ValueError) as error:
                log.error("an undecodable message is parked", error=str(error), routing_key=kind)
                kind, outcome = "undecodable", "parked"
                await self._park(message, kind, f"undecodable: {error}")
                await message.ack()
            else:
                kind = event.type
                if free is None:
                    outcome = await self._handle(event, message, journey)
                elif self._in_hand[event.workspaceid] >= self._share:
                    outcome = "bulk"
                    bulk = self._topology.bulk_queue(self._row.service)
                    await self._until_confirmed(self._resend, message, kind, self._topology.returned, bulk, {})
                    await message.ack()
                else:
                    with self._share_of(event.workspaceid):
                        async with free:
                            if self._stopping:  # it goes back to the queue with the connection
                                return
                            outcome = await self._handle(event, message, journey)
            metrics.MESSAGES.labels(self._row.service, kind, outcome).inc()
        except aio_pika.exceptions.AMQPError as error:  # the connection died under us: the broker delivers again
            log.warning("a message could not be settled", error=f"{type(error).__name__}: {error}")
        except Exception as error:  # a mistake of ours, which FastStream would keep to itself
            log.error("a message was not settled", error=f"{type(error).__name__}: {error}", exc_info=error)
        finally:
            in_hand.dec()
            metrics.HANDLER_SECONDS.labels(self._row.service, kind).observe(time.perf_counter() - started)

    @contextmanager
    def _share_of(self, workspace: str) -> Iterator[None]:
        self._in_hand[workspace] += 1
        try:
            yield
        finally:
            self._in_hand[workspace] -= 1
            if not self._in_hand[workspace]:
                del self._in_hand[workspace]

    async def _handle(self, event: Event, message: RabbitMessage, journey: "_Journey") -> str:
        attempt = journey.attempt
        metrics.EVENT_AGE_SECONDS.labels(self._row.service, event.type).observe(
            max(0.0, time.time() - event.time.timestamp())
        )
        with consuming(event, self._row.service, attempt) as span:
            try:
                handler = self._handlers.get(event.type)
                if handler is None:
                    raise Refused(f"{self._row.service} does not take {event.type}")
                if journey.deliveries >= DELIVERIES:
                    raise WorkerDied(f"{journey.deliveries} workers died or lost the broker while they had it")
                result = await handler(event)
                for emitted in [result] if isinstance(result, Event) else result or ():
                    await self._until_confirmed(self._publish, stamp(emitted))
                outcome = "done"
            except Permanent as error:
                log.info("the stage fails for good", reason=error.reason, detail=error.detail)
                await self._announce_failure(event, error.reason, error.detail, attempt)
                outcome = "permanent"
            except Refused as error:
                log.error("a message is refused and parked", error=str(error))
                await self._park(message, event.type, f"refused: {error}")
                outcome = "parked"
            except Exception as error:
                span.record_exception(error)
                outcome = await self._again(event, message, journey, error)
            await message.ack()
            return outcome

    async def _again(self, event: Event, message: RabbitMessage, journey: "_Journey", error: Exception) -> str:
        attempt, since = journey.attempt, journey.postponed_since
        now = time.time()
        reason = f"{type(error).__name__}: {error}"[:500]
        if isinstance(error, Later) and now + error.delay_s < since + self._settings.postpone_deadline_s:
            delay = min(
                (delay for delay in self._ladder if seconds(delay) >= error.delay_s),
                default=max(self._ladder, key=seconds),
                key=seconds,
            )
            log.info("postponed", delay=delay, reason=reason)
            await self._delay(event, message, delay, {ATTEMPT: attempt, POSTPONED_SINCE: str(since), REASON: reason})
            return "later"
        if isinstance(error, ObjectNotFound) and attempt >= LOOKS_FOR_OBJECT:
            await self._announce_failure(event, "missing", "What the document is made of is not in the store.", attempt)
            return "permanent"
        if attempt <= len(self._ladder) and not isinstance(error, WorkerDied):
            delay = self._ladder[attempt - 1]
            log.warning("will be tried again", attempt=attempt, delay=delay, error=reason)
            await self._delay(event, message, delay, {ATTEMPT: attempt + 1, REASON: reason})
            return "retry"
        log.error("parked: every attempt failed", attempt=attempt, error=reason, exc_info=error)
        await self._park(message, event.type, reason, attempt)
        await self._announce_failure(event, "exhausted", f"gave up after {attempt} attempts: {reason}", attempt)
        return "parked"

    async def _delay(self, event: Event, message: RabbitMessage, delay: str, headers: Mapping[str, Any]) -> None:
        queue = self._topology.delay_queue(self._row.service, delay)
        await self._until_confirmed(self._resend, message, event.type, self._topology.retry, queue, headers)

    async def _park(self, message: RabbitMessage, kind: str, reason: str, attempt: int = 1) -> None:
        headers = {ATTEMPT: attempt, REASON: reason[:500]}
        work = self._topology.work_queue(self._row.service)
        await self._until_confirmed(self._resend, message, kind, self._topology.dead_letters, work, headers)

    async def _announce_failure(self, event: Event, reason: str, detail: str, attempt: int) -> None:
        if self._row.stage is None or isinstance(event, ProcessingFailed):
            return
        data = ProcessingFailedData(
            revision=event.data.revision, stage=self._row.stage, reason=reason, detail=detail,
            attempts=attempt, cause_type=event.type,
        )  # fmt: skip
        failure = ProcessingFailed.follow(event, data, discriminator=self._row.service, producer=self._row.service)
        await self._until_confirmed(self._publish, stamp(failure))

    async def _publish(self, event: Event) -> None:
        await self._publisher.publish(event)

    async def _resend(
        self, message: RabbitMessage, kind: str, exchange: str, key: str, headers: Mapping[str, Any]
    ) -> None:
        kept = {name: value for name, value in message.headers.items() if name.startswith("x-quire-")}
        await self._publisher.send(
            exchange, key, message.body, event_type=kind, message_id=message.raw_message.message_id,
            headers={**kept, **headers},
        )  # fmt: skip

    async def _until_confirmed(self, publish: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        """Publish until the broker confirms; the message stays unacknowledged meanwhile, so that nothing is lost."""
        pause = min(1.0, self._settings.consumer_check_s)
        while True:
            try:
                return await publish(*arguments)
            except PublishFailed as error:  # seldom again: where one queue is full, the others get it each time
                log.warning("publishing again", error=str(error), after_s=pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)


async def _undecoded(message: RabbitMessage) -> RabbitMessage:
    """Decoding is ours, so that what cannot be decoded is parked and not dropped."""
    return message


@asynccontextmanager
async def consumption(
    row: Consumer, handlers: Handlers, publisher: Publisher, topology: Topology, settings: ServiceSettings
) -> AsyncIterator[Consumption]:
    """Consume for as long as the context lasts; at its end stop taking and finish what is in hand."""
    taken = Consumption(row, handlers, publisher, topology, settings)
    task = asyncio.create_task(taken.run(), name=f"{row.service} consumes")
    try:
        yield taken
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
