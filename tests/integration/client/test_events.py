"""The stream of events: parsed as the standard says, and held open."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from quire_client import Quire, QuireError, Unreachable, events
from quire_client.sse import Message, messages
from tests.integration.client.server import KEY, Api, Broken, event, problem

STREAM = "GET /events"


def stream(*pieces: str) -> Response:
    return StreamingResponse(iter(pieces), media_type="text/event-stream")


async def parse(*chunks: bytes) -> list[Message]:
    async def source() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return [message async for message in messages(source())]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
async def test_messages_may_be_cut_anywhere_and_end_their_lines_in_three_ways(end: bytes) -> None:
    text = b": hello\n\nid: 7\nevent: a\ndata: one\ndata: two\n\ndata:x\n\n: end\n".replace(b"\n", end)
    expected = [Message("7", "a", "one\ntwo"), Message("7", "message", "x")]
    assert await parse(text) == expected
    assert await parse(*(text[at : at + 1] for at in range(len(text)))) == expected


async def test_a_line_separator_inside_of_json_does_not_cut_it() -> None:
    text = 'data: {"a":"b\u2028c\x0b\x85d"}\n\n'
    assert await parse(text.encode()) == [Message("", "message", '{"a":"b\u2028c\x0b\x85d"}')]


async def test_an_id_without_data_moves_the_place_and_an_unfinished_message_is_dropped() -> None:
    assert await parse(b"id: 9\nretry: 2000\n\ndata: lost") == [Message("9", "message", None, 2000)]


async def test_a_broken_stream_goes_on_behind_the_last_event(api: Api, quire: Quire) -> None:
    first = (event(1, "doc_1") + event(2, "doc_2", text="a\u2028b")).encode()
    half = event(3, "doc_3")[:40].encode()
    api.on(
        STREAM,
        Broken(first + half, 100_000, headers={"content-type": "text/event-stream"}),
        problem(503, "unavailable", "restarting"),
        stream(event(3, "doc_3")),
        stream(event(4, "doc_4"), event(5, "doc_5")),
    )
    found = []
    async for one in quire.events(after="1-0", types=["a", "b"]):
        found.append((one.subject, one.cursor))
        if len(found) == 5:
            break
    assert found == [(f"doc_{number}", f"1-{number}") for number in range(1, 6)]
    asked = [request.headers["last-event-id"] for request in api.calls(STREAM)]
    assert asked == ["1-0", "1-2", "1-2", "1-3"]
    assert api.requests[0].query_params.getlist("type") == ["a", "b"]


async def test_a_stream_that_was_empty_so_far_resumes_where_the_server_said_it_stands(api: Api, quire: Quire) -> None:
    api.on(STREAM, stream("id: 1-41\n: stream of events\n\n"), stream(event(42, "doc_1")))
    assert (await anext(quire.events(document="doc_1"))).cursor == "1-42"
    first, second = api.calls(STREAM)
    assert "last-event-id" not in first.headers
    assert second.headers["last-event-id"] == "1-41"
    assert second.query_params["document"] == "doc_1"


async def test_a_refused_stream_ends_at_once(api: Api) -> None:
    async with Quire(api.url, "qk_wrong", patience=30) as quire:
        with pytest.raises(QuireError) as caught:
            await anext(quire.events())
    assert caught.value.status == 401


async def test_a_server_that_stays_away_ends_the_stream(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "SILENCE_S", 0.2)
    silent = asyncio.Event()

    async def hang(_: Request) -> Response:
        async def nothing() -> AsyncIterator[str]:
            yield ": hello\n\n"
            await silent.wait()

        return StreamingResponse(nothing(), media_type="text/event-stream")

    api.on(STREAM, hang)
    async with Quire(api.url, KEY, patience=0.2) as quire:
        with pytest.raises(Unreachable):
            await anext(quire.events())
    silent.set()
    assert len(api.calls(STREAM)) > 1
