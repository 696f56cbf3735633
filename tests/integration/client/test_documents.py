"""Reading and changing documents, and searching."""

from datetime import UTC, datetime

import pytest
from starlette.responses import JSONResponse, Response

from quire_client import Quire, QuireError
from tests.integration.client.server import Api, document, problem

ID = document()["id"]


async def test_a_document_carries_its_etag_and_fields_of_tomorrow_are_ignored(api: Api, quire: Quire) -> None:
    api.on(f"GET /documents/{ID}", JSONResponse(document(), headers={"ETag": '"1-abc"'}))
    found = await quire.document(ID)
    assert (found.id, found.etag, found.settled) == (ID, '"1-abc"', True)
    assert not hasattr(found, "a_field_of_tomorrow")


async def test_an_id_cannot_lead_to_another_resource(api: Api, quire: Quire) -> None:
    with pytest.raises(QuireError):
        await quire.document("../search?q=x")
    assert api.requests[0].scope["raw_path"] == b"/api/v1/documents/..%2Fsearch%3Fq%3Dx"


async def test_documents_come_page_after_page(api: Api, quire: Quire) -> None:
    api.on(
        "GET /documents",
        {"data": [document(1), document(2)], "next_cursor": "more"},
        {"data": [document(3)], "next_cursor": None},
    )
    found = [one.title async for one in quire.documents(status="ready", folder="/a", tags=["x", "y"], page_size=2)]
    assert found == ["Document 1", "Document 2", "Document 3"]
    first, second = (request.query_params for request in api.calls("GET /documents"))
    assert first.multi_items() == [("status", "ready"), ("folder", "/a"), ("tag", "x"), ("tag", "y"), ("limit", "2")]
    assert second["cursor"] == "more"
    assert second["status"] == "ready"


async def test_pages_that_are_not_needed_are_not_asked_for(api: Api, quire: Quire) -> None:
    api.on("GET /documents", {"data": [document(1)], "next_cursor": "more"})
    async for _ in quire.documents():
        break
    assert len(api.requests) == 1


async def test_a_search_gives_passages_with_the_matched_words(api: Api, quire: Quire) -> None:
    highlight = {"text": "the north sprocket", "page": 2, "start": 10, "end": 28, "ranges": [[4, 9], [10, 18]]}
    answer = {
        "data": [{"document": document(), "score": 0.5, "highlights": [highlight]}],
        "facets": {"tag": {"dome": 2}}, "took_ms": 3.2,
    }  # fmt: skip
    api.on("GET /search", answer)
    since = datetime(2026, 1, 2, tzinfo=UTC)
    found = await quire.search("north sprocket", mode="keyword", limit=5, tags=["dome"], created_after=since)
    passage = found.data[0].highlights[0]
    assert [passage.text[begin:end] for begin, end in passage.ranges] == ["north", "sprocket"]
    assert found.facets == {"tag": {"dome": 2}}
    assert dict(api.requests[0].query_params) == {
        "q": "north sprocket", "mode": "keyword", "limit": "5", "tag": "dome",
        "created_after": since.astimezone().isoformat(),
    }  # fmt: skip


async def test_a_time_without_zone_is_local_time(api: Api, quire: Quire) -> None:
    api.on("GET /search", {"data": [], "took_ms": 1})
    await quire.search("x", created_before=datetime(2026, 1, 2))
    sent = datetime.fromisoformat(api.requests[0].query_params["created_before"])
    assert sent.tzinfo is not None
    assert sent.replace(tzinfo=None) == datetime(2026, 1, 2)


async def test_a_change_sends_what_is_given_and_the_etag_it_expects(api: Api, quire: Quire) -> None:
    api.on(f"PATCH /documents/{ID}", problem(412, "precondition_failed", "The document was changed since."))
    with pytest.raises(QuireError) as caught:
        await quire.change(ID, tags=[], metadata={"a": 1}, if_match='"1-abc"')
    assert caught.value.status == 412
    assert api.requests[0].headers["if-match"] == '"1-abc"'
    assert await api.requests[0].body() == b'{"tags":[],"metadata":{"a":1}}'


async def test_text_preview_and_timeline_are_read(api: Api, quire: Quire) -> None:
    api.on(f"GET /documents/{ID}/text", Response("Größe 🦉".encode()))
    api.on(f"GET /documents/{ID}/previews/2", Response(b"RIFF"))
    entry = {
        "id": "e1", "type": "quire.document.indexed.v1", "source": "/quire/search", "time": "2026-01-02T03:04:05Z",
        "since_upload_ms": 120, "took_ms": 20, "causationid": "e0", "summary": "found by keyword", "data": {},
    }  # fmt: skip
    api.on(f"GET /documents/{ID}/timeline", {"data": [entry]})
    assert await quire.text(ID) == "Größe 🦉"
    assert await quire.preview(ID, 2) == b"RIFF"
    assert [(one.summary, one.since_upload_ms) for one in await quire.timeline(ID)] == [("found by keyword", 120)]
