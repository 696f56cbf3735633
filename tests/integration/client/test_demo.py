"""The demo's own judgement: what was found, how long it took, and what is stuck."""

from pathlib import Path

import pytest
from demo import report, run, searches
from demo.catalog import QUERIES
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from quire_client import Hit, TimelineEntry
from tests.integration.client.server import STAGES, Api, document, problem

UPLOADED, INDEXED, UPDATED = (f"quire.document.{name}.v1" for name in ("uploaded", "indexed", "updated"))


def entry(kind: str, since: int) -> TimelineEntry:
    return TimelineEntry.model_validate(
        {
            "id": f"{kind}-{since}",
            "type": kind,
            "time": "2026-01-02T03:04:05Z",
            "since_upload_ms": since,
            "summary": kind,
        }
    )


def test_the_first_index_makes_it_searchable_and_a_later_change_does_not_count_as_processing() -> None:
    timeline = [entry(UPLOADED, 0), entry(INDEXED, 300), entry(INDEXED, 500), entry(UPDATED, 90_000)]
    assert report.searchable_ms(timeline) == 300
    assert report.ready_ms(timeline) == 500
    assert report.searchable_ms([entry(UPLOADED, 0)]) is None


@pytest.mark.parametrize(("share", "value"), [(0.5, 10), (0.95, 19), (1, 20)])
def test_percentiles_are_values_that_were_measured(share: float, value: int) -> None:
    assert report.percentile(list(range(20, 0, -1)), share) == value


def test_documents_that_are_not_of_the_demo_do_not_count_in_the_order() -> None:
    names = ["mine.pdf", "other.pdf", QUERIES[0].finds]
    hits = [
        Hit.model_validate({"document": document(number, filename=name), "score": 1})
        for number, name in enumerate(names, 1)
    ]
    ours = {hits[1].document.id, hits[2].document.id}
    assert searches.place_of(QUERIES[0], hits, ours) == 2
    assert searches.place_of(QUERIES[0], hits[:2], ours) is None


@pytest.fixture
def stack(environment: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.setenv("QUIRE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(run, "PATIENCE_S", 0.2)
    environment.on("GET /events", problem(400, "bad", "no stream"))
    documents = Path(tmp_path / "own")
    documents.mkdir()
    (documents / "owls.txt").write_text("owls")
    return environment


def test_what_is_stuck_is_named_with_its_stages(stack: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stages = {name: {"status": "pending" if name == "enrich" else "done"} for name in STAGES}
    stuck = document(status="processing", stages=stages)
    stack.on("POST /documents", stuck | {"duplicate": False})
    stack.on(f"GET /documents/{stuck['id']}", stuck)
    stack.on(f"GET /documents/{stuck['id']}/timeline", {"data": []})
    assert run.main(["--files", str(tmp_path / "own"), "--timeout", "0.1"]) == 1
    shown = capsys.readouterr().out
    assert "1 document did not come to an end within 0 s" in shown
    assert "enrich   is missing for owls.txt" in shown


def test_people_s_own_documents_are_shown_with_a_search_previews_and_the_duplicate(
    stack: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preview = {"page": 1, "url": "/api/v1/documents/x/previews/1", "width": 10, "height": 20}
    known = document(filename="owls.txt", title="Owls", keywords=["owl", "night"], previews=[preview])

    async def upload(_: Request) -> Response:
        return JSONResponse(known | {"duplicate": len(stack.uploads) > 1})

    stack.on("POST /documents", upload)
    stack.on(f"GET /documents/{known['id']}", known)
    timeline = [entry(UPLOADED, 0), entry(INDEXED, 300)]
    stack.on(f"GET /documents/{known['id']}/timeline", {"data": [one.model_dump(mode="json") for one in timeline]})
    stack.on("GET /search", {"data": [{"document": known, "score": 1.0}], "facets": {"tag": {"one": 1}}, "took_ms": 1})
    stack.on(f"GET /documents/{known['id']}/previews/1", Response(b"RIFF"))
    assert run.main(["--files", str(tmp_path / "own")]) == 0
    shown = capsys.readouterr().out
    assert [request.query_params["mode"] for request in stack.calls("GET /search")] == ["keyword", "semantic", "hybrid"]
    assert "owl night  semantic" in shown
    assert "owls.txt: duplicate: true" in shown
    assert "searchable  p50 300 ms, p95 300 ms" in shown
    assert (tmp_path / "home" / "demo" / "owls-1.webp").read_bytes() == b"RIFF"


def test_without_files_there_is_nothing_to_show(stack: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--files", str(tmp_path / "empty")]) == 2
    assert "there are no files below" in capsys.readouterr().err
