"""The topology: THE table of who consumes what, and the exchanges, queues and bindings that follow from it.

Everything that knows a queue's name, its events or its limits takes it from here: declaration, autoscaling, dashboards,
documentation. Only what RabbitMQ 3.10 and 4.x have in common is used: durable quorum queues with at-least-once
dead-lettering, fixed message time-to-live, an alternate exchange.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from .event import Event
from .events import (
    DocumentDeleted,
    DocumentEnriched,
    DocumentIndexed,
    DocumentUpdated,
    DocumentUploaded,
    Embedded,
    PreviewReady,
    ProcessingFailed,
    Stage,
    StageRetried,
    TextExtracted,
)

DEFAULT_LADDER = ("1s", "10s", "1m", "10m", "10m", "10m")
"""Delays before the second, third, … delivery of a message whose handler failed for a reason that may pass."""


@dataclass(frozen=True)
class Consumer:
    """One row of the table: a service, the queue it works on and the events it takes from it."""

    service: str
    stage: Stage | None
    """The stage of a document that this service is answerable for; none for the gateway, which only records."""
    takes: tuple[type[Event], ...]
    prefetch: int
    """Unacknowledged messages one worker holds: what one process works on at once."""
    scale_at: int
    """Waiting messages for which one more worker is worth starting."""
    ladder: tuple[str, ...] = DEFAULT_LADDER
    delivery_limit: int = 20
    """Deliveries after which the broker itself parks a message (a worker that dies each time it meets it)."""
    max_bytes: int = 2 * 1024**3
    """Bytes of waiting messages beyond which the broker refuses more; the outbox then holds them."""


TABLE: tuple[Consumer, ...] = (
    Consumer("ingest", "ingest", (DocumentUploaded,), prefetch=16, scale_at=50),
    Consumer("embedder", "embed", (TextExtracted,), prefetch=64, scale_at=50),
    Consumer("enricher", "enrich", (TextExtracted,), prefetch=16, scale_at=50),
    Consumer(
        "search",
        "index",
        (TextExtracted, Embedded, DocumentEnriched, DocumentUpdated, DocumentDeleted),
        prefetch=200,
        scale_at=500,
    ),
    Consumer("previewer", "preview", (DocumentUploaded,), prefetch=8, scale_at=50),
    Consumer(
        "gateway",
        None,
        (
            TextExtracted,
            Embedded,
            DocumentIndexed,
            DocumentEnriched,
            PreviewReady,
            DocumentDeleted,
            StageRetried,
            ProcessingFailed,
        ),
        prefetch=200,
        scale_at=1000,
    ),
)


def consumer_of(service: str) -> Consumer:
    """The row of a service; KeyError where it has none."""
    return {row.service: row for row in TABLE}[service]


def seconds(delay: str) -> float:
    """`50ms`, `10s`, `1m` or `2h` as seconds."""
    match = re.fullmatch(r"(\d+)(ms|s|m|h)", delay)
    if not match:
        raise ValueError(f"{delay!r} is not a delay: a whole number and ms, s, m or h")
    return int(match[1]) * {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}[match[2]]


@dataclass(frozen=True)
class Exchange:
    """An exchange to declare; all are durable."""

    name: str
    kind: Literal["topic", "fanout", "direct"]
    purpose: str
    arguments: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True)
class Queue:
    """A quorum queue to declare; all are durable."""

    name: str
    arguments: Mapping[str, str | int]


@dataclass(frozen=True)
class Binding:
    """Messages of `exchange` with `routing_key` go to `queue`."""

    exchange: str
    queue: str
    routing_key: str


class Topology:
    """The names and arguments of everything on the broker, derived from the table.

    `namespace` is the first word of every name; another one gives a second, independent installation on the same
    virtual host. `ladder` replaces every row's ladder (tests use milliseconds).
    """

    def __init__(
        self, namespace: str = "quire", ladder: Iterable[str] | None = None, table: tuple[Consumer, ...] = TABLE
    ) -> None:
        self.namespace = namespace
        self.table = table
        self._ladder = tuple(ladder) if ladder is not None else None
        self.events = f"{namespace}.events"
        self.unrouted = f"{namespace}.unrouted"
        self.retry = f"{namespace}.retry"
        self.returned = f"{namespace}.return"
        self.dead_letters = f"{namespace}.dlx"

    def ladder(self, service: str) -> tuple[str, ...]:
        """The delays of a service, in the order of attempts."""
        return self._ladder if self._ladder is not None else self._row(service).ladder

    def work_queue(self, service: str) -> str:
        """Where the events of a service wait for a worker."""
        return f"{self.namespace}.{service}"

    def bulk_queue(self, service: str) -> str:
        """Where a worker puts what one workspace sends beyond its share, so that others need not wait behind it."""
        return f"{self.namespace}.{service}.bulk"

    def delay_queue(self, service: str, delay: str) -> str:
        """Where a message of a service waits `delay` before it returns to the work queue."""
        return f"{self.namespace}.{service}.retry.{delay}"

    def delay_queues(self, service: str) -> list[str]:
        """The queues of a service's ladder, each once."""
        return [self.delay_queue(service, delay) for delay in dict.fromkeys(self.ladder(service))]

    def parked_queue(self, service: str) -> str:
        """Where messages of a service wait for a person."""
        return f"{self.namespace}.{service}.parked"

    def exchanges(self) -> list[Exchange]:
        """In an order in which they can be declared."""
        unrouted = {"alternate-exchange": self.unrouted}
        return [
            Exchange(self.unrouted, "fanout", "what no queue takes: its depth above 0 is an alert"),
            Exchange(self.events, "topic", "domain events; the routing key is the event's type", unrouted),
            Exchange(self.retry, "direct", "work queue to delay queue; the routing key is the delay queue"),
            Exchange(
                self.returned,
                "direct",
                "back to a work or bulk queue, which is the routing key",
            ),
            Exchange(self.dead_letters, "direct", "to the parked queue; the routing key is the work queue"),
        ]

    def queues(self) -> list[Queue]:
        """Every queue with its arguments."""
        found = [Queue(self.unrouted, _quorum(max_bytes=256 * 1024**2))]
        for row in self.table:
            work = self.work_queue(row.service)
            arguments = _quorum(row.max_bytes, row.delivery_limit, self.dead_letters, work)
            found += [Queue(name, arguments) for name in self.taken_from(row.service)]
            for delay in dict.fromkeys(self.ladder(row.service)):
                back = _quorum(row.max_bytes, row.delivery_limit, self.returned, work)
                found.append(
                    Queue(self.delay_queue(row.service, delay), {**back, "x-message-ttl": round(seconds(delay) * 1000)})
                )
            found.append(Queue(self.parked_queue(row.service), _quorum(row.max_bytes)))
        return found

    def bindings(self) -> list[Binding]:
        """Every binding."""
        found = [Binding(self.unrouted, self.unrouted, "")]
        for row in self.table:
            work = self.work_queue(row.service)
            found += [Binding(self.events, work, event.type_name()) for event in row.takes]
            found += [Binding(self.retry, queue, queue) for queue in self.delay_queues(row.service)]
            found += [Binding(self.returned, queue, queue) for queue in self.taken_from(row.service)]
            found.append(Binding(self.dead_letters, self.parked_queue(row.service), work))
        return found

    def taken_from(self, service: str) -> tuple[str, str]:
        """The queues that a worker consumes."""
        return self.work_queue(service), self.bulk_queue(service)

    def _row(self, service: str) -> Consumer:
        return next(row for row in self.table if row.service == service)


_NEVER = 1_000_000
"""A delivery limit that no message meets: what waits for a person is not to be dropped for having been looked at."""


def _quorum(
    max_bytes: int, delivery_limit: int = _NEVER, exchange: str | None = None, routing_key: str | None = None
) -> dict[str, str | int]:
    arguments: dict[str, str | int] = {
        "x-queue-type": "quorum",
        "x-overflow": "reject-publish",
        "x-max-length-bytes": max_bytes,
        "x-delivery-limit": delivery_limit,
    }
    if exchange is not None and routing_key is not None:
        arguments |= {
            "x-dead-letter-exchange": exchange,
            "x-dead-letter-routing-key": routing_key,
            "x-dead-letter-strategy": "at-least-once",
        }
    return arguments
