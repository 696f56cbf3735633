"""The sweeper: what it takes for stuck, what it gives out once more, when it gives up, and what it clears away."""

import os
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from quire_contracts import (
    DocumentUploaded,
    Embedded,
    Event,
    ProcessingFailed,
    StageRetried,
    TextExtracted,
    parse_event,
)
from quire_gateway.recovery import locks
from quire_gateway.settings import GatewaySettings
from tests.conftest import remove_topology
from tests.integration.gateway.serving import Client, Live, new_operator, new_workspace, problem, serving
from tests.support import examples
from tests.support.broker import Observer, eventually, observing
from tests.support.proxy import Proxy

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("gateway sweep")]

STUCK_S = 1200
WORKERS = ("ingest", "embedder", "enricher", "search", "previewer")


@pytest_asyncio.fixture(loop_scope="module")
async def operator(live: Live) -> AsyncIterator[Client]:
    """A client with an operator's key."""
    async with live.client(await new_operator(live.pool)) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def broker(live: Live) -> AsyncIterator[Observer]:
    """A look at the broker, whose queues are empty at first."""
    async with observing(live.service.settings) as observer:
        await eventually(lambda: _relayed(live), "the outbox is empty")
        for service in WORKERS:
            await _purge(observer, observer.topology.work_queue(service))
        yield observer


async def _relayed(live: Live) -> bool:
    return bool(await live.pool.fetchval("SELECT NOT EXISTS (SELECT FROM outbox)"))


async def _purge(broker: Observer, queue: str) -> list[Event]:
    """Take everything that waits in a queue, as a worker would that loses it."""
    taken = []
    while await broker.depth(queue):
        taken.append(parse_event((await broker.take(queue)).body))
    return taken


async def given(live: Live, broker: Observer) -> dict[str, list[Event]]:
    """What was given to each worker and waits; taken away."""
    await eventually(lambda: _relayed(live), "the outbox is empty")
    found = {service: await _purge(broker, broker.topology.work_queue(service)) for service in WORKERS}
    return {service: events for service, events in found.items() if events}


async def stand_still(live: Live, document: str, seconds: float = STUCK_S + 1) -> None:
    """Nothing has changed in the document for so long."""
    await live.pool.execute(
        "UPDATE document SET updated_at = now() - make_interval(secs => $2) WHERE id = $1", document, seconds
    )


async def sweep(operator: Client) -> dict[str, Any]:
    answer = await operator.http.post("/admin/sweep")
    assert answer.status_code == 200, answer.text
    return {name: count for name, count in answer.json().items() if count and name not in ("objects", "uploads")}


async def replays(live: Live, document: str) -> int:
    return int(await live.pool.fetchval("SELECT replays FROM document WHERE id = $1", document))


async def lost(live: Live, client: Client, broker: Observer, *events: str) -> DocumentUploaded:
    """A document whose every message is lost, after the events that are named were applied."""
    document = await client.uploaded()
    cause = await client.cause(document)
    text = examples.extracted(cause)
    vectors = examples.embedded(text)
    made = {
        "text": text, "vectors": vectors, "keyword": examples.indexed(text, "keyword"),
        "enriched": examples.enriched(text), "previewed": examples.previewed(cause),
    }  # fmt: skip
    for name in events:
        await live.service.publisher.publish(made[name])

    async def logged() -> bool:
        return len(await client.events()) == 1 + len(events)

    await eventually(logged, "the events are logged")
    await given(live, broker)
    await broker.empty(broker.topology.work_queue("gateway"))
    await stand_still(live, cause.subject)
    return cause


async def test_a_document_that_gets_on_is_left_alone(
    live: Live, client: Client, operator: Client, broker: Observer
) -> None:
    cause = await lost(live, client, broker)
    await stand_still(live, cause.subject, STUCK_S - 60)
    assert await sweep(operator) == {}
    assert await given(live, broker) == {}


async def test_a_lost_upload_is_given_to_ingest_and_previewer_once_more(
    live: Live, client: Client, operator: Client, broker: Observer
) -> None:
    cause = await lost(live, client, broker)
    assert await sweep(operator) == {"replayed": 1}
    again = await given(live, broker)
    assert {service: [type(event) for event in events] for service, events in again.items()} == {
        "ingest": [DocumentUploaded], "previewer": [DocumentUploaded],
    }  # fmt: skip
    asked = [event for event in await client.events() if isinstance(event, StageRetried)]
    assert {(event.data.stage, event.data.by) for event in asked} == {("ingest", "sweeper"), ("preview", "sweeper")}
    assert {events[0].causationid for events in again.values()} == {event.id for event in asked}
    assert cause.id not in {events[0].id for events in again.values()}
    assert await replays(live, cause.subject) == 1
    assert await sweep(operator) == {}, "it has begun anew, and is not stuck"
    (entry,) = (await operator.http.get("/admin/audit", params={"subject": cause.subject})).json()["data"]
    assert (entry["actor"], entry["action"]) == ("sweeper", "sweeper.replay")


@pytest.mark.parametrize(
    ("applied", "services"),
    [
        (("text",), {"embedder", "enricher", "search", "previewer"}),
        (("text", "keyword"), {"embedder", "enricher", "previewer"}),
        (("text", "keyword", "vectors", "previewed"), {"enricher", "search"}),
        (("text", "keyword", "vectors", "previewed", "enriched"), {"search"}),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, tuple) else "",
)
async def test_only_the_first_stages_that_are_missing_are_done_again(
    live: Live, client: Client, operator: Client, broker: Observer, applied: tuple[str, ...], services: set[str]
) -> None:
    await lost(live, client, broker, *applied)
    assert await sweep(operator) == {"replayed": 1}
    again = await given(live, broker)
    assert set(again) == services
    if "search" in services:
        leg = Embedded if "vectors" in applied else TextExtracted
        assert [type(event) for event in again["search"]] == [leg]


async def test_a_document_whose_message_may_be_waiting_is_not_stuck_unless_it_waits_very_long(
    live: Live, client: Client, operator: Client, broker: Observer
) -> None:
    cause = await lost(live, client, broker)
    waiting = [broker.topology.work_queue(service) for service in ("ingest", "previewer")]
    for name in waiting:
        await broker.send(broker.topology.returned, name, examples.uploaded().to_json())

    async def there() -> bool:
        return all([await broker.depth(name) for name in waiting])

    await eventually(there, "the messages wait")
    assert await sweep(operator) == {"waiting": 1}
    await stand_still(live, cause.subject, 6 * STUCK_S + 1)
    assert await sweep(operator) == {"replayed": 1}
    for name in waiting:
        await _purge(broker, name)


async def test_a_document_is_not_stuck_while_old_events_wait_in_the_outbox(
    live: Live, client: Client, operator: Client, broker: Observer
) -> None:
    await lost(live, client, broker)
    await live.pool.execute(
        "INSERT INTO outbox (event_id, type, body, target, created_at)"
        " VALUES ('old', 'quire.text.extracted.v1', '{}', 'nowhere', now() - interval '1 hour')"
    )
    assert await sweep(operator) == {"waiting": 1}
    await live.pool.execute("DELETE FROM outbox WHERE event_id = 'old'")
    assert await sweep(operator) == {"replayed": 1}


async def test_what_does_not_help_three_times_ends_as_failed_and_stuck(
    live: Live, client: Client, operator: Client, broker: Observer
) -> None:
    cause = await lost(live, client, broker, "text", "keyword", "previewed", "enriched")
    for count in (1, 2, 3):
        assert await sweep(operator) == {"replayed": 1}
        assert await replays(live, cause.subject) == count
        assert set(await given(live, broker)) == {"embedder"}
        await stand_still(live, cause.subject)
    assert await sweep(operator) == {"failed": 1}
    document = await client.document(cause.subject)
    assert document["status"] == "failed"
    assert (document["stages"]["embed"]["status"], document["stages"]["embed"]["reason"]) == ("failed", "stuck")
    (failure,) = [event for event in await client.events() if isinstance(event, ProcessingFailed)]
    assert (failure.source, failure.data.stage, failure.data.attempts) == ("/quire/gateway", "embed", 4)
    assert failure.causationid in {event.id for event in await client.events() if isinstance(event, StageRetried)}
    assert await sweep(operator) == {}
    assert await replays(live, cause.subject) == 0

    text = next(event for event in await client.events() if isinstance(event, TextExtracted))
    vectors = examples.embedded(text)
    for event in (vectors, examples.indexed(vectors, "keyword", "vector")):
        await live.service.publisher.publish(event)
    await client.reaches({"id": cause.subject}, "ready")


async def test_a_document_that_gets_done_has_nothing_counted_against_it(
    live: Live, client: Client, operator: Client, broker: Observer
) -> None:
    cause = await lost(live, client, broker, "text", "previewed", "enriched", "vectors", "keyword")
    assert await sweep(operator) == {"replayed": 1}
    (again,) = (await given(live, broker))["search"]
    assert await replays(live, cause.subject) == 1
    await live.service.publisher.publish(examples.indexed(again, "keyword", "vector"))
    await client.reaches({"id": cause.subject}, "ready")
    assert await replays(live, cause.subject) == 0


async def test_a_deleted_document_is_not_swept(live: Live, client: Client, operator: Client, broker: Observer) -> None:
    cause = await lost(live, client, broker)
    assert (await client.http.delete(f"/documents/{cause.subject}")).status_code == 204
    await given(live, broker)
    await stand_still(live, cause.subject)
    assert await sweep(operator) == {}


async def test_one_gateway_sweeps_at_a_time(live: Live, operator: Client) -> None:
    async with locks.held(live.pool, "quire sweeper") as ours:
        assert ours
        problem(await operator.http.post("/admin/sweep"), 409, "busy")


async def test_only_an_operator_may_sweep(client: Client) -> None:
    problem(await client.http.post("/admin/sweep"), 403, "forbidden")


async def test_nothing_is_stuck_for_a_sweeper_that_cannot_see_the_broker(
    live: Live, client: Client, broker: Observer
) -> None:
    cause = await lost(live, client, broker)
    with Proxy(live.service.settings.broker_url) as proxy:
        proxy.refuse()
        settings = live.service.settings.model_copy(update={"broker_url": proxy.url})
        async with serving(settings) as blind, blind.client(await new_operator(live.pool)) as asking:
            problem(await asking.http.post("/admin/sweep"), 503, "broker_unavailable")
    assert await replays(live, cause.subject) == 0


async def test_the_sweeper_works_by_itself(gateway_settings: GatewaySettings) -> None:
    quick = {"sweep_every_s": 0.05, "stuck_after_s": 0.3, "sweep_replays": 2, "broker_namespace": "quick-sweeper"}
    settings = gateway_settings.model_copy(update=quick)
    async with serving(settings) as live, live.client(await new_workspace(live.pool)) as client:
        await live.service.publisher.ready()
        async with observing(settings) as broker:
            document = await client.uploaded()

            async def failed() -> bool:
                await given(live, broker)
                return bool((await client.document(document["id"]))["status"] == "failed")

            await eventually(failed, "the document whose messages are lost has failed", within_s=60)
        stages = (await client.document(document["id"]))["stages"]
        assert {stages[name]["reason"] for name in ("ingest", "preview")} == {"stuck"}
    await remove_topology(settings)


def _age(path: Path, days: float) -> None:
    then = time.time() - days * 86400
    os.utime(path, (then, then))


async def test_what_nothing_stands_for_is_deleted_after_its_grace_and_once_a_day(
    live: Live, client: Client, operator: Client
) -> None:
    store, folder = live.gateway.store, Path(live.service.settings.store_url.removeprefix("file://"))
    document = await client.uploaded()
    (living,) = await client.objects()
    gone = await client.uploaded()
    await live.pool.execute("UPDATE document SET deleted_at = now() WHERE id = $1", gone["id"])
    home = f"{client.workspace.id}"
    old = [f"{home}/doc_unknown/1/content", f"{home}/{gone['id']}/1/text", f"ws_other/{document['id']}/1/text"]
    kept = [f"{home}/doc_young/1/content", "README.txt", "notes/mine"]
    for key in (*old, *kept):
        await store.put(key, b"x")
    staged = folder / home / "doc_unknown" / "1" / "content#3"
    fresh = folder / home / "doc_young" / "1" / "content#1"
    for path in (staged, fresh):
        path.write_bytes(b"half an upload")
    for path in (folder / living, staged, *(folder / key for key in (*old, "README.txt", "notes/mine"))):
        _age(path, 1.1)
    await live.pool.execute("DELETE FROM chore")
    done = (await operator.http.post("/admin/sweep")).json()
    assert (done["objects"], done["uploads"]) == (len(old), 1)
    assert [key for key in old if await store.exists(key)] == []
    assert [key for key in (living, *kept) if not await store.exists(key)] == []
    assert (staged.exists(), fresh.exists()) == (False, True)

    again = (await operator.http.post("/admin/sweep")).json()
    assert (again["objects"], again["uploads"]) == (None, None)
    assert isinstance(await live.pool.fetchval("SELECT ran_at FROM chore WHERE name = 'orphans'"), datetime)
