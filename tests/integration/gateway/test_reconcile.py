"""Reconciling: every way in which index and store may differ from the catalog is told, and mended."""

import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from quire_contracts import DocumentUploaded
from quire_gateway.recovery import locks, reconcile
from quire_gateway.settings import GatewaySettings
from tests.conftest import remove_topology
from tests.integration.gateway.indexed import Installation, Line, installed
from tests.integration.gateway.serving import Client, new_workspace, problem
from tests.support import examples
from tests.support.broker import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("gateway reconcile")]

NUMBER = "(SELECT no FROM search.document WHERE id = $1)"
CONTENT = b"A keeper writes at noon that the wind has turned north."
OLD_S = 2 * 86400
WORKERS = ("ingest", "embedder", "enricher", "previewer")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(indexed_settings: GatewaySettings) -> AsyncIterator[Installation]:
    async with installed(indexed_settings) as running:
        yield running
    await remove_topology(indexed_settings)


@pytest_asyncio.fixture(loop_scope="module")
async def quire(started: Installation) -> AsyncIterator[Installation]:
    """Both services, with nothing in them."""
    await started.settle()
    yield started
    await started.settle()
    for worker in WORKERS:
        await started.given(worker)
    await started.sql("TRUNCATE document, event, search.document, search.chunk, search.embedding, search.term")
    await started.sql("UPDATE search.workspace SET version = version + 1, chunks = 0")
    async for key in started.live.gateway.store.list(""):
        await started.live.gateway.store.delete(key)


def told(found: list[Line]) -> list[tuple[str, str]]:
    return [(line["kind"], line["document"]) for line in found]


async def remove_from_index(quire: Installation, document: str) -> None:
    for table in ("chunk", "embedding"):
        await quire.sql(f"DELETE FROM search.{table} WHERE document = {NUMBER}", document)
    await quire.sql("DELETE FROM search.document WHERE id = $1", document)


async def remove_passages(quire: Installation, document: str) -> None:
    await quire.sql(f"DELETE FROM search.chunk WHERE index >= 0 AND document = {NUMBER}", document)


async def remove_title(quire: Installation, document: str) -> None:
    await quire.sql(f"DELETE FROM search.chunk WHERE index < 0 AND document = {NUMBER}", document)


async def remove_vectors(quire: Installation, document: str) -> None:
    await quire.sql(f"DELETE FROM search.embedding WHERE document = {NUMBER}", document)


async def go_back_a_revision(quire: Installation, document: str) -> None:
    await quire.sql("UPDATE search.document SET revision = 0 WHERE id = $1", document)


async def rename_unheard(quire: Installation, document: str) -> None:
    await quire.sql("UPDATE document SET title = 'Sunrise', version = 2 WHERE id = $1", document)


async def tell_the_index_alone_that_it_is_deleted(quire: Installation, document: str) -> None:
    cause = next(event for event in await quire.operator.events() if event.subject == document)
    await quire.give("search", examples.deleted(cause))

    async def gone() -> bool:
        return document not in await quire.found("lamp")

    await eventually(gone, "the index has it as deleted")


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (tell_the_index_alone_that_it_is_deleted, "missing_in_index"),
        (remove_from_index, "missing_in_index"),
        (remove_passages, "incomplete_index"),
        (remove_title, "incomplete_index"),
        (remove_vectors, "incomplete_index"),
        (go_back_a_revision, "stale_revision"),
        (rename_unheard, "stale_entry"),
    ],
)
async def test_what_the_index_lacks_is_told_and_given_to_it_once_more(
    quire: Installation, damage: Callable[[Installation, str], Awaitable[None]], kind: str
) -> None:
    whole, torn = await quire.document("the lamp burns"), await quire.document("the lamp smokes", "and goes out")
    assert (await quire.reconcile())[0] == []
    await damage(quire, torn.subject)
    found, summary = await quire.reconcile()
    assert told(found) == [(kind, torn.subject)]
    assert (found[0]["workspace"], found[0]["repaired"]) == (quire.operator.workspace.id, False)
    assert (summary["documents"], summary["differences"], summary["unrepaired"]) == (2, {kind: 1}, 1)

    for worker in WORKERS:
        await quire.given(worker)
    found, summary = await quire.reconcile(repair=True)
    assert [line["repaired"] for line in found] == [True]
    assert (summary["repaired"], summary["unrepaired"]) == (1, 0)
    await quire.settle()
    await eventually(lambda: _nothing_differs(quire), "nothing differs any more")
    await quire.until_found("lamp", whole, torn)
    assert [await quire.given(worker) for worker in WORKERS] == [[]] * len(WORKERS), "only search was asked"
    if damage is rename_unheard:
        await quire.until_found("sunrise", torn)


async def _nothing_differs(quire: Installation) -> bool:
    await quire.settle()
    found, summary = await quire.reconcile()
    return not found and summary["moving"] == 0


async def test_what_the_catalog_has_not_is_removed_from_the_index(quire: Installation) -> None:
    living, gone = await quire.document("the lamp burns"), await quire.document("the lamp is sold")
    stranger = examples.uploaded(workspace=quire.operator.workspace.id)
    await quire.give("search", *(await quire.work(stranger, "the lamp of a stranger"))[:2])
    await quire.until_found("lamp", living, gone, stranger)
    await quire.settle()
    await quire.sql("UPDATE document SET deleted_at = now() WHERE id = $1", gone.subject)
    await quire.live.gateway.store.delete_prefix(f"{quire.operator.workspace.id}/{gone.subject}/")
    found, _ = await quire.reconcile()
    assert sorted(told(found)) == sorted([("extra_in_index", gone.subject), ("extra_in_index", stranger.subject)])
    assert {line["document"]: line["detail"] for line in found} == {
        gone.subject: "the catalog has deleted it", stranger.subject: "the catalog does not know it",
    }  # fmt: skip
    found, summary = await quire.reconcile(repair=True)
    assert (summary["repaired"], summary["unrepaired"]) == (2, 0)
    await quire.until_found("lamp", living)
    assert await _nothing_differs(quire)


@pytest.mark.parametrize(
    ("name", "worker"), [("text", "ingest"), ("previews/1-1200.webp", "previewer"), ("content", None)]
)
async def test_an_object_that_is_missing_is_made_again_by_whom_it_was_made(
    quire: Installation, name: str, worker: str | None
) -> None:
    cause = await quire.document("the lamp burns")
    for service in ("ingest", "previewer"):
        await quire.given(service)
    await quire.live.gateway.store.delete(f"{quire.operator.workspace.id}/{cause.subject}/1/{name}")
    found, _ = await quire.reconcile(repair=True)
    assert told(found) == [("missing_object", cause.subject)]
    assert name in found[0]["detail"]
    assert found[0]["repaired"] == (worker is not None)
    asked = {service: await quire.given(service) for service in ("ingest", "previewer", "search")}
    assert {service for service, events in asked.items() if events} == ({worker} - {None})
    if worker is None:
        assert "backup" in found[0]["detail"]
    else:
        (event,) = asked[worker]
        assert isinstance(event, DocumentUploaded)
        assert (event.subject, event.causationid) == (cause.subject, cause.id)


async def test_a_content_that_was_changed_shows_by_its_length_or_by_its_checksum(quire: Installation) -> None:
    cause = await quire.document("the lamp burns", content=CONTENT)
    store = quire.live.gateway.store
    await store.put(cause.data.content_key, CONTENT.upper())
    assert told((await quire.reconcile())[0]) == []
    found, _ = await quire.reconcile(checksums=True, repair=True)
    assert told(found) == [("checksum", cause.subject)]
    assert found[0]["repaired"] is False
    await store.put(cause.data.content_key, CONTENT + b"!")
    found, _ = await quire.reconcile(checksums=True)
    assert told(found) == [("missing_object", cause.subject)]
    assert f"has {len(CONTENT) + 1} bytes instead of {len(CONTENT)}" in found[0]["detail"]
    await store.put(cause.data.content_key, CONTENT)
    assert (await quire.reconcile(checksums=True))[0] == []


async def test_orphans_are_told_and_deleted_when_they_are_old_enough(quire: Installation) -> None:
    await quire.document("the lamp burns")
    store, folder = quire.live.gateway.store, Path(quire.live.service.settings.store_url.removeprefix("file://"))
    ages = {"doc_old": OLD_S, "doc_young": 600, "doc_new": 0}
    for document, age in ages.items():
        await store.put(f"ws_gone/{document}/1/content", b"x")
        then = time.time() - age
        os.utime(folder / f"ws_gone/{document}/1/content", (then, then))
    found, _ = await quire.reconcile(repair=True)
    assert [(line["kind"], line["document"], line["repaired"]) for line in found] == [
        ("orphan_object", "doc_old", True), ("orphan_object", "doc_young", False),
    ]  # fmt: skip
    assert "deleted when it is 24 h old" in found[1]["detail"]
    left = sorted([key async for key in store.list("ws_gone/")])
    assert left == ["ws_gone/doc_new/1/content", "ws_gone/doc_young/1/content"]


async def test_documents_under_way_or_changed_just_now_are_left_out_and_counted(quire: Installation) -> None:
    await quire.document("the lamp burns")
    moving = await quire.document("the lamp smokes")
    await quire.operator.uploaded()
    await remove_from_index(quire, moving.subject)
    await quire.sql("UPDATE document SET updated_at = now() WHERE id = $1", moving.subject)
    found, summary = await quire.reconcile(repair=True)
    assert found == []
    assert (summary["documents"], summary["processing"], summary["moving"]) == (1, 1, 1)


async def test_any_number_of_documents_is_compared_window_by_window(
    quire: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "WINDOW", 3)
    monkeypatch.setattr(reconcile, "INVENTORY", 2)
    documents = [await quire.document(f"the lamp of house {number}") for number in range(8)]
    strangers = []
    for neighbour in (documents[0], documents[4], documents[7]):
        stranger = examples.uploaded(workspace=quire.operator.workspace.id, document=f"{neighbour.subject[:-1]}z")
        strangers.append(stranger)
        await quire.give("search", *(await quire.work(stranger, "a lamp"))[:2])
    await quire.until_found("lamp", *documents, *strangers)
    for document in (documents[2], documents[3], documents[7]):
        await remove_from_index(quire, document.subject)
    await quire.settle()
    found, summary = await quire.reconcile()
    expected = [("extra_in_index", stranger.subject) for stranger in strangers]
    expected += [("missing_in_index", documents[number].subject) for number in (2, 3, 7)]
    assert sorted(told(found)) == sorted(expected)
    assert summary["documents"] == 8


async def test_a_document_that_failed_is_expected_to_be_found_by_what_was_done(quire: Installation) -> None:
    document = await quire.operator.uploaded()
    cause = await quire.operator.cause(document)
    await quire.live.service.publisher.publish(examples.failed(cause, "ingest"))
    await quire.operator.reaches(document, "failed")
    await quire.settle()
    found, summary = await quire.reconcile(repair=True)
    assert found == []
    assert summary["documents"] == 1


async def test_only_an_operator_may_and_one_at_a_time(quire: Installation) -> None:
    async with quire.live.client(await new_workspace(quire.live.pool)) as somebody:
        problem(await somebody.http.post("/admin/reconcile"), 403, "forbidden")
        problem(await somebody.http.post("/admin/rebuild-index", json={"confirm": True}), 403, "forbidden")
    async with locks.held(quire.live.pool, "quire index"):
        problem(await quire.operator.http.post("/admin/reconcile"), 409, "busy")


async def test_where_the_search_service_is_away_the_last_line_says_so(quire: Installation) -> None:
    operator: Client = quire.operator
    await quire.document("the lamp burns")
    search = quire.live.gateway.search
    url, search.base_url = search.base_url, "http://127.0.0.1:9"
    try:
        answer = await operator.http.post("/admin/reconcile")
    finally:
        search.base_url = url
    last = json.loads(answer.text.splitlines()[-1])
    assert (last["type"], last["code"]) == ("error", "search_unavailable")


async def test_repairs_are_in_the_audit_log(quire: Installation) -> None:
    await quire.reconcile(repair=True)
    (entry, *_) = (await quire.operator.http.get("/admin/audit", params={"action": "index.repair"})).json()["data"]
    assert entry["actor"].startswith("key_")
