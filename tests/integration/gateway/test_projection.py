"""What the workers' events make of a catalog row, however often and in whatever order they come."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from quire_contracts import DocumentUploaded, Event, PreviewReady, ProcessingFailed, TextExtracted
from quire_contracts.topology import consumer_of
from quire_gateway import db
from quire_gateway.handlers import APPLY, Handlers
from quire_gateway.models import document_of
from quire_runtime.errors import Refused
from tests.integration.gateway.serving import Live, Workspace, new_workspace
from tests.support import examples
from tests.support.broker import Observer, eventually, observing

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("gateway projection")]

VARYING = {"id", "title", "sha256", "content_key", "text_key", "previews", "created_at", "updated_at"}


@dataclass(frozen=True)
class Bench:
    """The handlers of a gateway, and documents for them."""

    live: Live
    handlers: Handlers
    workspace: Workspace

    async def uploaded(self, count: int = 1, revision: int = 1) -> list[DocumentUploaded]:
        """Documents of the catalog, by the events of their uploads."""
        events = [examples.uploaded(workspace=self.workspace.id, revision=revision) for _ in range(count)]
        rows = [
            {
                "id": event.subject, "workspace_id": self.workspace.id, "title": "x", "filename": "x", "folder": "/",
                "tags": [], "metadata": {}, "media_type": "text/plain", "size": 1, "sha256": event.subject,
                "content_key": event.data.content_key, "created_at": datetime.now(UTC),
            }
            for event in events
        ]  # fmt: skip
        async with self.live.pool.acquire() as connection, connection.transaction():
            assert len(await db.insert_documents(connection, rows)) == count
            await connection.execute(
                "UPDATE document SET revision = $2 WHERE id = ANY($1::text[])", [row["id"] for row in rows], revision
            )
        return events

    async def apply(self, *events: Event) -> None:
        """One after the other."""
        for event in events:
            await self.handlers.on_progress(event)

    async def row(self, event: Event) -> dict[str, Any]:
        return dict(await self.live.pool.fetchrow("SELECT * FROM document WHERE id = $1", event.subject) or {})

    async def logged(self, event: Event) -> bool:
        return bool(await self.live.pool.fetchval("SELECT count(*) FROM event WHERE id = $1", event.id))


@pytest_asyncio.fixture(loop_scope="module")
async def bench(live: Live) -> AsyncIterator[Bench]:
    handlers = Handlers(live.pool, live.gateway.store, live.gateway.feed)
    async with handlers.running():
        yield Bench(live, handlers, await new_workspace(live.pool))


def _work(cause: DocumentUploaded) -> list[Event]:
    """What the workers say of a document that goes well."""
    text = examples.extracted(cause)
    page_count = text.data.model_copy(update={"page_count": 3})
    vectors = examples.embedded(text)
    return [
        text.model_copy(update={"data": page_count}), vectors, examples.indexed(text, "keyword"),
        examples.indexed(vectors, "keyword", "vector"), examples.enriched(text), examples.previewed(cause),
    ]  # fmt: skip


def _essence(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in VARYING}


async def test_every_event_of_a_worker_shows_in_the_row(bench: Bench) -> None:
    (cause,) = await bench.uploaded()
    seen = []
    for event in _work(cause):
        await bench.apply(event)
        row = await bench.row(cause)
        seen.append([row[stage] for stage in ("ingest", "embed", "index", "preview", "enrich")] + [row["status"]])
        assert await bench.logged(event)
    assert seen == [
        ["done", "pending", "pending", "pending", "pending", "processing"],
        ["done", "done", "pending", "pending", "pending", "processing"],
        ["done", "done", "pending", "pending", "pending", "processing"],
        ["done", "done", "done", "pending", "pending", "processing"],
        ["done", "done", "done", "pending", "done", "processing"],
        ["done", "done", "done", "done", "done", "ready"],
    ]
    row = await bench.row(cause)
    assert {name: row[name] for name in ("language", "page_count", "characters", "chunks", "searchable")} == {
        "language": "en", "page_count": 3, "characters": 30, "chunks": 1, "searchable": ["keyword", "vector"],
    }  # fmt: skip
    assert (row["summary"], row["keywords"], row["suggested_tags"]) == (
        "Wind from the north.", ["north wind"], ["weather"],
    )  # fmt: skip
    assert row["text_key"].endswith("/text")
    shown = document_of(row)  # type: ignore[arg-type]
    assert shown.thumbnail_url == f"/api/v1/documents/{cause.subject}/previews/thumbnail"
    assert [(preview.page, preview.width) for preview in shown.previews] == [(1, 1200)]


async def test_all_orders_of_all_events_each_delivered_five_times_end_in_the_same_row(bench: Bench) -> None:
    orders = list(itertools.permutations(range(6)))
    causes = await bench.uploaded(len(orders))
    work = [_work(cause) for cause in causes]
    for nth in range(6):  # the first delivery of each event makes the order
        await asyncio.gather(
            *(bench.handlers.on_progress(events[order[nth]]) for events, order in zip(work, orders, strict=True))
        )
    for _ in range(4):  # then everything comes again, all at once; for every sixth document, to save time
        again = [event for events in work[::6] for event in reversed(events)]
        await asyncio.gather(*(bench.handlers.on_progress(event) for event in again))
    rows = [
        dict(row)
        for row in await bench.live.pool.fetch("SELECT * FROM document WHERE workspace_id = $1", bench.workspace.id)
    ]
    assert len(rows) == len(orders)
    assert [_essence(row) for row in rows] == [_essence(rows[0])] * len(rows)
    assert rows[0]["status"] == "ready"
    assert rows[0]["page_count"] == 3
    logged = await bench.live.pool.fetchval("SELECT count(*) FROM event WHERE workspace_id = $1", bench.workspace.id)
    assert logged == 6 * len(orders)


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ({}, "processing"),
        ({"ingest": "failed"}, "failed"),
        ({"embed": "failed"}, "failed"),
        ({"index": "failed"}, "failed"),
        ({"preview": "failed"}, "processing"),
        ({"ingest": "done", "embed": "done", "index": "done"}, "processing"),
        ({"ingest": "done", "embed": "done", "index": "done", "preview": "done"}, "processing"),
        ({"ingest": "done", "embed": "done", "index": "done", "preview": "failed", "enrich": "done"}, "ready"),
        ({"ingest": "done", "embed": "done", "index": "done", "preview": "skipped", "enrich": "failed"}, "ready"),
        ({"ingest": "done", "embed": "done", "index": "failed", "preview": "done", "enrich": "done"}, "failed"),
        ({"ingest": "failed", "preview": "done"}, "failed"),
    ],
    ids=str,
)
async def test_status(bench: Bench, states: dict[str, str], status: str) -> None:
    (cause,) = await bench.uploaded()
    made = dict(zip(("ingest", "embed", "first leg", "index", "enrich", "preview"), _work(cause), strict=True))
    for stage, state in states.items():
        if state == "failed":
            await bench.apply(examples.failed(cause, stage))
        elif state == "skipped":
            await bench.apply(examples.previewed(cause, skipped="nothing to see"))
        else:
            await bench.apply(made[stage])
    row = await bench.row(cause)
    assert row["status"] == status
    assert {stage: row[stage] for stage in states} == states


@pytest.mark.parametrize("stage", ["ingest", "embed", "index", "preview", "enrich"])
async def test_a_failure_and_a_success_of_a_stage_end_as_success_in_either_order(bench: Bench, stage: str) -> None:
    causes = await bench.uploaded(2)
    for cause, failure_first in zip(causes, (True, False), strict=True):
        success = dict(zip(("ingest", "embed", "", "index", "enrich", "preview"), _work(cause), strict=True))[stage]
        failure = examples.failed(cause, stage)
        await bench.apply(*([failure, success] if failure_first else [success, failure]))
    rows = [await bench.row(cause) for cause in causes]
    assert [(row[stage], row["reasons"]) for row in rows] == [("done", {})] * 2
    assert _essence(rows[0]) == _essence(rows[1])


async def test_a_failure_and_a_skipped_preview_end_the_same_in_either_order(bench: Bench) -> None:
    causes = await bench.uploaded(2)
    first, second = ([examples.failed(cause, "preview"), examples.previewed(cause, "no pages")] for cause in causes)
    await bench.apply(*first)
    await bench.apply(*reversed(second))
    rows = [await bench.row(cause) for cause in causes]
    assert [row["preview"] for row in rows] == ["skipped", "skipped"]
    assert [row["reasons"] for row in rows] == [{"preview": {"reason": "no_preview", "detail": "no pages"}}] * 2


async def test_the_pages_that_the_text_has_count_whichever_comes_first(bench: Bench) -> None:
    causes = await bench.uploaded(2)
    for cause, text_first in zip(causes, (True, False), strict=True):
        events = [_work(cause)[0], examples.previewed(cause)]
        await bench.apply(*(events if text_first else events[::-1]))
    assert [(await bench.row(cause))["page_count"] for cause in causes] == [3, 3]


async def test_a_failure_names_its_reason_and_success_forgets_it(bench: Bench) -> None:
    (cause,) = await bench.uploaded()
    await bench.apply(examples.failed(cause, "ingest", "encrypted"))
    row = await bench.row(cause)
    assert row["reasons"]["ingest"] == {"reason": "encrypted", "detail": "The file ends in the middle."}
    await bench.apply(examples.extracted(cause))
    row = await bench.row(cause)
    assert (row["status"], row["reasons"]) == ("processing", {})


async def test_an_event_of_an_older_or_a_coming_revision_is_logged_and_changes_nothing(bench: Bench) -> None:
    (cause,) = await bench.uploaded(revision=2)
    before = await bench.row(cause)
    for revision in (1, 3):
        data = cause.data.model_copy(update={"revision": revision})
        other = cause.model_copy(update={"data": data, "id": f"{revision}-{cause.id}"})
        await bench.apply(*_work(other), examples.failed(other))
        assert await bench.row(cause) == before
        assert await bench.logged(examples.failed(other))
    await bench.apply(*_work(cause))
    assert (await bench.row(cause))["status"] == "ready"


async def test_an_event_of_an_unknown_document_is_refused_and_leaves_no_trace(bench: Bench) -> None:
    stranger = examples.uploaded(workspace=bench.workspace.id)
    for event in [*_work(stranger), examples.failed(stranger)]:
        with pytest.raises(Refused):
            await bench.apply(event)
        assert not await bench.logged(event)


async def test_an_event_of_another_workspace_is_refused_and_changes_nothing(bench: Bench) -> None:
    (cause,) = await bench.uploaded()
    other = await new_workspace(bench.live.pool)
    before = await bench.row(cause)
    forged = cause.model_copy(update={"workspaceid": other.id})
    for event in [*_work(forged), examples.failed(forged)]:
        with pytest.raises(Refused):
            await bench.apply(event)
        assert not await bench.logged(event)
    assert await bench.row(cause) == before


async def test_an_event_of_a_deleted_document_changes_nothing_and_its_objects_go(bench: Bench) -> None:
    (cause,) = await bench.uploaded()
    store = bench.live.gateway.store
    async with bench.live.pool.acquire() as connection:
        await db.delete_document(connection, bench.workspace.id, cause.subject)
    before = await bench.row(cause)
    neighbour = f"{bench.workspace.id}/{cause.subject}0/1/content"
    await store.put(neighbour, b"of another document")
    for event in [*_work(cause), examples.failed(cause)]:
        late = f"{bench.workspace.id}/{cause.subject}/1/previews/late.webp"
        await store.put(late, b"written by a busy worker")
        await bench.apply(event)
        assert not await store.exists(late)
    assert await bench.row(cause) == before
    assert await store.exists(neighbour)


async def test_a_delete_removes_the_objects_of_a_document_that_is_deleted_and_of_no_other(bench: Bench) -> None:
    gone, living = await bench.uploaded(2)
    store = bench.live.gateway.store
    for cause in (gone, living):
        await store.put(cause.data.content_key, b"x")
    async with bench.live.pool.acquire() as connection:
        await db.delete_document(connection, bench.workspace.id, gone.subject)
    await bench.handlers.on_document_deleted(examples.deleted(gone))
    await bench.handlers.on_document_deleted(examples.deleted(gone))
    assert not await store.exists(gone.data.content_key)
    other = await new_workspace(bench.live.pool)
    stranger = examples.uploaded(workspace=bench.workspace.id)
    for forged in (living, gone.model_copy(update={"workspaceid": other.id}), stranger):
        with pytest.raises(Refused):
            await bench.handlers.on_document_deleted(examples.deleted(forged))
    assert await store.exists(living.data.content_key)


async def test_a_poisoned_event_fails_alone(bench: Bench) -> None:
    causes = await bench.uploaded(8)
    poison = _work(causes[7])[4]
    poison = poison.model_copy(update={"data": poison.data.model_copy(update={"summary": "before\0after"})})
    good = [event for cause in causes for event in _work(cause) if event.id != poison.id]
    results = await asyncio.gather(
        *(bench.handlers.on_progress(event) for event in [*good[:20], poison, *good[20:]]), return_exceptions=True
    )
    assert [number for number, result in enumerate(results) if result is not None] == [20]
    assert [(await bench.row(cause))["status"] for cause in causes] == ["ready"] * 7 + ["processing"]
    assert not await bench.logged(poison)


async def test_events_of_one_document_that_two_gateways_take_at_once_do_not_wait_for_each_other(bench: Bench) -> None:
    causes = await bench.uploaded(20)
    second = Handlers(bench.live.pool, bench.live.gateway.store, bench.live.gateway.feed)
    forth = [event for cause in causes for event in _work(cause)]
    async with second.running(), asyncio.timeout(30):
        await asyncio.gather(
            *(bench.handlers.on_progress(event) for event in forth),
            *(second.on_progress(event) for event in forth[::-1]),
        )
    assert {(await bench.row(cause))["status"] for cause in causes} == {"ready"}


async def _publish(live: Live, *events: Event) -> None:
    for event in events:
        await live.service.publisher.publish(event)


async def test_events_come_from_the_queue_and_what_is_refused_is_parked(live: Live, bench: Bench) -> None:
    topology = live.service.topology
    work = topology.work_queue("gateway")
    (cause,) = await bench.uploaded()
    stranger = examples.extracted(examples.uploaded(workspace=bench.workspace.id))
    async with observing(live.service.settings) as observer:
        await _publish(live, stranger, *_work(cause), *_work(cause))

        async def ready() -> bool:
            return bool((await bench.row(cause))["status"] == "ready")

        await eventually(ready, "the document is ready")
        await observer.empty(work, topology.parked_queue("gateway"))
        assert "has no document" in await _reason_of_parked(live, stranger)
        assert await _failures_of(observer, cause, stranger) == []


async def test_a_poisoned_event_is_parked_after_its_retries_and_its_neighbour_is_ready(
    live: Live, bench: Bench
) -> None:
    cause, neighbour = await bench.uploaded(2)
    text = examples.extracted(cause)
    poison: TextExtracted = text.model_copy(update={"data": text.data.model_copy(update={"language": "e\0n"})})
    await _publish(live, poison, *_work(neighbour))
    assert await _reason_of_parked(live, poison) != ""

    async def ready() -> bool:
        return bool((await bench.row(neighbour))["status"] == "ready")

    await eventually(ready, "the neighbour is ready")
    assert (await bench.row(cause))["ingest"] == "pending"


async def _reason_of_parked(live: Live, event: Event) -> str:
    """Wait until an event is among the dead letters; why."""

    async def parked() -> bool:
        return bool(await live.pool.fetchval("SELECT count(*) FROM dead_letter WHERE event_id = $1", event.id))

    await eventually(parked, "the event is a dead letter")
    return str(await live.pool.fetchval("SELECT reason FROM dead_letter WHERE event_id = $1", event.id))


async def _failures_of(observer: Observer, *causes: Event) -> Sequence[Event]:
    subjects = {cause.subject for cause in causes}
    return [event for event in observer.events if isinstance(event, ProcessingFailed) and event.subject in subjects]


async def test_the_gateway_takes_every_event_that_says_something_of_a_stage() -> None:
    assert set(APPLY) < set(consumer_of("gateway").takes)
    assert PreviewReady in APPLY
