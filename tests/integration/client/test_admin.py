"""The commands `quire retry` and `quire admin`: what they ask of the server, what they print, and their exit codes."""

import json
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from quire_client import Quire, QuireError, admin_cli, cli, retry_cli
from tests.integration.client.server import KEY, MOMENT, Api, document, problem

ID = document()["id"]
LETTER = "dl_" + "5" * 32
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (admin_cli, retry_cli):
        monkeypatch.setattr(module, "PATIENCE_S", 0.2)


def letter(**changes: Any) -> dict[str, Any]:
    """A dead letter as the API shows it."""
    return {
        "id": LETTER, "service": "embedder", "event_id": "e1", "event_type": "quire.text.extracted.v1",
        "workspace": "ws_1", "document": ID, "event_time": MOMENT, "reason": "KeyError: \x1b[31m'x'", "attempts": 7,
        "times": 2, "first_at": MOMENT, "last_at": MOMENT, "state": "parked", "a_field_of_tomorrow": 1,
    } | changes  # fmt: skip


def told(api: Api, call: str) -> list[Any]:
    """The JSON bodies of the requests of a call."""
    posts = [request for request in api.requests if request.method == "POST"]
    bodies = [json.loads(upload.head) if upload.head else None for upload in api.uploads]
    return [body for request, body in zip(posts, bodies, strict=True) if f"POST {request.url.path}".endswith(call)]


def changed(matched: int, done: int, refused: int = 0, dry_run: bool = False) -> dict[str, Any]:
    return {"matched": matched, "changed": done, "refused": refused, "dry_run": dry_run}


# quire retry


def test_a_document_is_retried(environment: Api, capsys: Captured) -> None:
    environment.on(f"POST /documents/{ID}/retry", document(status="processing"))
    assert cli.run(["retry", ID, "--stage", "embed", "--force"]) == 0
    assert told(environment, "/retry") == [{"stage": "embed", "force": True}]
    assert capsys.readouterr().out.startswith(f"{ID}  ingest …  embed …")


def test_a_retry_that_is_refused_says_why(environment: Api, capsys: Captured) -> None:
    environment.on(f"POST /documents/{ID}/retry", problem(409, "stage_before", "ingest has to come first."))
    assert cli.run(["retry", ID]) == 1
    assert "ingest has to come first. (409 stage_before" in capsys.readouterr().err


def test_many_documents_are_counted_before_they_are_retried(environment: Api, capsys: Captured) -> None:
    would, did = {"matched": 3, "retried": 0, "dry_run": True}, {"matched": 3, "retried": 2, "dry_run": False}
    environment.on("POST /documents/retry", JSONResponse(would), JSONResponse(did))
    assert cli.run(["retry", "--status", "failed", "-t", "a", "-t", "b", "--stage", "embed", "--yes"]) == 0
    which = {"status": "failed", "tag": ["a", "b"], "stage": "embed"}
    assert told(environment, "/documents/retry") == [{**which, "dry_run": True}, {**which, "dry_run": False}]
    assert capsys.readouterr().out == "retried 2 of 3 documents\n"


def test_a_dry_run_of_a_retry_only_counts(environment: Api, capsys: Captured) -> None:
    environment.on("POST /documents/retry", {"matched": 3, "retried": 0, "dry_run": True})
    assert cli.run(["retry", "--reason", "exhausted", "--dry-run"]) == 0
    assert told(environment, "/retry") == [{"reason": "exhausted", "dry_run": True}]
    assert capsys.readouterr().out == "3 documents would be retried\n"


def test_many_are_not_retried_without_being_asked(environment: Api, capsys: Captured) -> None:
    environment.on("POST /documents/retry", {"matched": 3, "retried": 0, "dry_run": True})
    assert cli.run(["retry", "--status", "failed"]) == 2
    assert [body["dry_run"] for body in told(environment, "/retry")] == [True]
    assert "--yes" in capsys.readouterr().err


@pytest.mark.parametrize(
    "tokens", [[], [ID, "--status", "failed"], ["--force", "--stage", "embed"], [ID, "--dry-run"]], ids=str
)
def test_a_retry_that_does_not_say_which_ends_with_2(environment: Api, tokens: list[str]) -> None:
    assert cli.run(["retry", *tokens]) == 2
    assert environment.requests == []


# quire admin dead-letters


def test_dead_letters_are_listed_by_what_they_have_in_common(environment: Api, capsys: Captured) -> None:
    pages = [{"data": [letter()], "next_cursor": "c"}, {"data": [letter(event_type=None)], "next_cursor": None}]
    environment.on("GET /admin/dead-letters", *map(JSONResponse, pages))
    assert cli.run(["admin", "dead-letters", "list", "--service", "embedder", "--since", "2026-01-02"]) == 0
    first, second = environment.calls("GET /admin/dead-letters")
    assert (first.query_params["service"], first.query_params["state"]) == ("embedder", "parked")
    assert first.query_params["since"].startswith("2026-01-02T00:00:00")
    assert second.query_params["cursor"] == "c"
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["ID", "Service", "Event", "Document", "Tries", "Times", "Last", "State", "Reason"]
    assert lines[1].startswith(f"{LETTER}  embedder  text.extracted.v1")
    assert "\x1b" not in "".join(lines)
    assert "not an event" in lines[2]


def test_a_list_of_dead_letters_stops_at_its_limit_and_may_be_json(environment: Api, capsys: Captured) -> None:
    environment.on("GET /admin/dead-letters", {"data": [letter()] * 3, "next_cursor": "more"})
    assert cli.run(["admin", "dead-letters", "list", "--limit", "2", "--state", "any", "--json"]) == 0
    (request,) = environment.calls("GET /admin/dead-letters")
    assert (request.query_params["limit"], request.query_params["state"]) == ("2", "any")
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [LETTER, LETTER]


def test_no_dead_letters_is_said(environment: Api, capsys: Captured) -> None:
    environment.on("GET /admin/dead-letters", {"data": [], "next_cursor": None})
    assert cli.run(["admin", "dead-letters", "list"]) == 0
    assert capsys.readouterr().out == "no dead letters\n"


def test_a_dead_letter_is_shown_with_its_headers_and_its_message(environment: Api, capsys: Captured) -> None:
    event = {"id": "e1", "data": {"title": "x\x1b[2J"}}
    environment.on(
        f"GET /admin/dead-letters/{LETTER}", letter(headers={"x-quire-attempt": 7}, event=event, body_base64=None)
    )
    assert cli.run(["admin", "dead-letters", "show", LETTER]) == 0
    shown = capsys.readouterr().out
    assert "7, given up 2 times" in shown
    assert "x-quire-attempt:" in shown
    assert '  "data": {\n    "title"' in shown
    assert "\x1b" not in shown


def test_a_message_that_is_no_json_is_shown_in_base64(environment: Api, capsys: Captured) -> None:
    environment.on(f"GET /admin/dead-letters/{LETTER}", letter(headers={}, event=None, body_base64="//4="))
    assert cli.run(["admin", "dead-letters", "show", LETTER]) == 0
    assert "in base64: //4=" in capsys.readouterr().out


@pytest.mark.parametrize(("verb", "done"), [("requeue", "requeued"), ("discard", "discarded")])
def test_dead_letters_are_settled_one_by_one(environment: Api, capsys: Captured, verb: str, done: str) -> None:
    environment.on(f"POST /admin/dead-letters/{LETTER}/{verb}", letter(state=done))
    environment.on(f"POST /admin/dead-letters/dl_gone/{verb}", problem(409, "not_parked", "It does not wait."))
    assert cli.run(["admin", "dead-letters", verb, "dl_gone", LETTER, "--yes"]) == 1
    captured = capsys.readouterr()
    assert captured.out == f"{done} {LETTER}\n"
    assert "dl_gone: It does not wait." in captured.err


@pytest.mark.parametrize(("verb", "done"), [("requeue", "requeued"), ("discard", "discarded")])
def test_all_that_fit_are_counted_before_they_are_settled(
    environment: Api, capsys: Captured, verb: str, done: str
) -> None:
    call = f"POST /admin/dead-letters/{verb}"
    environment.on(call, JSONResponse(changed(4, 0, dry_run=True)), JSONResponse(changed(4, 4)))
    assert cli.run(["admin", "dead-letters", verb, "--all", "--service", "embedder", "--reason", "Key", "--yes"]) == 0
    which = {"service": "embedder", "reason": "Key"}
    assert told(environment, f"/dead-letters/{verb}") == [{**which, "dry_run": True}, {**which, "dry_run": False}]
    assert capsys.readouterr().out == f"{done} 4 of 4 dead letters\n"


def test_a_dry_run_of_a_requeue_only_counts(environment: Api, capsys: Captured) -> None:
    environment.on("POST /admin/dead-letters/requeue", changed(4, 0, dry_run=True))
    assert cli.run(["admin", "dead-letters", "requeue", "--all", "--dry-run"]) == 0
    assert told(environment, "/requeue") == [{"dry_run": True}]
    assert capsys.readouterr().out == "4 dead letters would be requeued\n"


def test_what_cannot_be_requeued_is_told(environment: Api, capsys: Captured) -> None:
    answers = (JSONResponse(changed(2, 0, dry_run=True)), JSONResponse(changed(2, 1, refused=1)))
    environment.on("POST /admin/dead-letters/requeue", *answers)
    assert cli.run(["admin", "dead-letters", "requeue", "--all", "--yes"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "requeued 1 of 2 dead letters\n"
    assert "can only be discarded" in captured.err


@pytest.mark.parametrize("tokens", [[LETTER], ["--all"]], ids=str)
def test_nothing_is_settled_without_being_asked(environment: Api, tokens: list[str]) -> None:
    environment.on("POST /admin/dead-letters/discard", changed(4, 0, dry_run=True))
    assert cli.run(["admin", "dead-letters", "discard", *tokens]) == 2
    assert all(body["dry_run"] for body in told(environment, "/discard"))


@pytest.mark.parametrize(
    "tokens", [[], ["--service", "ingest"], [LETTER, "--all"], [LETTER, "--service", "ingest"], [LETTER, "--dry-run"]],
    ids=str,
)  # fmt: skip
def test_a_requeue_that_does_not_say_which_ends_with_2(environment: Api, tokens: list[str]) -> None:
    assert cli.run(["admin", "dead-letters", "requeue", *tokens, "--yes"]) == 2
    assert environment.requests == []


def test_a_key_that_may_not_is_told(environment: Api, capsys: Captured) -> None:
    environment.on("GET /admin/dead-letters", problem(403, "forbidden", "This needs a key with the scope `operator`."))
    assert cli.run(["admin", "dead-letters", "list"]) == 1
    assert "scope `operator`" in capsys.readouterr().err


# quire admin audit


def test_the_audit_log_is_shown(environment: Api, capsys: Captured) -> None:
    entry = {
        "at": MOMENT, "actor": "key_1", "action": "dead-letters.discard", "workspace": None, "subject": None,
        "detail": {"ids": [LETTER]},
    }  # fmt: skip
    environment.on("GET /admin/audit", {"data": [entry], "next_cursor": None})
    assert cli.run(["admin", "audit", "--action", "dead-letters", "--subject", LETTER]) == 0
    (request,) = environment.calls("GET /admin/audit")
    assert (request.query_params["action"], request.query_params["subject"]) == ("dead-letters", LETTER)
    assert "key_1  dead-letters.discard" in capsys.readouterr().out


# The client


async def test_what_may_have_arrived_is_not_sent_again(quire: Quire, api: Api) -> None:
    async def breaks(_: Request) -> Response:
        raise ConnectionAbortedError

    api.on(f"POST /admin/dead-letters/{LETTER}/requeue", breaks)
    with pytest.raises(QuireError):
        await quire.admin.requeue(LETTER)
    assert len(api.calls(f"POST /admin/dead-letters/{LETTER}/requeue")) == 1
    assert api.requests[0].headers["x-api-key"] == KEY


async def test_what_the_server_is_too_busy_for_is_sent_again(quire: Quire, api: Api) -> None:
    busy = problem(503, "busy", "Too many events wait.", {"Retry-After": "0"})
    api.on("POST /documents/retry", busy, JSONResponse({"matched": 1, "retried": 1, "dry_run": False}))
    assert (await quire.retry_all(ids=[ID])).retried == 1
    assert len(api.calls("POST /documents/retry")) == 2
