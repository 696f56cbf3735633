"""A document goes in through the gateway and comes out searchable, enriched and with previews."""

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from demo.catalog import QUERIES, SAMPLES, Query, Sample
from demo.make_samples import make_samples
from PIL import Image

from quire_contracts.export import SCHEMAS
from tests.support import stack as stacks
from tests.support.documents import pdf
from tests.support.stack import Stack

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(300)]

SUBSCRIBE = Path(__file__).parents[2] / "docs" / "examples" / "subscribe.py"


@pytest.fixture(scope="module")
def samples(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The demo's documents, processed; by file name."""
    folder = tmp_path_factory.mktemp("samples")
    make_samples(folder)
    with stack.client() as client:
        ids = {}
        for sample in SAMPLES:
            document = stacks.upload(
                client, sample.name, (folder / sample.name).read_bytes(),
                title=sample.title, folder=sample.folder, tags=list(sample.tags),
            )  # fmt: skip
            ids[document["id"]] = sample.name
        done = stacks.finished(client, list(ids))
    return {ids[document_id]: document for document_id, document in done.items()}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_document_of_every_family_becomes_ready(samples: dict[str, Any], sample: Sample) -> None:
    document = samples[sample.name]
    assert document["status"] == "ready", document["stages"]
    assert document["searchable"] == ["keyword", "vector"]
    assert document["summary"]
    assert document["language"] == sample.language


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.text)
def test_a_search_finds_the_document_it_should(samples: dict[str, Any], api: httpx.Client, query: Query) -> None:
    parameters: dict[str, Any] = {"q": query.text, "mode": query.mode, "limit": 5}
    if query.language:
        parameters["language"] = query.language
    found = api.get("/api/v1/search", params=parameters).json()
    names = [hit["document"]["filename"] for hit in found["data"]]
    assert query.finds in names[:3]
    hit = found["data"][names.index(query.finds)]
    text = api.get(f"/api/v1/documents/{hit['document']['id']}/text").text
    for highlight in hit["highlights"]:
        assert text[highlight["start"] : highlight["end"]] == highlight["text"], "a highlight is the text itself"
        for start, end in highlight["ranges"]:
            assert 0 <= start < end <= len(highlight["text"])
    if query.mode == "keyword" and query.page:
        assert query.page in [highlight["page"] for highlight in hit["highlights"]]


def test_facets_count_what_was_found(samples: dict[str, Any], api: httpx.Client) -> None:
    found = api.get("/api/v1/search", params={"q": "station", "mode": "keyword", "limit": 100}).json()
    assert sum(found["facets"]["type"].values()) == len(found["data"])
    narrowed = api.get("/api/v1/search", params={"q": "station", "mode": "keyword", "media_type": "application/pdf"})
    assert {hit["document"]["media_type"] for hit in narrowed.json()["data"]} == {"application/pdf"}


def test_previews_are_pictures_with_the_promised_size(
    samples: dict[str, Any], api: httpx.Client, tmp_path: Path
) -> None:
    document = samples["annual-report-2024.pdf"]
    assert len(document["previews"]) == document["page_count"] == 6
    page = document["previews"][2]
    answer = api.get(page["url"])
    assert answer.headers["content-type"] == "image/webp"
    assert "immutable" in answer.headers["cache-control"]
    (tmp_path / "page.webp").write_bytes(answer.content)
    with Image.open(tmp_path / "page.webp") as image:
        assert image.size == (page["width"], page["height"])
    assert api.get(str(document["thumbnail_url"])).status_code == 200
    assert api.get(f"/api/v1/documents/{document['id']}/previews/7").json()["code"] == "no_such_page"


def test_the_timeline_tells_every_step_with_its_duration(samples: dict[str, Any], api: httpx.Client) -> None:
    document = samples["annual-report-2024.pdf"]
    entries = api.get(f"/api/v1/documents/{document['id']}/timeline").json()["data"]
    types = [entry["type"] for entry in entries]
    assert types[0] == "quire.document.uploaded.v1"
    for expected in ("text.extracted", "document.embedded", "document.indexed", "document.enriched", "preview.ready"):
        assert f"quire.{expected}.v1" in types
    assert all(entry["took_ms"] >= 0 for entry in entries[1:])


def test_one_trace_and_one_correlation_run_from_upload_to_indexed(stack: Stack, own: str) -> None:
    trace = uuid.uuid4().hex
    with stack.client() as client:
        client.headers.update(
            {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "X-Request-Id": f"request-{trace[:8]}"}
        )
        document = stacks.upload(client, "trace.txt", own.encode())
        stacks.finished(client, [document["id"]])
        events = _events(client, document["id"])
    assert {event["type"].split(".")[-2] for event in events} >= {"uploaded", "extracted", "embedded", "indexed"}
    assert {event["traceparent"].split("-")[1] for event in events} == {trace}
    assert {event["correlationid"] for event in events} == {f"request-{trace[:8]}"}


def _events(client: httpx.Client, document_id: str, after: str = "0-0", until: int = 6) -> list[dict[str, Any]]:
    """The events of one document from the stream, from a place in the log on."""
    events: list[dict[str, Any]] = []
    parameters = {"document": document_id, "after": after}
    with client.stream("GET", "/api/v1/events", params=parameters) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: {"):
                events.append(json.loads(line.removeprefix("data: ")))
                if len(events) >= until:
                    break
    return events


def test_the_same_file_twice_is_the_first_document_and_nothing_is_processed_again(api: httpx.Client, own: str) -> None:
    first = stacks.upload(api, "one.txt", own.encode(), title="First")
    stacks.finished(api, [first["id"]])
    before = api.get(f"/api/v1/documents/{first['id']}/timeline").json()["data"]
    again = api.post("/api/v1/documents", files={"file": ("two.txt", own.encode())}, data={"title": "Second"})
    assert again.status_code == 200
    assert (again.json()["id"], again.json()["duplicate"], again.json()["title"]) == (first["id"], True, "First")
    assert first["duplicate"] is False
    marker = stacks.upload(api, "three.txt", f"{own} later".encode())
    stacks.finished(api, [marker["id"]])
    assert api.get(f"/api/v1/documents/{first['id']}/timeline").json()["data"] == before


def test_ten_uploads_of_one_content_at_once_are_one_document(stack: Stack, own: str) -> None:
    def send(number: int) -> dict[str, object]:
        with stack.client() as client:
            return stacks.upload(client, f"{number}.txt", own.encode())

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(send, range(10)))
    assert len({answer["id"] for answer in answers}) == 1
    assert [answer["duplicate"] for answer in answers].count(False) == 1
    with stack.client() as client:
        stacks.finished(client, [str(answers[0]["id"])])


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("encrypted.pdf", pdf.encrypted, "encrypted"),
        ("truncated.pdf", pdf.truncated, "corrupt"),
    ],
)
def test_a_pdf_that_cannot_be_read_fails_with_its_reason_and_is_not_tried_again(
    api: httpx.Client, name: str, content: Callable[[], bytes], reason: str
) -> None:
    document = stacks.upload(api, name, content())
    done = stacks.finished(api, [document["id"]])[document["id"]]
    assert done["status"] == "failed"
    assert done["stages"]["ingest"]["status"] == "failed"
    assert done["stages"]["ingest"]["reason"] == reason
    assert done["stages"]["ingest"]["detail"]
    assert done["stages"]["embed"]["status"] == "skipped"
    entries = api.get(f"/api/v1/documents/{document['id']}/timeline").json()["data"]
    failures = [entry for entry in entries if entry["type"] == "quire.processing.failed.v1"]
    assert all(entry["data"]["attempts"] == 1 for entry in failures)
    assert len([entry for entry in failures if entry["data"]["stage"] == "ingest"]) == 1


def test_a_change_of_title_and_tags_reaches_the_index(api: httpx.Client, own: str) -> None:
    document = stacks.upload(api, "change.txt", own.encode(), tags="before")
    stacks.finished(api, [document["id"]])
    url = f"/api/v1/documents/{document['id']}"
    etag = api.get(url).headers["etag"]
    assert api.get(url, headers={"If-None-Match": etag}).status_code == 304
    changed = api.patch(url, json={"title": "Renamed", "tags": ["after"]}, headers={"If-Match": etag})
    assert (changed.json()["title"], changed.json()["tags"], changed.json()["version"]) == ("Renamed", ["after"], 2)
    stale = api.patch(url, json={"title": "Lost"}, headers={"If-Match": etag})
    assert stale.status_code == 412
    token = own.split()[-1]
    _until(lambda: _found(api, token, tag="after") == [document["id"]], "the new tag filters")
    assert _found(api, token, tag="before") == []


def test_a_deleted_document_is_gone_everywhere(stack: Stack, api: httpx.Client, own: str) -> None:
    token = own.split()[-1]
    document = stacks.upload(api, "gone.txt", own.encode())
    stacks.finished(api, [document["id"]])
    assert _found(api, token) == [document["id"]]
    assert api.delete(f"/api/v1/documents/{document['id']}").status_code == 204
    assert _found(api, token) == [], "the catalog is asked about every hit"
    for part in ("", "/text", "/content", "/timeline", "/previews/1"):
        assert api.get(f"/api/v1/documents/{document['id']}{part}").status_code == 404
    assert api.delete(f"/api/v1/documents/{document['id']}").status_code == 404
    objects = stack.home / "objects"
    _until(lambda: not list(objects.glob(f"*/{document['id']}/**/*")), "its objects are deleted")
    again = stacks.upload(api, "gone.txt", own.encode())
    assert again["duplicate"] is False
    assert again["id"] != document["id"]
    stacks.finished(api, [again["id"]])


def _found(api: httpx.Client, query: str, **filters: str) -> list[str]:
    answer = api.get("/api/v1/search", params={"q": query, "mode": "keyword", **filters})
    return [hit["document"]["id"] for hit in answer.json()["data"]]


def _until(condition: Callable[[], object], what: str, within_s: float = 15) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_content_comes_back_as_it_went_in_and_in_part(api: httpx.Client, own: str) -> None:
    content = (own + "\n").encode() * 2000
    document = stacks.upload(api, 'ünïcode "quoted" name.txt', content)
    url = f"/api/v1/documents/{document['id']}/content"
    whole = api.get(url)
    assert whole.content == content
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in whole.headers["content-security-policy"]
    assert whole.headers["content-disposition"].startswith("attachment")
    part = api.get(url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(content)}"
    assert api.get(url, headers={"Range": "bytes=-5"}).content == content[-5:]
    assert api.get(url, headers={"Range": f"bytes={len(content)}-"}).status_code == 416
    many = "bytes=" + ",".join(f"{n}-{n}" for n in range(5000))
    assert api.get(url, headers={"Range": many}).status_code in {200, 416, 431, 400}
    stacks.finished(api, [document["id"]])


def test_the_list_pages_through_everything_once(api: httpx.Client, own: str) -> None:
    ids = {stacks.upload(api, f"{n}.txt", f"{own} {n}".encode(), folder="/paging/deep")["id"] for n in range(7)}
    seen, cursor = [], None
    while True:
        parameters: dict[str, Any] = {"limit": 3, "folder": "/paging", **({"cursor": cursor} if cursor else {})}
        page = api.get("/api/v1/documents", params=parameters).json()
        seen += [document["id"] for document in page["data"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert len(seen) == len(set(seen)) == 7
    assert set(seen) == ids
    other = api.get("/api/v1/documents", params={"limit": 3}).json()["next_cursor"]
    foreign = api.get("/api/v1/documents", params={"limit": 3, "folder": "/paging", "cursor": other})
    assert (foreign.status_code, foreign.json()["code"]) == (400, "bad_cursor")
    stacks.finished(api, list(ids))


def test_a_stream_resumes_after_the_last_event_it_gave(api: httpx.Client, own: str) -> None:
    document = stacks.upload(api, "resume.txt", own.encode())
    stacks.finished(api, [document["id"]])
    total = len(api.get(f"/api/v1/documents/{document['id']}/timeline").json()["data"])
    ids: list[str] = []
    with api.stream("GET", "/api/v1/events", params={"document": document["id"], "after": "0-0"}) as stream:
        for line in stream.iter_lines():
            if line.startswith("id: "):
                ids.append(line.removeprefix("id: "))
                if len(ids) == total:
                    break
    assert len(set(ids)) == total
    rest = _events(api, document["id"], after=ids[1], until=total - 2)
    assert len(rest) == total - 2


def test_another_system_receives_every_event_of_an_upload(stack: Stack, api: httpx.Client, own: str) -> None:
    environment = {**stack.environment, "QUIRE_BROKER_URL": stack.credentials["QUIRE_BROKER_URL"]}
    subscriber = subprocess.Popen([sys.executable, str(SUBSCRIBE)], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert subscriber.stdout is not None
        assert subscriber.stdout.readline().strip() == "subscribed"
        document = stacks.upload(api, "outside.txt", own.encode())
        stacks.finished(api, [document["id"]])
        logged = {entry["id"] for entry in api.get(f"/api/v1/documents/{document['id']}/timeline").json()["data"]}
        received: dict[str, Any] = {}
        while not logged <= set(received):
            event = json.loads(subscriber.stdout.readline())
            if event["subject"] == document["id"]:
                received[event["id"]] = event
    finally:
        subscriber.kill()
        subscriber.wait()
    assert len(received) == len(logged) >= 6
    for event in received.values():
        schema = json.loads((SCHEMAS / f"{event['type']}.json").read_text())
        jsonschema.Draft202012Validator(schema).validate(event)


def test_the_readme_shows_the_subscriber_that_is_tested() -> None:
    readme = (SUBSCRIBE.parents[2] / "README.md").read_text()
    program = SUBSCRIBE.read_text().split('"""', 2)[2].strip()
    assert program in readme
