"""Rebuilding the index: queries go on, nothing is lost on the way, and what is found is what was found."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from quire_gateway.recovery import rebuild
from quire_gateway.settings import GatewaySettings
from tests.conftest import remove_topology
from tests.integration.gateway.indexed import Installation, installed, keys_of
from tests.integration.gateway.serving import problem
from tests.support.broker import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("gateway rebuild")]

QUERIES: tuple[dict[str, Any], ...] = (
    {"q": "the lamp burns"}, {"q": "a boat in the storm", "mode": "semantic"}, {"q": "lamp house", "mode": "keyword"},
    {"q": "lamp", "tag": "coast"}, {},
)  # fmt: skip
CONFIRMED = {"confirm": True}
WORKERS = ("ingest", "embedder", "enricher", "previewer")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def quire(indexed_settings: GatewaySettings) -> AsyncIterator[Installation]:
    async with installed(indexed_settings) as running:
        yield running
    await remove_topology(indexed_settings)


async def asked(quire: Installation, parameters: dict[str, Any]) -> httpx.Response:
    given = {"workspace": quire.operator.workspace.id, "limit": 100, **parameters}
    return await quire.search.get("/query", params=given)


async def answers(quire: Installation) -> list[bytes]:
    """What is answered to the queries, byte for byte but for the time that it took."""
    found = []
    for parameters in QUERIES:
        answer = await asked(quire, parameters)
        assert answer.status_code == 200, answer.text
        found.append(answer.content.split(b'"took_ms"')[0])
    return found


async def answers_again(quire: Installation, before: list[bytes]) -> None:
    """Wait until the answers are those of before."""

    async def same() -> bool:
        return await answers(quire) == before

    await eventually(same, "the answers are those of before", within_s=30)


async def test_queries_never_fail_meanwhile_and_answer_as_before_afterwards(
    quire: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "PAGE", 5)
    for number in range(12):
        await quire.document("the lamp burns", f"no boat can land on rock {number}", name=f"house-{number}.txt")
    for _ in range(4):  # equal in everything but their numbers: their order must stay too
        await quire.document("the lamp of the house", name="same.txt", tags="coast", title="Same")
    renamed = await quire.document("the lamp is sold")
    answer = await quire.operator.http.patch(f"/documents/{renamed.subject}", json={"title": "Sold", "tags": ["coast"]})
    assert answer.status_code == 200
    gone = await quire.document("the lamp is broken")
    assert (await quire.operator.http.delete(f"/documents/{gone.subject}")).status_code == 204
    await quire.settle()
    for worker in WORKERS:
        await quire.given(worker)
    before, statuses, stop = await answers(quire), [], asyncio.Event()

    async def ask() -> None:
        while not stop.is_set():
            for parameters in QUERIES:
                statuses.append((await asked(quire, parameters)).status_code)

    asking = [asyncio.create_task(ask()) for _ in range(2)]
    lines = await quire.lines("/admin/rebuild-index", json=CONFIRMED)
    stop.set()
    await asyncio.gather(*asking)
    assert set(statuses) == {200}
    assert len(statuses) > len(QUERIES)
    assert (lines[-1]["type"], lines[-1]["documents"], lines[-1]["waiting"]) == ("summary", 17, 0)
    pages = [line["done"] for line in lines if line.get("phase") == "documents" and not line["paused"]]
    assert pages == [5, 10, 15, 17]
    await answers_again(quire, before)
    assert [await quire.given(worker) for worker in WORKERS] == [[]] * len(WORKERS), "nobody but search was asked"
    await quire.settle()
    assert (await quire.reconcile())[0] == []


async def test_what_the_index_had_but_the_log_had_not_comes_back_when_it_is_logged(quire: Installation) -> None:
    cause = await quire.operator.cause(await quire.operator.uploaded())
    text, vectors, enriched, previewed = await quire.work(cause, "a beacon on the cliff")
    for key in (*keys_of(text), *keys_of(previewed)):
        await quire.live.gateway.store.put(key, b"x")
    await quire.give("search", text, vectors, enriched)
    await quire.until_found("beacon", cause)
    await quire.settle()
    before = await answers(quire)
    assert (await quire.lines("/admin/rebuild-index", json=CONFIRMED))[-1]["type"] == "summary"
    await quire.until_found("beacon")
    await quire.give("gateway", text, vectors, enriched, previewed)
    await quire.until_found("beacon", cause)
    await answers_again(quire, before)
    await quire.operator.reaches({"id": cause.subject}, "ready")


async def test_a_rebuild_that_broke_off_is_finished_by_reconciling_or_by_another_one(
    quire: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "PAGE", 1)
    documents = [await quire.document("a buoy in the channel", f"number {number}") for number in range(3)]
    await quire.until_found("buoy", *documents)
    before = await answers(quire)
    for finish in ("/admin/reconcile?repair=true", "/admin/rebuild-index"):
        await _break_off(quire)
        await quire.settle()
        assert await quire.found("buoy") != sorted(document.subject for document in documents)
        body = None if "reconcile" in finish else CONFIRMED
        assert (await quire.lines(finish, json=body))[-1]["type"] == "summary"
        await quire.until_found("buoy", *documents)
        await answers_again(quire, before)


async def _break_off(quire: Installation) -> None:
    """Begin to rebuild and go away after the first document: the gateway stops with its client."""
    async with quire.operator.http.stream("POST", "/admin/rebuild-index", json=CONFIRMED) as answer:
        async for line in answer.aiter_lines():
            if json.loads(line).get("phase") == "documents":
                break

    async def over() -> bool:
        answer = await quire.operator.http.post("/admin/reconcile")
        return answer.status_code == 200

    await eventually(over, "the gateway has noticed")


async def test_it_must_be_meant(quire: Installation) -> None:
    for body in ({}, {"confirm": False}, {"confirm": True, "really": True}):
        problem(await quire.operator.http.post("/admin/rebuild-index", json=body), 422, "invalid")


async def test_it_waits_while_the_search_service_has_enough_to_do(
    quire: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    cause = await quire.document("a foghorn")
    full = iter([True, True])

    async def is_full(_service: str) -> bool:
        return next(full, False)

    monkeypatch.setattr(quire.live.gateway.pace, "is_full", is_full)
    lines = await quire.lines("/admin/rebuild-index", json=CONFIRMED)
    assert [line["paused"] for line in lines if line["type"] == "progress"][:4] == [False, True, True, False]
    await quire.until_found("foghorn", cause)
