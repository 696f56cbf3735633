"""Events that come five times, in any order, and a consumer that acts after another one has taken its place."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence

import aio_pika
import asyncpg
import psutil

from .field import Field, until
from .row import Outcome, Row
from .state import differences, index_of, state_of

TIMES = 5
FROZEN_S = 60.0
INDEXED = (
    "quire.text.extracted.v1", "quire.document.embedded.v1", "quire.document.enriched.v1", "quire.document.updated.v1",
    "quire.document.deleted.v1",
)  # fmt: skip


def repeated(field: Field, documents: int, _patient: bool) -> Outcome:
    """Every event of the log comes five times more, shuffled and at once: everything is the same, byte for byte."""
    mine = _lives(field, documents)
    before = state_of(field)
    events = field.sql(
        "SELECT id, type, body FROM catalog.event"
        " WHERE document_id = ANY($1::text[]) AND type <> 'quire.stage.retried.v1'",
        mine,
    )
    asyncio.run(_send(field, field.topology.events, events))
    ended = time.time()
    field.drain(300)
    changed = differences(before, state_of(field))
    assert not changed, f"{len(changed)} differences: {changed[:5]}"
    return Outcome(ended, note=f"{TIMES * len(events)} events")


def reordered(field: Field, documents: int, _patient: bool) -> Outcome:
    """The index forgets all documents and is told all events five times, shuffled: it knows what it knew."""
    _lives(field, documents)
    before = index_of(field)
    field.sql("TRUNCATE search.document, search.chunk, search.embedding, search.term, search.inbox")
    field.sql("UPDATE search.workspace SET chunks = 0")
    events = field.sql("SELECT id, type, body FROM catalog.event WHERE type = ANY($1::text[])", list(INDEXED))
    asyncio.run(_send(field, "", events, field.topology.work_queue("search")))
    ended = time.time()
    field.drain(300)
    changed = differences(before, index_of(field))
    assert not changed, f"{len(changed)} differences: {changed[:5]}"
    return Outcome(ended, note=f"{TIMES * len(events)} events")


def frozen(field: Field, documents: int, patient: bool) -> Outcome:
    """A search service freezes in a transaction; another one is given its messages; then the first one commits."""
    with field.client() as client, _second(field, "search"):
        field.failpoints.arm("search", "before-commit", "stop@2")
        client.all(field.documents(documents))
        sleeper = until(lambda: _asleep(field), "one froze", 30)
        try:
            began = time.monotonic()
            field.rabbit.ctl("close_all_connections", "chaos")  # as the broker does when heartbeats stop
            if patient:
                until(lambda: time.monotonic() - began > FROZEN_S, "the freeze", FROZEN_S + 1)
        finally:
            for process in sleeper:
                process.resume()
        ended, lasted = time.time(), time.monotonic() - began
        field.drain(120)
    return Outcome(ended, note=f"frozen for {lasted:.0f} s")


def _lives(field: Field, documents: int) -> list[str]:
    """Documents that are finished; of each ten one was changed and one deleted."""
    with field.client() as client:
        mine = list(client.all(field.documents(documents)))
        field.drain(300)
        for document in mine[::10]:
            client.http.patch(f"/api/v1/documents/{document}", json={"title": f"Changed {document}"}).raise_for_status()
        for document in mine[1::10]:
            field.ledger.deleted.add(document)
            client.http.delete(f"/api/v1/documents/{document}").raise_for_status()
    field.drain(60)
    return mine


async def _send(field: Field, exchange: str, events: Sequence[asyncpg.Record], key: str | None = None) -> None:
    copies = [event for event in events for _ in range(TIMES)]
    random.Random(len(copies)).shuffle(copies)
    async with await aio_pika.connect(field.rabbit.url) as connection:
        channel = await connection.channel()
        target = await channel.get_exchange(exchange, ensure=False) if exchange else channel.default_exchange
        for start in range(0, len(copies), 200):
            messages = [
                target.publish(
                    aio_pika.Message(event["body"].encode(), message_id=event["id"], delivery_mode=2),
                    key or event["type"],
                )
                for event in copies[start : start + 200]
            ]
            await asyncio.gather(*messages)


@contextlib.contextmanager
def _second(field: Field, service: str) -> Iterator[None]:
    """Another process of a service of which the native stack runs one."""
    first = psutil.Process(field.pid(service))
    environment = {**first.environ(), "QUIRE_HTTP_PORT": "0", "QUIRE_INSTANCE": f"{service}-2"}
    log = field.stack.home / "logs" / f"{service}-2.log"
    queue = field.topology.work_queue(service)
    alone = field.consumers()[queue]
    assert alone == 1, f"{alone} consume {queue} where one process runs"
    with log.open("wb") as output:
        second = subprocess.Popen(first.cmdline(), env=environment, cwd=first.cwd(), stdout=output, stderr=output)
    try:
        try:
            until(lambda: field.consumers()[queue] == 2, f"two of {service} consume", 60)
        except AssertionError as error:
            said = log.read_text(errors="replace").splitlines()[-3:]
            raise AssertionError(
                f"{error}, but {field.consumers()[queue]}; {second.poll()=}; it said {said}"
            ) from error
        yield
    finally:
        second.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            second.wait(60)
        second.kill()


def _asleep(field: Field) -> list[psutil.Process]:
    me = os.getpid()
    found = []
    for process in psutil.process_iter(["status", "cmdline"]):
        with contextlib.suppress(psutil.Error):
            ours = process.pid != me and (process.info["cmdline"] or [])[-2:] == ["-m", "quire_search"]
            if ours and process.info["status"] == psutil.STATUS_STOPPED:
                home = process.environ().get("QUIRE_LOCAL_STACK")
                if home == str(field.stack.home):
                    found.append(process)
    return found


ROWS = [
    Row("repeated", "every event five times, shuffled, at once", repeated, documents=100, few=5),
    Row("reordered", "the index from the shuffled log", reordered, documents=100, few=5),
    Row("frozen", "a frozen consumer comes back", frozen, documents=40, few=4),
]
