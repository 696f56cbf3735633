"""Sweep, reconcile and rebuild-index, as methods and as commands."""

import json
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from quire_client import Difference, Quire, QuireError, Rebuilt, Reconciled, Unreachable, WorkProgress, cli
from tests.integration.client.server import Api, problem

Captured = pytest.CaptureFixture[str]

PROGRESS = {"type": "progress", "phase": "documents", "done": 3, "total": 9, "rate": 1.5, "paused": False, "new": 1}
PAUSED = {**PROGRESS, "done": 4, "paused": True}
OBJECTS = {"type": "progress", "phase": "objects", "done": 0, "total": None, "rate": None, "paused": False}
MENDED = {
    "type": "difference", "kind": "missing_in_index", "document": "doc_1", "workspace": "ws_1",
    "detail": "the index does not have it", "repaired": True,
}  # fmt: skip
LEFT = {
    **MENDED,
    "kind": "missing_object",
    "document": "doc_2",
    "detail": "the \u2028content\x1b[31m",
    "repaired": False,
}
SUMMARY = {
    "type": "summary", "documents": 9, "processing": 2, "moving": 1,
    "differences": {"missing_in_index": 1, "missing_object": 1}, "repaired": 1, "unrepaired": 1, "took_s": 1.24,
}  # fmt: skip
WHOLE = {**SUMMARY, "differences": {}, "repaired": 0, "unrepaired": 0, "processing": 0, "moving": 0}
REBUILT = {"type": "summary", "documents": 9, "events": 27, "waiting": 0, "took_s": 190.0}


def lines(*given: dict[str, Any]) -> Response:
    return Response("".join(json.dumps(one) + "\n" for one in given), media_type="application/x-ndjson")


async def test_reconcile_gives_line_after_line(api: Api, quire: Quire) -> None:
    api.on("POST /admin/reconcile", lines(PROGRESS, MENDED, LEFT, SUMMARY))
    found = [line async for line in quire.upkeep.reconcile(repair=True)]
    assert [type(line) for line in found] == [WorkProgress, Difference, Difference, Reconciled]
    assert (found[1], found[3]) == (Difference(**MENDED), Reconciled(**SUMMARY))
    (request,) = api.calls("POST /admin/reconcile")
    assert dict(request.query_params) == {"repair": "true", "checksums": "false"}


async def test_rebuilding_says_that_it_is_meant(api: Api, quire: Quire) -> None:
    api.on("POST /admin/rebuild-index", lines(PROGRESS, REBUILT))
    assert [line async for line in quire.upkeep.rebuild_index()][-1] == Rebuilt(**REBUILT)
    assert json.loads(api.uploads[0].head) == {"confirm": True}


async def test_an_error_on_the_way_is_raised_after_the_lines_before_it(api: Api, quire: Quire) -> None:
    error = {"type": "error", "code": "search_unavailable", "detail": "The search service does not say what it has."}
    api.on("POST /admin/reconcile", lines(MENDED, error))
    walk = quire.upkeep.reconcile()
    assert await anext(walk) == Difference(**MENDED)
    with pytest.raises(QuireError, match="does not say what it has") as raised:
        await anext(walk)
    assert raised.value.code == "search_unavailable"


async def test_an_answer_that_ends_without_its_summary_is_not_taken_for_the_whole(api: Api, quire: Quire) -> None:
    api.on("POST /admin/reconcile", lines(PROGRESS, MENDED))
    with pytest.raises(Unreachable):
        [line async for line in quire.upkeep.reconcile()]


async def test_long_work_is_never_begun_twice(api: Api, quire: Quire) -> None:
    async def breaks(_request: Request) -> Response:
        async def body() -> Any:
            yield json.dumps(PROGRESS).encode()
            raise ConnectionAbortedError

        return StreamingResponse(body(), media_type="application/x-ndjson")

    api.on("POST /admin/rebuild-index", breaks)
    with pytest.raises(Unreachable):
        [line async for line in quire.upkeep.rebuild_index()]
    assert len(api.calls("POST /admin/rebuild-index")) == 1


def test_reconcile_shows_a_table_and_fails_where_differences_are_left(environment: Api, capsys: Captured) -> None:
    environment.on("POST /admin/reconcile", lines(PROGRESS, PAUSED, MENDED, OBJECTS, LEFT, SUMMARY))
    assert cli.run(["admin", "reconcile", "--repair", "--checksums"]) == 1
    shown = capsys.readouterr()
    table, _, counts = shown.out.partition("\n\n")
    assert [line.split()[:3] for line in table.split("\n")[1:]] == [
        ["missing_in_index", "doc_1", "yes"], ["missing_object", "doc_2", "no"],
    ]  # fmt: skip
    assert "\x1b" not in shown.out
    assert counts.splitlines() == [
        "2 differences: missing_in_index 1, missing_object 1",
        "9 documents compared, 2 still processing, 1 changed just now; 1 repaired, 1 not; 1.24 s",
    ]
    assert "documents: 4 of 9, 2/s, waits until the search service" in shown.err


def test_reconcile_succeeds_where_nothing_is_left(environment: Api, capsys: Captured) -> None:
    environment.on("POST /admin/reconcile", lines(PROGRESS, WHOLE))
    assert cli.run(["admin", "reconcile"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "no differences", "9 documents compared; 0 repaired, 0 not; 1.24 s",
    ]  # fmt: skip


def test_reconcile_as_json_is_the_differences_and_the_summary(environment: Api, capsys: Captured) -> None:
    environment.on("POST /admin/reconcile", lines(PROGRESS, MENDED, LEFT, SUMMARY))
    assert cli.run(["admin", "reconcile", "--json"]) == 1
    assert [json.loads(line) for line in capsys.readouterr().out.split("\n")[:-1]] == [MENDED, LEFT, SUMMARY]


def test_rebuilding_asks_first_and_tells_what_was_done(environment: Api, capsys: Captured) -> None:
    environment.on("POST /admin/rebuild-index", lines(PROGRESS, REBUILT))
    assert cli.run(["admin", "rebuild-index"]) == 2, "nobody can be asked"
    assert environment.requests == []
    assert cli.run(["admin", "rebuild-index", "--yes"]) == 0
    assert capsys.readouterr().out == "rebuilt: 9 documents, 27 events, in 3 min 10 s\n"


def test_rebuilding_fails_where_the_search_service_takes_nothing(environment: Api, capsys: Captured) -> None:
    environment.on("POST /admin/rebuild-index", lines({**REBUILT, "waiting": 7}))
    assert cli.run(["admin", "rebuild-index", "-y"]) == 1
    assert "7 events wait" in capsys.readouterr().err


def test_a_sweep_tells_what_it_did(environment: Api, capsys: Captured) -> None:
    done = {"replayed": 2, "failed": 1, "waiting": 0, "objects": None, "uploads": None}
    environment.on("POST /admin/sweep", done, {**done, "objects": 4, "uploads": 0})
    assert cli.run(["admin", "sweep"]) == 0
    assert capsys.readouterr().out == "2 documents replayed, 1 failed as stuck, 0 waiting\n"
    assert cli.run(["admin", "sweep"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "4 orphaned objects, 0 unfinished uploads deleted"


def test_another_one_at_work_is_told_in_words(environment: Api, capsys: Captured) -> None:
    environment.on("POST /admin/reconcile", problem(409, "busy", "The index is being compared or rebuilt already."))
    assert cli.run(["admin", "reconcile"]) == 1
    assert "compared or rebuilt already" in capsys.readouterr().err
