"""A publisher, an observer, and the ingest queue, for tests of how messages are settled."""

from typing import Any

from quire_contracts import DocumentUploaded
from quire_contracts.topology import consumer_of
from quire_runtime.consume import Handler, consumption
from quire_runtime.publish import Publisher
from quire_runtime.settings import ServiceSettings
from tests.support.broker import Observer


class Bench:
    """A publisher, an observer, and a way to run the ingest queue's handler."""

    def __init__(self, settings: ServiceSettings, publisher: Publisher, observer: Observer) -> None:
        self.settings = settings
        self.publisher = publisher
        self.seen = observer
        self.topology = observer.topology
        self.work = self.topology.work_queue("ingest")
        self.parked = self.topology.parked_queue("ingest")
        self.bulk = self.topology.bulk_queue("ingest")

    def consuming(self, handler: Handler) -> Any:
        return consumption(
            consumer_of("ingest"), {DocumentUploaded: handler}, self.publisher, self.topology, self.settings
        )

    async def settled(self) -> None:
        """Nothing waits in the work queue or on the ladder."""
        await self.seen.empty(self.work, self.bulk, *self.topology.delay_queues("ingest"))
