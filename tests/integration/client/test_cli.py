"""The command `quire`: what it prints, and its exit codes."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from quire_client import cli
from tests.integration.client.server import KEY, Api, document, event, problem

ID = document()["id"]
Captured = pytest.CaptureFixture[str]
PASSAGE = "the chain parts at the north sprocket"
HIT = {
    "document": document(title="Incident [bold]review[/bold]"), "score": 0.913,
    "highlights": [{"text": PASSAGE, "page": 2, "start": 0, "end": 37, "ranges": [[23, 28], [29, 37]]}],
}  # fmt: skip
FOUND = {"data": [HIT], "facets": {"tag": {"dome": 2, "storm": 5}, "language": {}}, "took_ms": 12.4}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "PATIENCE_S", 0.2)
    monkeypatch.setattr(cli, "UPLOAD_PATIENCE_S", 0.2)


def entry(summary: str, since: int) -> dict[str, object]:
    return {
        "id": summary, "type": "quire.document.indexed.v1", "source": "/quire/search", "time": "2026-01-02T03:04:05Z",
        "since_upload_ms": since, "took_ms": 35, "summary": summary, "data": {},
    }  # fmt: skip


def files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def no_stream(api: Api) -> None:
    api.on("GET /events", problem(400, "bad", "no stream"))


def test_a_search_shows_passages_with_the_matched_words_marked(environment: Api, capsys: Captured) -> None:
    environment.on("GET /search", FOUND)
    assert (
        cli.run(["search", "north sprocket", "--mode", "keyword", "-t", "a", "-t", "b", "--type", "application/pdf"])
        == 0
    )
    shown = capsys.readouterr().out
    assert re.search(r"1\. +Incident \[bold\]review\[/bold\]  0\.913  page 2  /a  doc_0+1$", shown, re.MULTILINE)
    assert "the chain parts at the *north* *sprocket*" in shown
    assert re.search(r"tag +storm \(5\), dome \(2\)$", shown, re.MULTILINE)
    assert "1 document in 12 ms" in shown
    asked = environment.requests[0].query_params
    assert (asked["mode"], asked.getlist("tag"), asked["media_type"]) == ("keyword", ["a", "b"], "application/pdf")


def test_nothing_found_is_said(environment: Api, capsys: Captured) -> None:
    environment.on("GET /search", {"data": [], "facets": {}, "took_ms": 1})
    assert cli.run(["search", "-not"]) == 0
    assert capsys.readouterr().out.strip() == "no documents in 1 ms"


def test_a_search_as_json_is_the_answer(environment: Api, capsys: Captured) -> None:
    environment.on("GET /search", FOUND)
    assert cli.run(["search", "x", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"][0]["highlights"][0]["ranges"] == [[23, 28], [29, 37]]


def test_a_list_stops_at_its_limit(environment: Api, capsys: Captured) -> None:
    environment.on("GET /documents", {"data": [document(1), document(2), document(3)], "next_cursor": "more"})
    assert cli.run(["list", "--limit", "2", "--json"]) == 0
    assert [json.loads(line)["title"] for line in capsys.readouterr().out.splitlines()] == ["Document 1", "Document 2"]
    assert len(environment.requests) == 1


def test_plain_output_has_no_control_codes(environment: Api, capsys: Captured) -> None:
    environment.on("GET /documents", {"data": [document(title="\x1b[31mred\x1b]0;x\x07")], "next_cursor": None})
    assert cli.run(["list"]) == 0
    shown = capsys.readouterr().out
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown)
    assert not re.search(r" $", shown, re.MULTILINE)
    assert ID in shown


def test_a_document_is_shown_with_the_reasons_of_its_stages_and_its_timeline(
    environment: Api, capsys: Captured
) -> None:
    stages = document()["stages"] | {
        "preview": {"status": "failed", "reason": "corrupt", "detail": "Page 1 is broken."}
    }
    environment.on(f"GET /documents/{ID}", document(stages=stages, summary="It is short.", keywords=["a", "b"]))
    environment.on(f"GET /documents/{ID}/timeline", {"data": [entry("uploaded", 0), entry("found by keyword", 1240)]})
    assert cli.run(["show", ID]) == 0
    shown = capsys.readouterr().out
    assert "preview ✗  Page 1 is broken. (corrupt)" in shown
    assert re.search(r"summary +It is short\.", shown)
    assert re.search(r"1\.24 s +35 ms +search +found by keyword", shown)


def test_an_upload_tells_new_duplicate_and_failed_apart(environment: Api, capsys: Captured, tmp_path: Path) -> None:
    async def by_content(_: Request) -> Response:
        head = environment.uploads[-1].head
        if b"bad.bin" in head:
            return problem(415, "unsupported_type", "The content is application/x-elf, which is not taken.")
        body = document(2 if b"old.txt" in head else 1) | {"duplicate": b"old.txt" in head}
        return Response(json.dumps(body), 202, media_type="application/json")

    environment.on("POST /documents", by_content)
    folder = files(tmp_path / "in", "new.txt", "sub/deeper/old.txt", "bad.bin", ".hidden", ".git/config")
    assert cli.run(["upload", str(folder), "--folder", "/f", "--tag", "t"]) == 1
    shown = capsys.readouterr().out
    assert re.search(r"^uploaded +.*new\.txt  doc_0+1$", shown, re.MULTILINE)
    assert re.search(r"^duplicate +.*old\.txt  doc_0+2$", shown, re.MULTILINE)
    assert re.search(r"^failed +.*bad\.bin: The content is application/x-elf", shown, re.MULTILINE)
    assert shown.splitlines()[-1] == "1 uploaded, 1 duplicate, 1 failed"
    filed = {re.findall(rb'name="folder"\r\n\r\n(.*)\r\n', one.head)[0] for one in environment.uploads}
    assert filed == {b"/f", b"/f/sub/deeper"}
    assert len(environment.uploads) == 3


def test_an_upload_may_wait_until_the_document_is_ready(environment: Api, capsys: Captured, tmp_path: Path) -> None:
    no_stream(environment)
    environment.on("POST /documents", document(status="processing") | {"duplicate": False})
    environment.on(f"GET /documents/{ID}", document())
    assert cli.run(["upload", str(files(tmp_path, "a.txt") / "a.txt"), "--wait"]) == 0
    assert re.search(rf"^ready +.*a\.txt  {ID}\n1 ready, 0 duplicate, 0 failed$", capsys.readouterr().out, re.MULTILINE)


def test_a_document_that_cannot_be_processed_fails_the_upload(
    environment: Api, capsys: Captured, tmp_path: Path
) -> None:
    no_stream(environment)
    stages = document()["stages"] | {"ingest": {"status": "failed", "reason": "encrypted", "detail": "It is locked."}}
    environment.on("POST /documents", document(status="processing") | {"duplicate": False})
    environment.on(f"GET /documents/{ID}", document(status="failed", stages=stages))
    assert cli.run(["upload", str(files(tmp_path, "a.pdf")), "--wait", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["error"] == "ingest: It is locked."
    assert told["document"]["status"] == "failed"


def test_an_upload_that_is_not_ready_in_time_names_the_stages(
    environment: Api, capsys: Captured, tmp_path: Path
) -> None:
    no_stream(environment)
    environment.on("POST /documents", document(status="processing") | {"duplicate": False})
    environment.on(f"GET /documents/{ID}", document(status="processing"))
    assert cli.run(["upload", str(files(tmp_path, "a.txt")), "--wait", "--timeout", "0.1"]) == 1
    assert "still waits for ingest, embed, index, preview, enrich" in capsys.readouterr().out


def test_a_file_that_is_not_there_is_told_in_words(environment: Api, capsys: Captured) -> None:
    assert cli.run(["upload", "/nowhere/x.txt"]) == 1
    assert capsys.readouterr().err == "quire: /nowhere/x.txt: there is no such file.\n"


def test_a_download_prints_its_path_and_overwrites_nothing_unasked(
    environment: Api, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environment.on(f"GET /documents/{ID}", document(sha256=hashlib.sha256(b"bytes").hexdigest(), filename="a.txt"))
    environment.on(f"GET /documents/{ID}/content", Response(b"bytes"))
    assert cli.run(["download", ID]) == 0
    assert capsys.readouterr() == ("a.txt\n", "")
    assert (tmp_path / "a.txt").read_bytes() == b"bytes"
    assert cli.run(["download", ID]) == 1
    assert "a.txt is there already" in capsys.readouterr().err
    assert cli.run(["download", ID, "-o", "b.txt"]) == 0
    assert (tmp_path / "b.txt").read_bytes() == b"bytes"


def test_watch_shows_events_as_lines(environment: Api, capsys: Captured) -> None:
    async def stream(request: Request) -> Response:
        if request.headers.get("last-event-id") == "1-2":
            return problem(401, "unauthorized", "The API key is not valid.")

        async def body() -> AsyncIterator[str]:
            yield event(1, ID, characters=5966)
            yield event(2, ID, "quire.processing.failed.v1", stage="preview", detail="It is broken.")

        return StreamingResponse(body(), media_type="text/event-stream")

    environment.on("GET /events", stream)
    environment.on(f"GET /documents/{ID}", document())
    assert cli.run(["watch"]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.678  text\.extracted\.v1 +Document 1  characters=5966", first)
    assert "stage=preview detail=It is broken." in second
    assert len(environment.calls(f"GET /documents/{ID}")) == 1


def test_nothing_is_deleted_without_being_asked(environment: Api, capsys: Captured) -> None:
    assert cli.run(["delete", ID]) == 2
    assert "--yes" in capsys.readouterr().err
    assert environment.requests == []


def test_deleting_goes_on_after_one_that_is_gone(environment: Api, capsys: Captured) -> None:
    environment.on(f"DELETE /documents/{ID}", Response(status_code=204))
    assert cli.run(["delete", "doc_gone", ID, "--yes"]) == 1
    told = capsys.readouterr()
    assert told.out == f"deleted {ID}\n"
    assert told.err.startswith("quire: doc_gone: There is no such document.")


def test_errors_say_what_to_do(
    environment: Api, capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert cli.run(["show", "doc_none"]) == 1
    assert "`quire list` shows the ids" in capsys.readouterr().err
    monkeypatch.setenv("QUIRE_API_KEY", "qk_wrong")
    assert cli.run(["list"]) == 1
    assert "Check QUIRE_API_KEY" in capsys.readouterr().err
    monkeypatch.setenv("QUIRE_URL", "http://127.0.0.1:1")
    assert cli.run(["list"]) == 1
    assert "`make status` shows the local stack" in capsys.readouterr().err
    monkeypatch.delenv("QUIRE_URL")
    monkeypatch.setenv("QUIRE_HOME", str(tmp_path))
    assert cli.run(["list"]) == 2
    assert "start one with `make up`" in capsys.readouterr().err


@pytest.mark.parametrize(
    "tokens", [["frobnicate"], ["search"], ["list", "--limit", "many"], ["search", "x", "--mode", "guess"]]
)
def test_what_is_wrongly_asked_ends_with_2(environment: Api, capsys: Captured, tokens: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.run(tokens)
    assert ended.value.code == 2
    assert capsys.readouterr().err
    assert environment.requests == []


@pytest.mark.parametrize("tokens", [["upload"], ["delete", "--yes"]])
def test_a_command_without_its_objects_ends_with_2(environment: Api, tokens: list[str]) -> None:
    assert cli.run(tokens) == 2


def test_the_installed_command_finds_the_credentials_of_the_folder(threaded_api: Api, tmp_path: Path) -> None:
    (tmp_path / ".quire").mkdir()
    (tmp_path / ".quire" / "credentials.env").write_text(f"QUIRE_URL={threaded_api.url}\nQUIRE_API_KEY={KEY}\n")
    threaded_api.on("GET /search", FOUND)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("QUIRE_")}
    command = [str(Path(sys.executable).with_name("quire")), "search", "sprocket"]
    ended = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "*north* *sprocket*" in ended.stdout
    assert "\x1b" not in ended.stdout
