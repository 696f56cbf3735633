"""The service as it runs: events of a real broker in, `DocumentIndexed` out, queries over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from quire_contracts import Blob, Chunk, DocumentIndexed, ProcessingFailed, Vectors
from quire_models import open_model
from quire_runtime.service import Service, build_app
from quire_runtime.settings import ServiceSettings
from quire_search.__main__ import command
from quire_search.main import Search
from quire_search.settings import SearchSettings
from tests.support.broker import Observer, eventually, observing
from tests.unit.search.events import chunks_of, embedded, extracted

TEXTS = ("The keeper trims the lamp at dusk.", "No boat can land on the rock in a storm.")


@asynccontextmanager
async def running(
    settings: ServiceSettings, url: str
) -> AsyncIterator[tuple[Service[SearchSettings], Observer, httpx.AsyncClient]]:
    own = SearchSettings(**{**settings.model_dump(), "database_url": url})
    service, search = Service("search", own), Search()
    app = build_app(service, search.run, search.routes())
    async with app.router.lifespan_context(app):
        await service.publisher.ready()
        transport = httpx.ASGITransport(app)
        async with observing(own) as seen, httpx.AsyncClient(transport=transport, base_url="http://search") as client:
            yield service, seen, client


async def test_a_document_becomes_searchable_and_is_announced(settings: ServiceSettings, index_url: str) -> None:
    model = open_model("static")
    async with running(settings, index_url) as (service, seen, client):
        await service.store.put(
            "w/d/1/chunks.json", b"[" + b",".join(c.model_dump_json().encode() for c in chunks_of(*TEXTS)) + b"]"
        )
        text = extracted(document="service-d", workspace="service-w")
        data = text.data.model_copy(update={"chunks": Blob[list[Chunk]](key="w/d/1/chunks.json", size=1)})
        vectors = embedded(await model.embed_documents(TEXTS), document="service-d", workspace="service-w")
        for event in (text.model_copy(update={"data": data}), vectors, vectors):
            await service.publisher.publish(event)

        async def complete() -> bool:
            return any(isinstance(event, DocumentIndexed) and "vector" in event.data.legs for event in seen.events)

        await eventually(complete, "the document on both legs")
        announced = [event for event in seen.events if isinstance(event, DocumentIndexed)]
        assert announced[-1].data.legs == ["keyword", "vector"]
        assert announced[-1].correlationid in {text.correlationid, vectors.correlationid}
        assert len({event.id for event in announced}) == len(announced)

        answer = (await client.get("/query", params={"workspace": "service-w", "q": "boats in storms"})).json()
        (hit,) = answer["data"]
        assert hit["document_id"] == "service-d"
        assert hit["highlights"][0]["text"] == TEXTS[1]
        assert hit["highlights"][0]["page"] == 2
        assert hit["score"] == pytest.approx(1)
        assert answer["facets"]["type"] == {"application/pdf": 1}
        assert answer["took_ms"] > 0
        assert (await client.get("/readiness")).json()["checks"] == {"database": "ok", "broker": "ok"}
    await model.close()


async def test_vectors_that_cannot_be_read_fail_the_stage(settings: ServiceSettings, index_url: str) -> None:
    async with running(settings, index_url) as (service, seen, _):
        event = embedded([[1, 2]], document="service-bad", workspace="service-w")
        broken = Vectors(space="s", dimensions=2, count=9, data="AAAAAAAAAAA=")
        data = event.data.model_copy(update={"vectors": Blob[Vectors](inline=broken, size=1)})
        await service.publisher.publish(event.model_copy(update={"data": data}))
        failed = [event for event in await seen.received(2) if isinstance(event, ProcessingFailed)]
        assert [(event.data.stage, event.data.reason) for event in failed] == [("index", "corrupt")]


@pytest.mark.parametrize(
    "params",
    [
        {}, {"workspace": ""}, {"workspace": "w", "limit": "0"}, {"workspace": "w", "limit": "101"},
        {"workspace": "w", "mode": "psychic"}, {"workspace": "w", "q": "x" * 2001}, {"workspace": "w", "tag": "a\0"},
        {"workspace": "w", "created_from": "yesterday"}, {"workspace": "w", "created_to": "2026-01-01T00:00:00"},
    ],
    ids=str,
)  # fmt: skip
async def test_a_request_that_makes_no_sense_is_a_422(params: dict[str, str]) -> None:
    search = Search()
    app = build_app(Service("search", SearchSettings()), search.run, search.routes())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://search") as client:
        assert (await client.get("/query", params=params)).status_code == 422


def test_migrating_twice_is_the_same_as_once(index_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUIRE_DATABASE_URL", index_url)
    command(["migrate"])
    with pytest.raises(SystemExit, match="usage"):
        command(["migrate", "backwards"])
