"""Waiting for documents."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from quire_client import Document, Quire, QuireError, StillProcessing, following
from tests.integration.client.server import STAGES, Api, document, event, problem

ID = document()["id"]
GET = f"GET /documents/{ID}"


def stages(done: int) -> dict[str, dict[str, str]]:
    return {name: {"status": "done" if at < done else "pending"} for at, name in enumerate(STAGES)}


def announcing(api: Api, *pieces: str) -> None:
    """A stream that sends its events once the document was looked at, and then stays open."""

    async def stream(_: Request) -> Response:
        async def body() -> AsyncIterator[str]:
            yield ": stream of events\n\n"
            for count, piece in enumerate(pieces, 1):
                await api.until(GET, count)
                yield piece
            await asyncio.Event().wait()

        return StreamingResponse(body(), media_type="text/event-stream")

    api.on("GET /events", stream)


async def test_events_say_when_to_look_again(api: Api, quire: Quire) -> None:
    api.on(
        GET,
        document(status="processing", stages=stages(1)),
        document(status="processing", stages=stages(3)),
        document(),
    )
    announcing(api, event(1, "doc_of_somebody_else") + event(2, ID), event(3, ID))
    seen: list[Document] = []
    found = await quire.wait(ID, 25, seen.append)
    assert found.status == "ready"
    assert [one.waiting_for for one in seen] == [
        ["embed", "index", "preview", "enrich"], ["preview", "enrich"], [],
    ]  # fmt: skip
    assert len(api.calls(GET)) == 3


async def test_without_a_stream_the_document_is_polled(api: Api, quire: Quire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "FIRST_POLL_S", 0.01)
    api.on(GET, *[document(status="processing")] * 3, document(status="failed"))
    api.on("GET /events", problem(400, "bad", "no stream"))
    assert (await quire.wait(ID, 25)).status == "failed"


async def test_time_runs_out_with_the_name_and_the_stages_that_are_missing(api: Api, quire: Quire) -> None:
    api.on(GET, document(status="processing", stages=stages(4)))
    announcing(api)
    with pytest.raises(StillProcessing, match=r"'Document 1' \(doc_0+1\) still waits for enrich after") as caught:
        await quire.wait(ID, 0.05)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.document.id == ID


async def test_a_document_that_is_deleted_meanwhile_ends_the_wait(api: Api, quire: Quire) -> None:
    api.on(GET, document(status="processing"), problem(404, "not_found", "There is no such document."))
    announcing(api, event(1, ID))
    with pytest.raises(QuireError, match="no such document"):
        await quire.wait(ID, 25)


async def test_many_documents_are_followed_on_one_stream(api: Api, quire: Quire) -> None:
    ids = [document(number)["id"] for number in range(1, 21)]
    for number, one in enumerate(ids, 1):
        api.on(f"GET /documents/{one}", document(number, "processing"), document(number))

    async def stream(_: Request) -> Response:
        async def body() -> AsyncIterator[str]:
            for number, one in enumerate(ids, 1):
                await api.until(f"GET /documents/{one}")
                yield event(number, one)
            await asyncio.Event().wait()

        return StreamingResponse(body(), media_type="text/event-stream")

    api.on("GET /events", stream)
    async with quire.following() as together:
        found = await asyncio.gather(*(together.settled(one, 25) for one in ids))
    assert [one.id for one in found] == ids
    assert len(api.calls("GET /events")) == 1
