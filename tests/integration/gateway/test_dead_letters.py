"""What workers could not handle is kept in the catalog; operators look at it, requeue it or discard it."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi.routing import APIRoute

from quire_contracts import parse_event, uuid7
from quire_gateway import audit
from quire_gateway.dead_letters import routes as dead_letters
from quire_gateway.dead_letters.parked import letter_id
from quire_gateway.settings import GatewaySettings
from tests.integration.gateway.letters import Office, event
from tests.integration.gateway.serving import Client, Live, new_operator, new_workspace, problem, serving
from tests.support.broker import eventually, observing

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("gateway dead letters")]


@pytest_asyncio.fixture(loop_scope="module")
async def office(live: Live) -> AsyncIterator[Office]:
    async with live.client(await new_operator(live.pool)) as operator, observing(live.service.settings) as observer:
        yield Office(operator, observer)


async def test_a_parked_message_is_kept_whole_and_leaves_the_broker(office: Office) -> None:
    given = event()
    letter = await office.parked(
        "enricher",
        given.to_json(),
        x_quire_reason="KeyError: 'title'",
        x_quire_attempt=7,
        more=[1, bytearray(b"\xff"), None],
    )
    await office.observer.empty(office.observer.topology.parked_queue("enricher"))
    shown = await office.show(letter)
    assert shown | {"first_at": "", "last_at": ""} == {
        "id": letter, "service": "enricher", "event_id": given.id, "event_type": given.type,
        "workspace": given.workspaceid, "document": given.subject,
        "event_time": given.time.isoformat().replace("+00:00", "Z"), "reason": "KeyError: 'title'", "attempts": 7,
        "times": 1, "first_at": "", "last_at": "", "state": "parked",
        "headers": {"x-quire-reason": "KeyError: 'title'", "x-quire-attempt": 7, "more": [1, "\\xff", None]},
        "event": given.model_dump(mode="json", exclude_none=True), "body_base64": None,
    }  # fmt: skip
    assert await office.listed(document=given.subject) == [letter]


async def test_reading_changes_nothing(office: Office) -> None:
    letter = await office.parked()
    before = await office.pool.fetchrow("SELECT * FROM dead_letter WHERE id = $1", letter)
    audited = await office.pool.fetchval("SELECT count(*) FROM audit")
    for _ in range(2):
        await office.show(letter)
        await office.listed()
        await office.all("requeue", dry_run=True)
        await office.all("discard", dry_run=True)
    assert await office.pool.fetchrow("SELECT * FROM dead_letter WHERE id = $1", letter) == before
    assert await office.pool.fetchval("SELECT count(*) FROM audit") == audited
    assert await office.nothing_waits("ingest")


async def test_a_message_that_is_parked_again_waits_again_with_its_new_reason(office: Office) -> None:
    body = event().to_json()
    letter = await office.parked("ingest", body, x_quire_reason="the first")
    assert (await office.post(f"{letter}/discard")).json()["state"] == "discarded"
    assert await office.parked("ingest", body, x_quire_reason="the second", x_quire_attempt=3) == letter
    shown = await office.show(letter)
    assert (shown["state"], shown["times"], shown["reason"], shown["attempts"]) == ("parked", 2, "the second", 3)
    assert shown["last_at"] > shown["first_at"]


async def test_what_the_broker_itself_gives_up_says_so(office: Office) -> None:
    topology, body = office.observer.topology, event().to_json()
    await office.observer.send(topology.returned, topology.work_queue("previewer"), body)
    async with await office.observer._connection.channel() as channel:
        queue = await channel.get_queue(topology.work_queue("previewer"))
        message = await queue.get(timeout=10)
        assert message is not None
        await message.reject(requeue=False)
    letter = letter_id("previewer", body)
    await office.until(letter)
    assert (await office.show(letter))["reason"] == "rejected"


HOSTILE = [
    b"", b"\xff\xfe\x00", b"\0", b"not JSON", b'"\\ud800"', b'{"n": 1e999}', b'{"n": NaN}', b"[" * 190 + b"]" * 190,
    b"[" * 5000 + b"]" * 5000, b'{"id": "a\\u0000b", "subject": ["x"]}', b"9" * 4000, b"null", b"\xef\xbb\xbf{}",
    b'{"type": "quire.unknown.v9", "id": "1"}', bytes(2_000_000),
]  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE, ids=lambda body: str(body[:16]))
async def test_a_message_may_hold_anything(office: Office, body: bytes) -> None:
    letter = await office.parked("search", body, x_quire_reason=bytearray(b"bad\0\xed\xa0\xbd"))
    shown = await office.show(letter)
    if shown["body_base64"] is not None:
        assert base64.b64decode(shown["body_base64"]) == body
    else:
        assert shown["event"] == httpx.Response(200, content=body).json()
    assert letter in await office.listed(service="search", reason="bad", limit=200)
    assert (await office.post(f"{letter}/discard")).status_code == 200


async def test_requeueing_gives_the_message_to_its_service_alone_as_if_it_were_new(office: Office) -> None:
    given = event()
    letter = await office.parked("ingest", given.to_json(), x_quire_attempt=7, x_quire_reason="TimeoutError")
    answer = await office.post(f"{letter}/requeue")
    assert (answer.status_code, answer.json()["state"]) == (200, "requeued")
    message = await office.observer.take(office.observer.topology.work_queue("ingest"))
    assert message.body == given.to_json()
    assert not [name for name in message.headers if name.startswith("x-quire-")], "its tries begin anew"
    assert given.id not in {seen.id for seen in office.observer.events}, "nobody else was told"
    assert await office.nothing_waits("previewer")

    problem(await office.post(f"{letter}/requeue"), 409, "not_parked")
    problem(await office.post(f"{letter}/discard"), 409, "not_parked")
    assert await office.nothing_waits("ingest")
    (entry,) = await office.audited(subject=letter)
    assert (entry["actor"], entry["action"], entry["workspace"]) == (
        await office.key(), "dead-letters.requeue", given.workspaceid,
    )  # fmt: skip
    assert entry["detail"] == {"service": "ingest", "reason": "TimeoutError", "document": given.subject}


async def test_one_event_that_two_services_parked_goes_to_both(office: Office) -> None:
    body = event().to_json()
    letters = [await office.parked(service, body) for service in ("ingest", "previewer")]
    async with office.pool.acquire() as holder, holder.transaction():
        # No relay works meanwhile, so that both are in the outbox at once.
        await holder.execute("SELECT pg_advisory_xact_lock(hashtext('outbox relay'), hashtext(current_schema()))")
        assert (await office.all("requeue", document=parse_event(body).subject))["changed"] == 2
        assert await office.pool.fetchval("SELECT count(*) FROM outbox WHERE event_id = ANY($1)", letters) == 2
    for service in ("ingest", "previewer"):
        assert (await office.observer.take(office.observer.topology.work_queue(service))).body == body


async def test_of_two_requeues_at_once_one_is_done(office: Office) -> None:
    letter = await office.parked()
    answers = await asyncio.gather(*(office.post(f"{letter}/requeue") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    await office.observer.take(office.observer.topology.work_queue("ingest"))
    assert await office.nothing_waits("ingest")


async def test_discarding_only_marks_and_can_be_taken_back(office: Office) -> None:
    letter = await office.parked()
    assert (await office.post(f"{letter}/discard")).json()["state"] == "discarded"
    assert await office.nothing_waits("ingest")
    assert letter not in await office.listed(limit=200)
    assert letter in await office.listed(state="discarded", limit=200)
    problem(await office.post(f"{letter}/discard"), 409, "not_parked")
    assert (await office.post(f"{letter}/requeue")).json()["state"] == "requeued"
    await office.observer.take(office.observer.topology.work_queue("ingest"))
    actions = [entry["action"] for entry in await office.audited(subject=letter)]
    assert actions == ["dead-letters.requeue", "dead-letters.discard"]


@pytest.mark.parametrize("body", [b"\xff\xfe", b"text with a \0"])
async def test_what_is_no_text_can_only_be_discarded(office: Office, body: bytes) -> None:
    letter = await office.parked("embedder", body)
    problem(await office.post(f"{letter}/requeue"), 409, "not_text")
    assert (await office.show(letter))["state"] == "parked"
    assert await office.audited(subject=letter) == []
    counts = await office.all("requeue", service="embedder")
    assert counts == {"matched": 1, "changed": 0, "refused": 1, "dry_run": False}
    assert (await office.post(f"{letter}/discard")).status_code == 200


@pytest.mark.parametrize("verb", ["requeue", "discard"])
async def test_all_that_fit_are_settled_in_steps_and_counted(
    office: Office, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "BATCH", 2)
    mark = f"mark-{uuid7().hex}"
    letters = [await office.parked("enricher", x_quire_reason=f"{mark} {number}") for number in range(5)]
    other = await office.parked("enricher", x_quire_reason="another")
    assert await office.all(verb, reason=mark, dry_run=True) == {
        "matched": 5, "changed": 0, "refused": 0, "dry_run": True,
    }  # fmt: skip
    assert await office.all(verb, reason=mark) == {"matched": 5, "changed": 5, "refused": 0, "dry_run": False}
    assert await office.all(verb, reason=mark) == {"matched": 0, "changed": 0, "refused": 0, "dry_run": False}
    assert (await office.show(other))["state"] == "parked"
    for letter in letters:
        assert (await office.show(letter))["state"] == {"requeue": "requeued", "discard": "discarded"}[verb]
    if verb == "requeue":
        for _ in letters:
            await office.observer.take(office.observer.topology.work_queue("enricher"))
    assert await office.nothing_waits("enricher")
    entries = [entry for entry in await office.audited(action="dead-letters.") if mark in str(entry["detail"])]
    assert sorted(one for entry in entries for one in entry["detail"]["ids"]) == sorted(letters)
    assert {entry["action"] for entry in entries} == {f"dead-letters.{verb}"}
    assert await office.audited(subject=letters[0]) == [entry for entry in entries if letters[0] in str(entry)]


async def test_each_filter_narrows_the_list(office: Office) -> None:
    first, second = event(), event().model_copy(update={"workspaceid": f"ws_{uuid7().hex}"})
    one = await office.parked("gateway", first.to_json(), x_quire_reason="refused: one")
    moment = datetime.now(UTC)
    two = await office.parked("search", second.to_json(), x_quire_reason="refused: two")
    both = {one, two}

    async def fit(**filters: Any) -> set[str]:
        return both & set(await office.listed(limit=200, **filters))

    assert await fit() == both
    assert await fit(service="gateway") == {one}
    assert await fit(event_type=first.type) == both
    assert await fit(event_type="quire.text.extracted.v1") == set()
    assert await fit(document=second.subject) == {two}
    assert await fit(workspace=second.workspaceid) == {two}
    assert await fit(reason="refused") == both
    assert await fit(reason="refused: t") == {two}
    assert await fit(reason="two") == set()
    assert await fit(state="discarded") == set()
    assert await fit(state="any") == both
    assert await fit(since=moment.isoformat()) == {two}
    assert await fit(until=moment.isoformat()) == {one}
    assert (
        await fit(since=(moment - timedelta(hours=1)).isoformat(), until=moment.isoformat(), service="search") == set()
    )


async def test_a_list_goes_on_where_the_last_page_ended(office: Office) -> None:
    mark = f"page-{uuid7().hex}"
    letters = [await office.parked(x_quire_reason=mark) for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        parameters: dict[str, Any] = {"reason": mark, "limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await office.operator.http.get("/admin/dead-letters", params=parameters)).json()
        seen += [one["id"] for one in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = page["next_cursor"]
    assert seen == letters[::-1]
    stranger = {"reason": "page", "cursor": cursor}
    problem(await office.operator.http.get("/admin/dead-letters", params=stranger), 400, "bad_cursor")


async def test_the_audit_log_goes_on_where_the_last_page_ended_and_is_filtered(office: Office) -> None:
    letters = [await office.parked() for _ in range(3)]
    before = datetime.now(UTC)
    for letter in letters:
        await office.post(f"{letter}/discard")
    mine = {"actor": await office.key(), "action": "dead-letters.discard", "since": before.isoformat(), "limit": "2"}
    first = (await office.operator.http.get("/admin/audit", params=mine)).json()
    rest = (await office.operator.http.get("/admin/audit", params={**mine, "cursor": first["next_cursor"]})).json()
    assert [entry["subject"] for entry in first["data"] + rest["data"]] == letters[::-1]
    assert rest["next_cursor"] is None
    assert await office.audited(actor="sweeper") == []
    wrong = {**mine, "actor": "another", "cursor": first["next_cursor"]}
    problem(await office.operator.http.get("/admin/audit", params=wrong), 400, "bad_cursor")


ROUTES = [
    (method, route.path)
    for router in (dead_letters.router, audit.router)
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in route.methods or ()
]


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=str)
async def test_only_operators_may(office: Office, client: Client, method: str, path: str) -> None:
    letter = await office.parked()
    path = path.replace("{letter_id}", letter)
    problem(await client.http.request(method, path, json={}), 403, "forbidden")
    problem(await client.http.request(method, path, json={}, headers={"X-API-Key": "qk_wrong"}), 401, "unauthorized")
    assert (await office.show(letter))["state"] == "parked"


async def test_there_are_routes_to_be_guarded() -> None:
    assert len(ROUTES) == 7


@pytest.mark.parametrize(
    "filters",
    [{"state": "lost"}, {"limit": 0}, {"limit": 201}, {"since": "yesterday"}, {"since": "2026-01-02T03:04:05"},
     {"until": "0001-01-01T00:00:00+14:00"}, {"service": "a\0"}, {"reason": "x" * 201}, {"servise": "ingest"}],
    ids=str,
)  # fmt: skip
async def test_senseless_filters_are_a_422(office: Office, filters: dict[str, Any]) -> None:
    problem(await office.operator.http.get("/admin/dead-letters", params=filters), 422, "invalid")
    problem(await office.operator.http.post("/admin/dead-letters/discard", json=filters), 422, "invalid")


@pytest.mark.parametrize("letter", ["dl_" + "0" * 32, "dl_x", "%00", "x" * 65])
async def test_an_unknown_dead_letter_is_told(office: Office, letter: str) -> None:
    answers = [
        await office.operator.http.get(f"/admin/dead-letters/{letter}"),
        await office.post(f"{letter}/requeue"),
        await office.post(f"{letter}/discard"),
    ]
    assert {answer.status_code for answer in answers} <= ({422} if len(letter) == 65 else {404})


async def test_two_gateways_that_collect_keep_each_message_once(
    office: Office, gateway_settings: GatewaySettings
) -> None:
    async with serving(gateway_settings) as second:
        await second.service.publisher.ready()
        letters = await asyncio.gather(*(office.park("embedder", event().to_json()) for _ in range(60)))
        for letter in letters:
            await office.until(letter)
        await office.observer.empty(office.observer.topology.parked_queue("embedder"))
    assert {await office.times(letter) for letter in letters} == {1}


async def test_the_gauge_counts_what_waits(office: Office) -> None:
    await office.all("discard")
    await office.parked("previewer")
    await office.parked("previewer")
    gone = await office.parked("previewer")
    await office.post(f"{gone}/discard")

    async def counted() -> bool:
        async with httpx.AsyncClient(base_url=office.operator.live.url) as http:
            lines = (await http.get("/metrics")).text.splitlines()
        return (
            'quire_dead_letters{service="previewer"} 2.0' in lines
            and 'quire_dead_letters{service="ingest"} 0.0' in lines
        )

    await eventually(counted, "the gauge says 2")


async def test_a_key_of_another_workspace_may_not_though_its_own_message_is_parked(office: Office) -> None:
    workspace = await new_workspace(office.pool)
    own = event().model_copy(update={"workspaceid": workspace.id})
    letter = await office.parked("ingest", own.to_json())
    async with office.operator.live.client(workspace) as owner:
        problem(await owner.http.get(f"/admin/dead-letters/{letter}"), 403, "forbidden")
