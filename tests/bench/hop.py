"""The hop: consume, handle, publish and be confirmed, through the runtime and by aio-pika alone, taking turns.

Both take the same messages from the same quorum queue of one broker, publish one persistent message for each to the
same exchange, acknowledge after its confirm, hold as many at once, and run in one process on uvloop. Time runs from the
first delivery to the last acknowledgement.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aio_pika
import uvloop
from aio_pika.abc import AbstractIncomingMessage
from prometheus_client import REGISTRY

from quire_contracts import (
    CONTENT_TYPE,
    DocumentInfo,
    DocumentUploaded,
    DocumentUploadedData,
    PreviewReady,
    PreviewReadyData,
    Topology,
    consumer_of,
)
from quire_local.servers import Servers
from quire_runtime.consume import consumption
from quire_runtime.publish import Publisher, declare
from quire_runtime.settings import ServiceSettings
from quire_runtime.telemetry import set_up_logging, set_up_tracing

from .results import Measurement, show

ROUNDS = 5
PREFETCH = 50
DATA = PreviewReadyData(revision=1, skipped="There are no pictures here.")


def measure(messages: int) -> None:
    """Run it on a broker of its own, print and save."""
    measurement = Measurement("hop", messages=messages, prefetch=PREFETCH, rounds=ROUNDS)
    with tempfile.TemporaryDirectory(prefix="quire-bench-") as home:
        Path(home).chmod(0o755)
        with Servers(Path(home), {"rabbitmq"}) as servers:
            rounds = uvloop.run(_measure(servers.urls["rabbitmq"], messages))
    ratios = {
        unit: statistics.median(one["runtime"][unit] / one["aio-pika"][unit] for one in rounds)
        for unit in ("messages_per_s", "messages_per_cpu_s")
    }
    show(
        "one hop, medians", ["", "messages/s", "messages/s of CPU"],
        [[name, *(statistics.median(one[name][unit] for one in rounds) for unit in ratios)] for name in rounds[0]]
        + [["runtime / aio-pika", *(f"{ratio:.2f}" for ratio in ratios.values())]],
    )  # fmt: skip
    measurement.save({"rounds": rounds, "median_ratio": ratios})


class Laps:
    """Takes the time of one round: called once for each message, when its handling begins."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.last_began = asyncio.Event()
        self._began = 0

    def begin(self) -> None:
        """A message was delivered."""
        if not self._began:
            self._wall, self._cpu = time.perf_counter(), time.process_time()
        self._began += 1
        if self._began == self.count:
            self.last_began.set()

    def rates(self) -> dict[str, float]:
        """After the last was acknowledged: how many passed in a second, and in a second of CPU time."""
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return {"messages_per_s": self.count / wall, "messages_per_cpu_s": self.count / cpu}


Side = Callable[[Laps], AbstractAsyncContextManager[Callable[[], bool]]]
"""Consumes while the context lasts; the function that it gives tells whether all are acknowledged."""


async def _measure(url: str, messages: int) -> list[dict[str, dict[str, float]]]:
    topology = Topology("bench", table=(consumer_of("previewer"), consumer_of("gateway")))
    settings = ServiceSettings(broker_url=url, prefetch=PREFETCH, log_level="WARNING")
    set_up_logging("bench", settings)
    set_up_tracing("bench", settings)
    await declare(url, topology)
    bodies = [_event(number).to_json() for number in range(messages)]
    sides: dict[str, Side] = {
        "runtime": lambda laps: _runtime(settings, topology, laps),
        "aio-pika": lambda laps: _bare(url, topology, laps),
    }
    rounds = []
    for number in range(ROUNDS + 1):
        found = {name: await _timed(url, topology, bodies, side) for name, side in sides.items()}
        if number:  # the first one warms up
            rounds.append(found)
    return rounds


async def _timed(url: str, topology: Topology, bodies: list[bytes], side: Side) -> dict[str, float]:
    """Fill the queue, empty it by one side, and see that as many came out."""
    await _fill(url, topology, bodies)
    laps = Laps(len(bodies))
    async with side(laps) as settled:
        await laps.last_began.wait()
        while not settled():  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(0.002)
        rates = laps.rates()
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        left = await (await channel.get_queue(topology.work_queue("previewer"))).purge()
        out = await (await channel.get_queue(topology.work_queue("gateway"))).purge()
    assert (left.message_count, out.message_count) == (0, len(bodies)), (left, out)
    return rates


async def _fill(url: str, topology: Topology, bodies: list[bytes]) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        for start in range(0, len(bodies), 500):
            await asyncio.gather(*(
                channel.default_exchange.publish(_message(body), topology.work_queue("previewer"))
                for body in bodies[start : start + 500]
            ))  # fmt: skip


@asynccontextmanager
async def _runtime(settings: ServiceSettings, topology: Topology, laps: Laps) -> AsyncIterator[Callable[[], bool]]:
    labels = {"service": "previewer", "type": DocumentUploaded.type_name(), "outcome": "done"}
    before = REGISTRY.get_sample_value("quire_messages_total", labels) or 0.0

    async def handle(event: DocumentUploaded) -> PreviewReady:
        laps.begin()
        return PreviewReady.follow(event, DATA)

    def settled() -> bool:
        return REGISTRY.get_sample_value("quire_messages_total", labels) == before + laps.count

    async with (
        Publisher(settings, topology) as publisher,
        consumption(consumer_of("previewer"), {DocumentUploaded: handle}, publisher, topology, settings),
    ):
        yield settled


@asynccontextmanager
async def _bare(url: str, topology: Topology, laps: Laps) -> AsyncIterator[Callable[[], bool]]:
    body = PreviewReady.follow(_event(0), DATA).to_json()
    settled = 0
    async with await aio_pika.connect_robust(url) as consuming, await aio_pika.connect_robust(url) as publishing:
        channel = await publishing.channel(publisher_confirms=True, on_return_raises=True)
        exchange = await channel.get_exchange(topology.events)
        incoming = await consuming.channel()
        await incoming.set_qos(PREFETCH)
        queue = await incoming.get_queue(topology.work_queue("previewer"))

        async def handle(message: AbstractIncomingMessage) -> None:
            nonlocal settled
            laps.begin()
            await exchange.publish(_message(body), PreviewReady.type_name(), mandatory=True)
            await message.ack()
            settled += 1

        await queue.consume(handle)
        yield lambda: settled == laps.count


def _message(body: bytes) -> aio_pika.Message:
    return aio_pika.Message(body, content_type=CONTENT_TYPE, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)


def _event(number: int) -> DocumentUploaded:
    info: dict[str, Any] = {
        "title": "The grey harbour", "filename": f"page-{number:010}.txt", "folder": "/", "tags": [], "metadata": {},
        "media_type": "text/plain", "size": 2048, "created_at": "2026-01-01T00:00:00Z", "version": 1,
    }  # fmt: skip
    data = DocumentUploadedData(
        revision=1, document=DocumentInfo(**info), content_key=f"workspaces/w/documents/{number}/1/content",
        sha256=f"{number:064x}",
    )  # fmt: skip
    return DocumentUploaded.new(workspace="ws_bench", document=f"doc_{number:032}", data=data)
