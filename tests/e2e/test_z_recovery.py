"""What was lost behind Quire's back is found and mended: the commands an operator has, on the whole stack."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from typing import Any

import asyncpg
import httpx
import pytest

from tests.support import stack as stacks
from tests.support.stack import Stack

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(300)]

WHERE = "WHERE document = (SELECT no FROM search.document WHERE id = $1)"
TEXTS = ("The lamp is lit at dusk.", "No boat lands in a storm.", "The foghorn sounds at night.")


def command(stack: Stack, *words: str) -> tuple[int, list[dict[str, Any]]]:
    """`quire admin …` with --json: the exit code and the lines."""
    done = subprocess.run(
        [sys.executable, "-c", "from quire_client.cli import main; main()", "admin", *words, "--json"],
        env=stack.environment, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert not done.stderr, done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def sql(stack: Stack, *statements: tuple[str, ...]) -> None:
    """Change the databases behind everybody's back."""

    async def run() -> None:
        connection = await asyncpg.connect(stack.database_url)
        try:
            for statement, *arguments in statements:
                await connection.execute(statement, *arguments)
        finally:
            await connection.close()

    asyncio.run(run())


def long_ago(stack: Stack) -> None:
    """Nothing has changed within the last minutes, which would be left out of a comparison."""
    sql(stack, ("UPDATE catalog.document SET updated_at = updated_at - interval '10 minutes'",))


def differences(lines: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted((line["kind"], line["document"]) for line in lines if line["type"] == "difference")


def until_drained(stack: Stack) -> None:
    """Wait until no message is on its way, so that nothing changes any more."""
    deadline = time.monotonic() + 60
    while left := stacks.leftovers(stack):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def answers(client: httpx.Client, token: str) -> list[Any]:
    """What is found, in its order, with scores and passages."""
    found = []
    for query in (token, f"{token} lamp", "a ship in bad weather"):
        answer = client.get("/api/v1/search", params={"q": query, "limit": 50})
        assert answer.status_code == 200, answer.text
        hits = answer.json()["data"]
        found.append([[hit["document"]["id"], hit["score"], hit["highlights"]] for hit in hits])
    return found


@pytest.fixture
def documents(stack: Stack, api: httpx.Client, own: str) -> list[str]:
    """Documents of the test's own, ready for long."""
    ids = [
        stacks.upload(api, f"{n}.txt", f"{own} {n}\n{text}".encode(), title=f"Number {n}")["id"]
        for n, text in enumerate(TEXTS * 2)
    ]
    stacks.finished(api, ids)
    until_drained(stack)
    long_ago(stack)
    return ids


def found_by(client: httpx.Client, words: str) -> list[str]:
    answer = client.get("/api/v1/search", params={"q": words, "mode": "keyword", "limit": 50})
    assert answer.status_code == 200
    return [hit["document"]["id"] for hit in answer.json()["data"]]


def test_the_index_is_rebuilt_while_queries_go_on_and_answers_as_before(
    stack: Stack, api: httpx.Client, documents: list[str], own: str
) -> None:
    token, statuses, stop = own.split()[-1], [], threading.Event()
    before = answers(api, token)
    assert {hit[0] for hit in before[0]} >= set(documents)

    def ask() -> None:
        with stack.client() as client:
            while not stop.is_set():
                statuses.append(client.get("/api/v1/search", params={"q": f"{token} lamp"}).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        code, lines = command(stack, "rebuild-index", "--yes")
    finally:
        stop.set()
        asking.join()
    assert code == 0
    assert (lines[-1]["waiting"], lines[-1]["documents"] >= len(documents)) == (0, True)
    assert set(statuses) == {200}
    until_drained(stack)
    deadline = time.monotonic() + 30
    while answers(api, token) != before:
        assert time.monotonic() < deadline, "the answers are those of before"
        time.sleep(0.1)
    long_ago(stack)
    _, lines = command(stack, "reconcile")
    assert [line for line in lines if line.get("kind", "").endswith("_index")] == []


def test_whatever_differs_is_found_exactly_and_mended(
    stack: Stack, api: httpx.Client, documents: list[str], own: str
) -> None:
    token = own.split()[-1]
    _, lines = command(stack, "reconcile")
    before = differences(lines)
    lost, torn, blind, stale, textless, whole = documents
    workspace = next((stack.home / "objects").glob(f"*/{whole}")).parent.name
    orphan = stack.home / "objects" / "ws_gone" / f"doc_{own.split()[-1]}" / "1" / "content"
    sql(
        stack,
        (f"DELETE FROM search.chunk {WHERE}", lost),
        (f"DELETE FROM search.embedding {WHERE}", lost),
        ("DELETE FROM search.document WHERE id = $1", lost),
        (f"DELETE FROM search.chunk {WHERE} AND index = 0", torn),
        (f"DELETE FROM search.embedding {WHERE}", blind),
        ("UPDATE catalog.document SET version = 2, title = 'Renamed' WHERE id = $1", stale),
    )
    text = stack.home / "objects" / workspace / textless / "1" / "text"
    content = text.read_bytes()
    text.unlink()
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"x")
    os.utime(orphan, (time.time() - 2 * 86400,) * 2)

    code, lines = command(stack, "reconcile", "--checksums")
    expected = [
        ("incomplete_index", torn), ("incomplete_index", blind), ("missing_in_index", lost), ("stale_entry", stale),
        ("missing_object", textless), ("orphan_object", orphan.parts[-3]),
    ]  # fmt: skip
    assert code == 1
    assert [one for one in differences(lines) if one not in before] == sorted(expected)
    assert lines[-1]["repaired"] == 0
    assert lost not in found_by(api, token)

    code, lines = command(stack, "reconcile", "--repair")
    mended = {(line["kind"], line["document"]) for line in lines[:-1] if line["repaired"]}
    assert mended >= set(expected)
    stacks.finished(api, documents)
    until_drained(stack)
    long_ago(stack)
    _, lines = command(stack, "reconcile", "--checksums")
    assert [one for one in differences(lines) if one not in before] == []
    assert not orphan.exists()
    assert text.read_bytes() == content
    assert sorted(found_by(api, token)) == sorted(documents)
    timeline = api.get(f"/api/v1/documents/{whole}/timeline").json()["data"]
    assert [entry["type"] for entry in timeline].count("quire.text.extracted.v1") == 1, "nobody else was troubled"
    # How often a word occurs is counted when passages come and go: not when their rows are deleted behind the index.
    assert command(stack, "rebuild-index", "--yes")[0] == 0
    until_drained(stack)


def test_a_sweep_finds_nothing_stuck(stack: Stack) -> None:
    code, (done,) = command(stack, "sweep")
    assert (code, done["replayed"], done["failed"]) == (0, 0, 0)
