"""Lists, changes, conditions, downloads and keys, on a real database and a real store."""

import asyncio
import hashlib
from typing import Any

import httpx
import pytest

from quire_gateway import auth, db
from quire_gateway.auth import Keys, new_key
from tests.integration.gateway.serving import TEXT, Client, following, new_workspace, problem
from tests.support import examples
from tests.support.broker import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("gateway catalog")]


async def _names(client: Client, **params: Any) -> list[str]:
    answer = await client.http.get("/documents", params=params)
    assert answer.status_code == 200, answer.text
    return [document["filename"] for document in answer.json()["data"]]


async def test_a_list_is_newest_first_and_knows_only_its_workspace(client: Client) -> None:
    async with client.live.client(await new_workspace(client.live.pool)) as other:
        await other.uploaded()
    for name in ("a.txt", "b.txt", "c.txt"):
        await client.uploaded(name=name)
    assert await _names(client) == ["c.txt", "b.txt", "a.txt"]


async def test_a_folder_holds_what_is_below_it_and_no_sibling_that_begins_alike(client: Client) -> None:
    for name, folder in {"top": "/", "a": "/a", "ab": "/ab", "b": "/a/b", "a_b": "/a_b", "%": "/%"}.items():
        await client.uploaded(name=f"{name}.txt", folder=folder)
    assert sorted(await _names(client, folder="/a")) == ["a.txt", "b.txt"]
    assert await _names(client, folder="/a/b/") == ["b.txt"]
    assert await _names(client, folder="/a_") == []
    assert await _names(client, folder="/%") == ["%.txt"]
    assert len(await _names(client, folder="/")) == 6


async def test_filters_hold_together(client: Client) -> None:
    await client.uploaded(name="1.md", tags="x,y", folder="/f")
    await client.uploaded(name="2.md", tags="x", folder="/f")
    failed = await client.uploaded(name="3.txt", tags="x,y", folder="/f")
    failure = examples.failed(await client.cause(failed))
    await client.live.service.publisher.publish(failure)
    await client.reaches(failed, "failed")
    assert sorted(await _names(client, tag="x")) == ["1.md", "2.md", "3.txt"]
    assert sorted(await _names(client, tag=["x", "y"])) == ["1.md", "3.txt"]
    assert await _names(client, tag=["x", "y"], media_type="text/markdown", folder="/f") == ["1.md"]
    assert await _names(client, status="failed") == ["3.txt"]
    assert await _names(client, status="ready") == []
    assert await _names(client, tag="nobody has it") == []


async def test_pages_stay_whole_while_documents_come_and_go(client: Client) -> None:
    ids = [(await client.uploaded())["id"] for _ in range(9)][::-1]
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(9):
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await client.http.get("/documents", params=params)).json()
        seen += [document["id"] for document in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        await client.uploaded()
        await client.http.delete(f"/documents/{seen[-1]}")
    assert seen == ids


async def test_documents_that_were_entered_together_are_paged_one_by_one(client: Client) -> None:
    await asyncio.gather(*(client.uploaded() for _ in range(12)))
    seen, cursor = [], ""
    while cursor is not None:
        params = {"limit": "1"} | ({"cursor": cursor} if cursor else {})
        page = (await client.http.get("/documents", params=params)).json()
        seen += [document["id"] for document in page["data"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 12


async def test_a_cursor_of_other_filters_or_another_workspace_is_refused(client: Client) -> None:
    for _ in range(2):
        await client.uploaded(tags="x")
    cursor = (await client.http.get("/documents", params={"limit": 1})).json()["next_cursor"]
    problem(await client.http.get("/documents", params={"cursor": cursor, "tag": "x"}), 400, "bad_cursor")
    problem(await client.http.get("/documents", params={"cursor": cursor[:-2]}), 400, "bad_cursor")
    async with client.live.client(await new_workspace(client.live.pool)) as other:
        problem(await other.http.get("/documents", params={"cursor": cursor}), 400, "bad_cursor")


@pytest.mark.parametrize(
    "params",
    [{"limit": "0"}, {"limit": "-1"}, {"limit": "1000000000"}, {"limit": "NaN"}, {"status": "lost"},
     {"folder": "x" * 1001}, {"tag": ["x"] * 21}, {"cursor": "x" * 501}],
    ids=str,
)  # fmt: skip
async def test_a_list_that_makes_no_sense_is_a_422_that_says_where(client: Client, params: dict[str, Any]) -> None:
    found = problem(await client.http.get("/documents", params=params), 422, "invalid")
    assert found["errors"][0]["pointer"].startswith(f"/query/{next(iter(params))}")


async def test_unshowable_characters_in_a_filter_find_nothing(client: Client) -> None:
    for name in ("folder", "tag", "media_type"):
        assert await _names(client, **{name: "a\x00b\ud800".encode("utf-8", "surrogatepass")}) == []


async def test_an_entry_is_changed_where_it_is_still_the_one_that_was_read(client: Client) -> None:
    document = await client.uploaded()
    path = f"/documents/{document['id']}"
    etag = (await client.http.get(path)).headers["etag"]
    assert (await client.http.get(path, headers={"If-None-Match": etag})).status_code == 304
    assert (await client.http.get(path, headers={"If-None-Match": f'"x", {etag}'})).status_code == 304

    changed = await client.http.patch(
        path, json={"title": "New", "tags": ["a", "a\x07", " b "]}, headers={"If-Match": etag}
    )
    assert changed.status_code == 200, changed.text
    shown = changed.json()
    assert (shown["title"], shown["tags"], shown["version"]) == ("New", ["a", "b"], 2)
    assert shown["filename"] == document["filename"]
    assert changed.headers["etag"] != etag
    assert (await client.http.get(path, headers={"If-None-Match": etag})).status_code == 200

    stale = await client.http.patch(path, json={"title": "Newer"}, headers={"If-Match": etag})
    problem(stale, 412, "precondition_failed")
    for other in ('"1-abc"', '"nonsense"', 'W/"2-1"'):
        problem(
            await client.http.patch(path, json={"title": "x"}, headers={"If-Match": other}), 412, "precondition_failed"
        )
    assert (await client.http.patch(path, json={"folder": "/b"}, headers={"If-Match": "*"})).status_code == 200
    assert [event.type for event in await client.events()] == [
        "quire.document.uploaded.v1", "quire.document.updated.v1", "quire.document.updated.v1",
    ]  # fmt: skip
    assert (await client.document(document["id"]))["title"] == "New"


async def test_progress_changes_the_etag_and_does_not_stand_in_the_way_of_a_change(client: Client) -> None:
    document = await client.uploaded()
    path = f"/documents/{document['id']}"
    etag = (await client.http.get(path)).headers["etag"]
    await client.live.service.publisher.publish(examples.extracted(await client.cause(document)))

    async def changed() -> bool:
        return (await client.http.get(path, headers={"If-None-Match": etag})).status_code == 200

    await eventually(changed, "the entry shows the progress")
    assert (await client.http.patch(path, json={"title": "x"}, headers={"If-Match": etag})).status_code == 200


async def test_of_two_changes_of_the_same_version_one_is_refused(client: Client) -> None:
    path = f"/documents/{(await client.uploaded())['id']}"
    etag = (await client.http.get(path)).headers["etag"]
    answers = await asyncio.gather(
        *(client.http.patch(path, json={"title": f"{n}"}, headers={"If-Match": etag}) for n in range(5))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412]


@pytest.mark.parametrize(
    "body",
    [b'{"title": ""}', b'{"title": " "}', b'{"owner": "me"}', b"[]", b"{", b'{"tags": ["%s"]}' % (b"x" * 101),
     b'{"metadata": {"a": "\\u0000"}}', b'{"metadata": {"a": "\\ud800"}}', b'{"metadata": {"a": %s}}' % (b"9" * 30),
     b'{"metadata": {"a": "%s"}}' % (b"x" * 4096), b'{"metadata": [1]}', b'{"title": "\\ud800"}',
     b'{"metadata": ' + b'{"a":' * 500 + b"1" + b"}" * 501],
    ids=lambda body: body[:24].decode(),
)  # fmt: skip
async def test_a_change_that_makes_no_sense_changes_nothing(client: Client, body: bytes) -> None:
    document = await client.uploaded()
    answer = await client.http.patch(
        f"/documents/{document['id']}", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await client.document(document["id"]))["version"] == 1


async def test_unshowable_characters_in_a_change_are_dropped(client: Client) -> None:
    path = f"/documents/{(await client.uploaded())['id']}"
    body = b'{"title": "a\\u0000b", "folder": "/x\\u202e/../y", "tags": ["t\\u0000"]}'
    changed = await client.http.patch(path, content=body, headers={"Content-Type": "application/json"})
    assert changed.status_code == 200, changed.text
    assert changed.json()["folder"] == "/x/y"
    assert changed.json()["tags"] == ["t"]
    assert changed.json()["title"] == "ab"


PATHS = ("", "/timeline", "/text", "/content", "/previews/1")


@pytest.mark.parametrize("kind", ["unknown", "deleted", "another workspace's", "with a NUL", "long"])
async def test_a_document_that_one_may_not_see_looks_like_one_that_does_not_exist(client: Client, kind: str) -> None:
    async with client.live.client(await new_workspace(client.live.pool)) as other:
        foreign = (await other.uploaded())["id"]
    gone = (await client.uploaded())["id"]
    assert (await client.http.delete(f"/documents/{gone}")).status_code == 204
    ids = {
        "unknown": "doc_0",
        "deleted": gone,
        "another workspace's": foreign,
        "with a NUL": "doc%00",
        "long": "d" * 64,
    }
    path = f"/documents/{ids[kind]}"
    answers = [await client.http.get(path + end) for end in PATHS]
    answers += [await client.http.patch(path, json={"title": "x"}), await client.http.delete(path)]
    bodies = []
    for answer in answers:
        body = problem(answer, 404, "not_found")
        bodies.append({name: value for name, value in body.items() if name not in {"instance", "request_id"}})
    assert bodies == [bodies[0]] * len(bodies)


async def test_a_delete_leaves_a_tombstone_an_event_and_no_object(client: Client) -> None:
    document = await client.uploaded()
    assert (await client.http.delete(f"/documents/{document['id']}")).status_code == 204

    async def emptied() -> bool:
        return not await client.objects()

    await eventually(emptied, "the objects are gone")
    (row,) = await client.rows()
    assert row["deleted_at"] is not None
    assert [event.type for event in await client.events()] == [
        "quire.document.uploaded.v1", "quire.document.deleted.v1",
    ]  # fmt: skip


async def test_a_content_comes_back_whole_and_in_ranges(client: Client) -> None:
    document = await client.uploaded(TEXT, 'Grüße "1"; x.txt')
    path = f"/documents/{document['id']}/content"
    whole = await client.http.get(path)
    assert whole.content == TEXT
    assert whole.headers["content-length"] == str(len(TEXT))
    assert whole.headers["etag"] == f'"{hashlib.sha256(TEXT).hexdigest()}"'
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in whole.headers["content-security-policy"]
    assert whole.headers["content-disposition"].startswith("attachment; filename=")
    assert "filename*=UTF-8''Gr%C3%BC%C3%9Fe" in whole.headers["content-disposition"]
    for header, piece in {"bytes=4-7": TEXT[4:8], "bytes=-5": TEXT[-5:], "bytes=50-": TEXT[50:]}.items():
        part = await client.http.get(path, headers={"Range": header})
        assert (part.status_code, part.content) == (206, piece)
        assert part.headers["content-length"] == str(len(piece))
        assert part.headers["content-range"].endswith(f"/{len(TEXT)}")
    problem(await client.http.get(path, headers={"Range": "bytes=9999-"}), 416, "range_not_satisfiable")
    many = await client.http.get(path, headers={"Range": "bytes=" + ",".join(f"{n}-{n}" for n in range(5000))})
    assert (many.status_code, many.content) == (200, TEXT)


async def test_what_is_not_made_yet_or_lost_is_said(client: Client) -> None:
    document = await client.uploaded()
    path = f"/documents/{document['id']}"
    for end in ("/text", "/previews/thumbnail"):
        assert problem(await client.http.get(path + end), 404, "not_ready")["detail"]
    await client.live.service.publisher.publish(examples.failed(await client.cause(document)))
    await client.reaches(document, "failed")
    assert "ends in the middle" in problem(await client.http.get(f"{path}/text"), 404, "not_available")["detail"]
    for key in await client.objects():
        await client.live.gateway.store.delete(key)
    problem(await client.http.get(f"{path}/content"), 404, "no_such_object")
    problem(await client.http.get(f"{path}/previews/0"), 422, "invalid")


async def test_the_timeline_tells_what_happened(client: Client) -> None:
    document = await client.uploaded(name="a.txt")
    cause = await client.cause(document)
    async with following(client, after="0-0", document=document["id"]) as stream:
        for event in (text := examples.extracted(cause), examples.enriched(text)):
            await client.live.service.publisher.publish(event)
        await stream.take(3)
    entries = (await client.http.get(f"/documents/{document['id']}/timeline")).json()["data"]
    assert [entry["summary"].split()[0] for entry in entries] == ["uploaded:", "text", "summarised"]
    assert entries[0]["since_upload_ms"] == 0
    assert entries[1]["causationid"] == cause.id
    assert entries[1]["took_ms"] is not None


# Keys


async def test_a_key_is_taken_in_either_header_and_nothing_else_is(client: Client) -> None:
    key = client.workspace.key
    async with httpx.AsyncClient(base_url=f"{client.live.url}/api/v1") as anybody:
        for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}, {"Authorization": f"bearer  {key}"}):
            assert (await anybody.get("/documents", headers=headers)).status_code == 200
        for headers in (
            {}, {"X-API-Key": key[:-1]}, {"X-API-Key": ""}, {"Authorization": f"Basic {key}"}, {"X-API-Key": "qk_é"},
            {"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30."}, {"X-API-Key": "qk_" + "x" * 5000},
        ):  # fmt: skip
            raw = [(name.encode(), value.encode()) for name, value in headers.items()]
            answer = await anybody.get("/documents", headers=raw)
            problem(answer, 401, "unauthorized")
            assert answer.headers["www-authenticate"] == 'Bearer realm="quire"'


async def test_a_revoked_key_stops_working_when_its_memory_ends(client: Client) -> None:
    keys = Keys(client.live.pool, cache_s=0.3)
    assert await keys.caller(client.workspace.key) is not None
    await client.live.pool.execute("UPDATE api_key SET revoked_at = now() WHERE workspace_id = $1", client.workspace.id)

    async def refused() -> bool:
        return await keys.caller(client.workspace.key) is None

    await eventually(refused, "the key is refused", within_s=5)


async def test_a_known_and_an_unknown_key_are_looked_up_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Keys(client.live.pool, cache_s=60)
    asked = []
    looked_up = db.key_owner

    async def counting(reader: Any, key_hash: bytes) -> Any:
        asked.append(key_hash)
        return await looked_up(reader, key_hash)

    monkeypatch.setattr(db, "key_owner", counting)
    stranger = new_key()
    for _ in range(5):
        assert (await keys.caller(client.workspace.key)) is not None
        assert (await keys.caller(stranger)) is None
    assert len(asked) == 2


async def test_unknown_keys_do_not_fill_the_memory(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_CACHE_LIMIT", 20)
    keys = Keys(client.live.pool, cache_s=60)
    for _ in range(100):
        assert await keys.caller(new_key()) is None
        assert len(keys._known) <= 20
