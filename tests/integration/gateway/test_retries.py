"""Stages that failed are done once more when a person asks, and no others."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from quire_contracts import TABLE, DocumentUploaded, Embedded, Event, StageRetried, TextExtracted, parse_event, uuid7
from quire_gateway.recovery import retries
from tests.integration.gateway.serving import Client, Live, new_operator, new_workspace, problem
from tests.support import examples
from tests.support.broker import Observer, eventually, observing

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("gateway retries")]

WORKERS = tuple(row.service for row in TABLE if row.stage)
STAGES = {"ingest": "ingest", "preview": "previewer", "embed": "embedder", "enrich": "enricher", "index": "search"}
Json = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """A workspace whose workers are the test itself."""

    client: Client
    observer: Observer

    @property
    def live(self) -> Live:
        return self.client.live

    async def uploaded(self, *broken: str) -> tuple[Json, DocumentUploaded]:
        """A document all of whose stages are done but the `broken` ones, which failed, and what these kept from
        happening; nothing is left in the workers' queues."""
        document = await self.client.uploaded()
        cause = await self.client.cause(document)
        await self.work(cause, *broken)
        return document, cause

    async def work(self, cause: DocumentUploaded, *broken: str) -> None:
        """What the workers say of an upload."""
        text = examples.extracted(cause)
        vectors = examples.embedded(text)
        said: dict[str, list[Event]] = {
            "preview": [examples.previewed(cause)], "ingest": [text], "embed": [vectors],
            "index": [examples.indexed(vectors, "keyword", "vector")], "enrich": [examples.enriched(text)],
        }  # fmt: skip
        causes = {"preview": cause, "ingest": cause, "embed": text, "index": vectors, "enrich": text}
        stopped = ("embed", "index", "enrich") if "ingest" in broken else ("index",) if "embed" in broken else ()
        for stage in ("ingest", "preview", "embed", "enrich", "index"):
            if stage in broken:
                await self.say(examples.failed(causes[stage], stage, "exhausted"))
            elif stage not in stopped:
                await self.say(*said[stage])

    async def say(self, *events: Event) -> None:
        """Publish events and wait until the catalog has them."""
        for event in events:
            await self.live.service.publisher.publish(event)
        ids = [event.id for event in events]

        async def logged() -> bool:
            found = await self.live.pool.fetchval("SELECT count(*) FROM event WHERE id = ANY($1::text[])", ids)
            return bool(found == len(ids))

        await eventually(logged, f"the gateway knows {[event.type for event in events]}")

    async def cleared(self) -> None:
        """Wait until everything is published, and empty the workers' queues."""
        await self.relayed()
        for service in WORKERS:
            queue = self.observer.topology.work_queue(service)
            while await self.observer.depth(queue):
                await self.observer.take(queue)

    async def relayed(self) -> None:
        async def empty() -> bool:
            return not await self.live.pool.fetchval("SELECT count(*) FROM outbox")

        await eventually(empty, "the outbox is empty")

    async def queued(self) -> dict[str, list[Event]]:
        """What each worker was given since the queues were cleared."""
        await self.relayed()
        given: dict[str, list[Event]] = {}
        for service in WORKERS:
            queue = self.observer.topology.work_queue(service)
            for _ in range(await self.observer.depth(queue)):
                given.setdefault(service, []).append(parse_event((await self.observer.take(queue)).body))
        return given

    async def retry(self, document: Json, **body: Any) -> httpx.Response:
        return await self.client.http.post(f"/documents/{document['id']}/retry", json=body)

    async def retry_all(self, **body: Any) -> Json:
        answer = await self.client.http.post("/documents/retry", json=body)
        assert answer.status_code == 200, answer.text
        counts: Json = answer.json()
        return counts

    async def stages(self, document: Json) -> dict[str, str]:
        shown = await self.client.document(document["id"])
        return {name: stage["status"] for name, stage in shown["stages"].items()}


@pytest_asyncio.fixture(loop_scope="module")
async def bench(live: Live, client: Client) -> AsyncIterator[Bench]:
    async with observing(live.service.settings) as observer:
        yield Bench(client, observer)


@pytest.mark.parametrize("stage", sorted(STAGES))
async def test_a_failed_stage_is_given_to_its_service_alone_and_heals(bench: Bench, stage: str) -> None:
    document, _ = await bench.uploaded(stage)
    assert (await bench.stages(document))[stage] == "failed"
    before = {name: status for name, status in (await bench.stages(document)).items() if status == "done"}
    await bench.cleared()

    answer = await bench.retry(document, stage=stage)
    assert (answer.status_code, answer.json()["stages"][stage]["status"]) == (202, "pending")
    given = await bench.queued()
    assert given.keys() == {STAGES[stage]}, "only this service has work"
    asked = (await bench.client.events())[-1]
    assert isinstance(asked, StageRetried)
    assert (asked.data.stage, asked.data.by) == (stage, "user")
    assert {event.causationid for event in given[STAGES[stage]]} == {asked.id}
    assert not {event.id for event in given[STAGES[stage]]} & {event.id for event in await bench.client.events()}
    now = await bench.stages(document)
    assert {name: now[name] for name in before} == before, "what is done stays done"

    replayed = given[STAGES[stage]]
    match stage:
        case "ingest":
            (again,) = replayed
            assert isinstance(again, DocumentUploaded)
            await bench.work(again, "preview")  # the rest of the road begins anew; the preview is long done
        case "preview":
            await bench.say(examples.previewed(replayed[0]))
        case "embed":
            vectors = examples.embedded(replayed[0])
            await bench.say(vectors, examples.indexed(vectors, "keyword", "vector"))
        case "enrich":
            await bench.say(examples.enriched(replayed[0]))
        case _:
            assert {type(event) for event in replayed} == {TextExtracted, Embedded}
            await bench.say(examples.indexed(replayed[1], "keyword", "vector"))
    await bench.client.reaches(document, "ready")
    assert set((await bench.stages(document)).values()) == {"done"}


async def test_a_retry_shows_in_the_timeline_with_the_time_that_the_work_took(bench: Bench) -> None:
    document, _ = await bench.uploaded("enrich")
    await bench.cleared()
    assert (await bench.retry(document)).status_code == 202
    ((replayed,),) = (await bench.queued()).values()
    await bench.say(examples.enriched(replayed))
    entries = (await bench.client.http.get(f"/documents/{document['id']}/timeline")).json()["data"]
    assert [entry["summary"] for entry in entries][-2:] == [
        "enrich is done once more, as the user asked", "summarised by local",
    ]  # fmt: skip
    assert entries[-1]["took_ms"] is not None


async def test_without_a_stage_every_failed_one_is_retried(bench: Bench) -> None:
    document, _ = await bench.uploaded("preview", "enrich")
    await bench.cleared()
    assert (await bench.retry(document)).status_code == 202
    given = await bench.queued()
    assert {service: len(events) for service, events in given.items()} == {"previewer": 1, "enricher": 1}


async def test_a_body_is_not_needed(bench: Bench) -> None:
    document, _ = await bench.uploaded("preview")
    answer = await bench.client.http.post(f"/documents/{document['id']}/retry")
    assert answer.status_code == 202


async def test_a_retry_that_fails_again_ends_failed_again(bench: Bench) -> None:
    document, _ = await bench.uploaded("embed")
    await bench.cleared()
    assert (await bench.retry(document, stage="embed")).json()["status"] == "processing"
    ((replayed,),) = (await bench.queued()).values()
    failure = examples.failed(replayed, "embed", "exhausted")
    await bench.say(failure)
    assert (await bench.client.document(document["id"]))["status"] == "failed"
    failures = [event.id for event in await bench.client.events() if event.type == failure.type]
    assert len(failures) == len(set(failures)) == 2


async def test_of_two_retries_at_once_one_is_done(bench: Bench) -> None:
    document, _ = await bench.uploaded("preview")
    await bench.cleared()
    answers = await asyncio.gather(*(bench.retry(document, stage="preview") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409, 409]
    assert {service: len(events) for service, events in (await bench.queued()).items()} == {"previewer": 1}


async def test_forced_retries_at_once_end_right(bench: Bench) -> None:
    document, _ = await bench.uploaded()
    await bench.cleared()
    answers = await asyncio.gather(*(bench.retry(document, stage="preview", force=True) for _ in range(2)))
    assert [answer.status_code for answer in answers] == [202, 202]
    for replayed in (await bench.queued())["previewer"]:
        await bench.say(examples.previewed(replayed))
    await bench.client.reaches(document, "ready")


async def test_a_stage_that_did_not_fail_is_refused_unless_forced(bench: Bench) -> None:
    document, _ = await bench.uploaded()
    await bench.cleared()
    problem(await bench.retry(document), 409, "not_failed")
    refused = problem(await bench.retry(document, stage="index"), 409, "not_failed")
    assert "index is done" in refused["detail"]
    assert await bench.queued() == {}
    assert (await bench.retry(document, stage="index", force=True)).status_code == 202
    given = await bench.queued()
    assert [type(event) for event in given["search"]] == [TextExtracted, Embedded], "both legs, though both were there"


async def test_a_preview_that_was_skipped_may_be_retried(bench: Bench) -> None:
    document = await bench.client.uploaded()
    await bench.say(examples.previewed(await bench.client.cause(document), skipped="nothing to see"))
    assert (await bench.retry(document, stage="preview")).status_code == 202


@pytest.mark.parametrize(
    ("failed", "stage", "first", "force"),
    [("ingest", "embed", "ingest", False), ("ingest", "embed", "ingest", True), ("ingest", "enrich", "ingest", False),
     ("ingest", "index", "ingest", True), ("embed", "index", "embed", False)],
)  # fmt: skip
async def test_a_stage_whose_cause_is_not_there_names_the_one_that_has_to_come_first(
    bench: Bench, failed: str, stage: str, first: str, force: bool
) -> None:
    document, cause = await bench.uploaded(failed)
    if failed == "embed":  # the words are found, the vectors are missing
        await bench.say(examples.indexed(examples.extracted(cause), "keyword"))
    await bench.cleared()
    refused = problem(await bench.retry(document, stage=stage, force=force), 409, "stage_before")
    assert f"{first} has to come first" in refused["detail"]
    assert await bench.queued() == {}
    assert not [event for event in await bench.client.events() if isinstance(event, StageRetried)]
    assert (await bench.stages(document))[stage] == "skipped"


async def test_of_the_index_only_the_missing_leg_is_done_again(bench: Bench) -> None:
    document, cause = await bench.uploaded("index")
    await bench.say(examples.indexed(examples.extracted(cause), "keyword"))
    await bench.cleared()
    assert (await bench.retry(document, stage="index")).status_code == 202
    assert [type(event) for event in (await bench.queued())["search"]] == [Embedded]


async def test_what_cannot_be_retried_is_a_404(bench: Bench) -> None:
    document, _ = await bench.uploaded("preview")
    async with bench.live.client(await new_workspace(bench.live.pool)) as stranger:
        problem(await stranger.http.post(f"/documents/{document['id']}/retry"), 404, "not_found")
    assert (await bench.client.http.delete(f"/documents/{document['id']}")).status_code == 204
    problem(await bench.retry(document, stage="preview"), 404, "not_found")
    problem(await bench.retry({"id": "doc_unknown"}), 404, "not_found")
    problem(await bench.retry({"id": "doc_%00"}), 404, "not_found")


@pytest.mark.parametrize(
    "body", [{"stage": "sing"}, {"force": True}, {"stages": ["embed"]}, {"stage": "embed", "force": "perhaps"}]
)
async def test_a_senseless_wish_is_a_422(bench: Bench, body: Json) -> None:
    document, _ = await bench.uploaded("preview")
    problem(await bench.retry(document, **body), 422, "invalid")


async def test_a_retry_settles_what_the_service_had_parked_of_the_document(bench: Bench) -> None:
    document, cause = await bench.uploaded("preview", "enrich")
    for service, event in (("previewer", cause), ("enricher", examples.extracted(cause))):
        await bench.observer.send(
            bench.observer.topology.dead_letters, bench.observer.topology.work_queue(service), event.to_json()
        )

    async def states() -> dict[str, str]:
        rows = await bench.live.pool.fetch(
            "SELECT service, state FROM dead_letter WHERE document_id = $1", document["id"]
        )
        return {row["service"]: row["state"] for row in rows}

    async def collected() -> bool:
        return len(await states()) == 2

    await eventually(collected, "both are dead letters")
    assert (await bench.retry(document, stage="preview")).status_code == 202
    assert await states() == {"previewer": "requeued", "enricher": "parked"}


async def test_a_retry_is_in_the_audit_log_and_one_that_is_refused_is_not(bench: Bench) -> None:
    document, _ = await bench.uploaded("preview")
    problem(await bench.retry(document, stage="embed"), 409, "not_failed")
    assert (await bench.retry(document, stage="preview")).status_code == 202
    key = await bench.live.pool.fetchval("SELECT id FROM api_key WHERE workspace_id = $1", bench.client.workspace.id)
    async with bench.live.client(await new_operator(bench.live.pool)) as operator:
        (entry,) = (await operator.http.get("/admin/audit", params={"subject": document["id"]})).json()["data"]
    assert (entry["actor"], entry["action"], entry["workspace"]) == (key, "documents.retry", bench.client.workspace.id)
    assert entry["detail"] == {"stages": ["preview"], "force": False}


# Many at once


async def test_every_document_that_fits_is_retried_in_steps_and_counted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "BATCH", 2)
    broken = [(await bench.uploaded("preview"))[0] for _ in range(5)]
    whole, _ = await bench.uploaded()
    await bench.cleared()
    assert await bench.retry_all(dry_run=True) == {"matched": 5, "retried": 0, "dry_run": True}
    assert await bench.queued() == {}
    assert await bench.retry_all() == {"matched": 5, "retried": 5, "dry_run": False}
    given = await bench.queued()
    assert given.keys() == {"previewer"}
    assert sorted(event.subject for event in given["previewer"]) == sorted(document["id"] for document in broken)
    assert (await bench.stages(whole))["preview"] == "done"
    assert await bench.retry_all() == {"matched": 0, "retried": 0, "dry_run": False}, "they are under way"
    ids = await bench.live.pool.fetch("SELECT detail FROM audit WHERE workspace_id = $1", bench.client.workspace.id)
    assert sorted(one for row in ids for one in row["detail"]["ids"]) == sorted(one["id"] for one in broken)


async def test_each_filter_narrows_what_is_retried(bench: Bench) -> None:
    async def one(content: str, *broken: str, **fields: Any) -> str:
        document = await bench.client.uploaded(f"{content} {uuid7()}".encode(), **fields)
        await bench.work(await bench.client.cause(document), *broken)
        return str(document["id"])

    preview = await one("a", "preview", folder="/in/deep", tags=["x", "y"])
    embed = await one("b", "embed", folder="/in")
    both = await one("c", "preview", "enrich", folder="/out", tags=["x"])

    async def fit(**body: Any) -> int:
        return int((await bench.retry_all(dry_run=True, **body))["matched"])

    assert await fit() == 3
    assert await fit(status="failed") == 1
    assert await fit(status="ready") == 2
    assert await fit(folder="/in") == 2
    assert await fit(folder="/in/deep") == 1
    assert await fit(tag=["x"]) == 2
    assert await fit(tag=["x", "y"]) == 1
    assert await fit(media_type="text/plain") == 3
    assert await fit(media_type="application/pdf") == 0
    assert await fit(stage="preview") == 2
    assert await fit(stage="ingest") == 0
    assert await fit(reason="exhausted") == 3
    assert await fit(reason="corrupt") == 0
    assert await fit(ids=[preview, embed, "doc_unknown"]) == 2
    assert await fit(ids=[]) == 0
    await bench.cleared()
    assert await bench.retry_all(ids=[both], stage="preview") == {"matched": 1, "retried": 1, "dry_run": False}
    assert (await bench.queued()).keys() == {"previewer"}, "its other failed stage was not asked for"
    assert (await bench.stages({"id": both}))["enrich"] == "failed"


async def test_another_workspaces_documents_are_never_retried(bench: Bench) -> None:
    document, _ = await bench.uploaded("preview")
    async with bench.live.client(await new_workspace(bench.live.pool)) as stranger:
        answer = await stranger.http.post("/documents/retry", json={"ids": [document["id"]]})
    assert (answer.status_code, answer.json()["matched"]) == (200, 0)
    assert (await bench.stages(document))["preview"] == "failed"


@pytest.mark.parametrize(
    "body", [{"ids": ["a"] * 1001}, {"reason": "a\0b"}, {"reason": "\ud800"}, {"state": "failed"}, {"tag": ["a\0"]}, []]
)
async def test_senseless_filters_are_a_422(bench: Bench, body: Any) -> None:
    answer = await bench.client.http.post(
        "/documents/retry", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    problem(answer, 422, "invalid")
