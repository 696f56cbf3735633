"""POST /documents on real servers: what is stored, entered and announced, and what leaves nothing behind."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from quire_contracts import DocumentUploaded
from tests.integration.gateway.serving import TEXT, Client, Live, problem
from tests.support.broker import Observer, eventually, observing

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("gateway uploads")]

LIMIT = 1_000_000
BOUNDARY = "edge"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def observer(live: Live) -> AsyncIterator[Observer]:
    async with observing(live.service.settings) as seen:
        yield seen


def _form(*parts: tuple[str, str | None, bytes], end: bytes = b"--edge--\r\n") -> bytes:
    """A multipart body of (name, file name, content)."""
    body = b""
    for name, filename, content in parts:
        file = "" if filename is None else f'; filename="{filename}"'
        body += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()
        body += content + b"\r\n"
    return body + end


async def _post(client: Client, body: bytes | AsyncIterator[bytes]) -> httpx.Response:
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    return await client.http.post("/documents", content=body, headers=headers)


async def test_an_upload_is_stored_entered_and_announced(client: Client, observer: Observer) -> None:
    answer = await client.upload(
        TEXT,
        "night log.txt",
        title="Night",
        folder="logs//2026/",
        tags=["wind, north", "wind"],
        metadata='{"shift": 2}',
    )
    assert answer.status_code == 202
    document = answer.json()
    assert answer.headers["location"] == f"/api/v1/documents/{document['id']}"
    assert document["status"] == "processing"
    assert document["duplicate"] is False
    assert {stage["status"] for stage in document["stages"].values()} == {"pending"}
    shown = {name: document[name] for name in ("title", "filename", "folder", "tags", "metadata", "media_type", "size")}
    assert shown == {
        "title": "Night", "filename": "night log.txt", "folder": "/logs/2026", "tags": ["wind", "north"],
        "metadata": {"shift": 2}, "media_type": "text/plain", "size": len(TEXT),
    }  # fmt: skip
    assert document["sha256"] == hashlib.sha256(TEXT).hexdigest()

    async def announced() -> bool:
        return any(event.subject == document["id"] for event in observer.events)

    await eventually(announced, "DocumentUploaded is on the exchange")
    (event,) = [event for event in observer.events if event.subject == document["id"]]
    assert isinstance(event, DocumentUploaded)
    assert event.workspaceid == client.workspace.id
    assert event.correlationid == answer.headers["x-request-id"]
    assert event.data.sha256 == document["sha256"]
    assert event.data.document.model_dump(include=set(shown)) == shown
    assert await client.live.gateway.store.get(event.data.content_key) == TEXT
    assert await client.objects() == [event.data.content_key]
    assert [logged.id for logged in await client.events()] == [event.id]


async def test_fields_may_come_after_the_file(client: Client) -> None:
    answer = await _post(client, _form(("file", "a.txt", TEXT), ("title", None, b"Afterwards")))
    assert answer.status_code == 202
    assert answer.json()["title"] == "Afterwards"


async def test_a_file_name_is_shown_cleaned_and_makes_the_title_where_none_is_given(client: Client) -> None:
    answer = await _post(client, _form(("file", "../../etc/Report_of\u202e_the\x07_year.final.txt", TEXT)))
    document = answer.json()
    assert (document["filename"], document["title"]) == ("Report_of_the_year.final.txt", "Report of the year.final")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (_form(("file", "a.txt", b"")), 422, "empty_file"),
        (_form(("title", None, b"x")), 422, "invalid"),
        (_form(("file", None, b"not a file but a field")), 422, "invalid"),
        (_form(("file", "a.txt", TEXT), ("file", "b.txt", TEXT)), 422, "several_files"),
        (_form(("file", "a.txt", TEXT), ("metadata", None, b"{")), 422, "invalid"),
        (_form(("file", "a.txt", TEXT), ("metadata", None, b"[1]")), 422, "invalid"),
        (_form(("file", "a.txt", TEXT), ("metadata", None, b'{"a": "%s"}' % (b"x" * 4096))), 422, "invalid"),
        (_form(("file", "a.txt", TEXT), ("metadata", None, b'{"a": "\\u0000"}')), 422, "invalid"),
        (_form(("file", "a.txt", TEXT), ("tags", None, b"x" * 101)), 422, "invalid"),
        (_form(("file", "a.txt", TEXT), ("folder", None, b"/x" * 501)), 422, "invalid"),
        (_form(("file", "a.txt", TEXT), ("title", None, b"\xff\xfe")), 422, "invalid"),
        (_form(("file", "a.txt", TEXT), ("title", None, b"x" * 65537)), 413, "field_too_large"),
        (_form(("file", "a.txt", TEXT), end=b""), 400, "bad_multipart"),
        (_form(("file", "a.txt", b"MZ\x90\x00" + bytes(300))), 415, "unsupported_type"),
        (_form(("file", "a.zip", b"PK\x03\x04" + bytes(300))), 415, "unsupported_type"),
        (b"", 400, "bad_multipart"),
    ],
)
async def test_what_is_refused_leaves_nothing(client: Client, body: bytes, status: int, code: str) -> None:
    problem(await _post(client, body), status, code)
    await client.nothing_is_left()


async def test_no_multipart_at_all_is_refused(client: Client) -> None:
    problem(await client.http.post("/documents", json={"file": "x"}), 400, "bad_multipart")
    problem(await client.http.post("/documents"), 400, "bad_multipart")


async def test_an_executable_is_refused_by_what_it_is(client: Client) -> None:
    answer = await client.upload(b"\x7fELF\x02\x01\x01" + bytes(200), "invoice.pdf")
    assert "octet-stream" in problem(answer, 415, "unsupported_type")["detail"] or "executable" in answer.text


async def test_a_content_length_beyond_the_limit_is_refused_before_the_body(client: Client) -> None:
    assert await _sent_until_refused(client, b"Content-Length: 10000000", b"", b"") == 0
    await client.nothing_is_left()


async def test_a_chunked_body_beyond_the_limit_is_refused_while_it_arrives(client: Client) -> None:
    begin = _form(("file", "a.txt", b""), end=b"")[:-2]
    sent = await _sent_until_refused(client, b"Transfer-Encoding: chunked", _chunk(begin), _chunk(b"x" * 50_000))
    assert sent > LIMIT
    await client.nothing_is_left()


async def test_a_part_that_nobody_asked_for_does_not_get_around_the_limit(client: Client) -> None:
    begin = _form(("padding", "a.txt", b""), end=b"")[:-2]
    sent = await _sent_until_refused(client, b"Transfer-Encoding: chunked", _chunk(begin), _chunk(b"x" * 50_000))
    assert sent > LIMIT
    await client.nothing_is_left()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def _sent_until_refused(client: Client, header: bytes, begin: bytes, more: bytes) -> int:
    """Send a body that never ends until the 413 comes; how many bytes of it were sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(client.live.url.rpartition(":")[2]))
    writer.write(
        b"POST /api/v1/documents HTTP/1.1\r\nHost: test\r\nX-API-Key: %s\r\n"
        b"Content-Type: multipart/form-data; boundary=edge\r\n%s\r\n\r\n%s"
        % (client.workspace.key.encode(), header, begin)
    )
    answer = asyncio.create_task(reader.readline())
    sent = len(begin)
    try:
        async with asyncio.timeout(20):
            while more and not answer.done():
                writer.write(more)
                await writer.drain()
                sent += len(more)
                assert sent < 50 * LIMIT, "the body is read without end"
                await asyncio.sleep(0)
            assert (await answer).startswith(b"HTTP/1.1 413 ")
    finally:
        writer.close()
    return sent


async def test_a_content_of_exactly_the_limit_is_taken(client: Client) -> None:
    assert (await client.uploaded(b"x" * LIMIT))["size"] == LIMIT
    problem(await client.upload(b"y" * (LIMIT + 1)), 413, "too_large")


async def test_the_same_content_uploaded_twenty_times_at_once_is_one_document(client: Client) -> None:
    answers = await asyncio.gather(*(client.upload(TEXT, f"copy {number}.txt") for number in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [202]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sorted(answer.json()["duplicate"] for answer in answers) == [False] + [True] * 19
    assert len(await client.rows()) == 1
    assert len(await client.events()) == 1
    assert len(await client.objects()) == 1


async def test_a_deleted_content_may_be_uploaded_again_as_a_new_document(client: Client) -> None:
    first = await client.uploaded(TEXT)
    assert (await client.http.delete(f"/documents/{first['id']}")).status_code == 204
    second = await client.uploaded(TEXT)
    assert second["id"] != first["id"]
    assert second["duplicate"] is False
