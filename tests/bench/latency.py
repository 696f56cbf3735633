"""Latency: documents one at a time through an idle stack, from the upload to searchable, indexed and ready.

The client looks into the database every 2 ms for the moment at which a commit makes the document findable, because
asking the search that often would slow down what is measured; the search is asked once, right after that moment, and
must find the document. `told` is when the event stream says that the document is searchable.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg
import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.support import stack as stacks
from tests.support.documents import generate, pdf
from tests.support.stack import Stack

from .processes import Processes
from .results import Measurement, quantile, show

POLL_S = 0.002
GIVE_UP_S = 60
WARM_UP = 5
LOOK = """
SELECT (SELECT text_at IS NOT NULL FROM search.document WHERE id = $1) AS keyword,
       (SELECT spaces <> '{}' FROM search.document WHERE id = $1) AS indexed,
       (SELECT status <> 'processing' FROM catalog.document WHERE id = $1) AS ready
"""
GOALS = ("accepted", "keyword", "indexed", "ready", "told")
EVENTS = {
    "quire.document.uploaded.v1": "uploaded",
    "quire.text.extracted.v1": "extracted",
    "quire.document.embedded.v1": "embedded",
    "quire.document.enriched.v1": "enriched",
    "quire.preview.ready.v1": "previewed",
}

Marks = dict[str, float]
"""Unix seconds by the name of what happened then."""


def measure(documents: int) -> None:
    """Run it on a stack of its own, print and save."""
    measurement = Measurement("latency", documents_of_each_kind=documents, poll_ms=1000 * POLL_S)
    with stacks.running() as stack:
        figures = asyncio.run(_measure(stack, documents))
    for kind in ("text", "pdf"):
        show(
            f"one-page {kind}, from the beginning of the upload, ms", ["until", "p50", "p95", "max"],
            [[name, *figures[kind]["ms"][name].values()] for name in GOALS],
        )  # fmt: skip
        show("where they go, ms (mean)", ["", "ms"], figures[kind]["stages"].items())
    late = figures["look_ms"] + 1000 * POLL_S
    print(f"one look into the database takes {figures['look_ms']:.1f} ms, so each time is late by 0 to {late:.1f} ms")
    measurement.save(figures)


async def _measure(stack: Stack, documents: int) -> dict[str, Any]:
    texts = list(generate.documents(2 * documents + 2 * WARM_UP, 30_000_000))
    tokens = [generate.token(30_000_000 + number) for number in range(len(texts))]
    pdfs = [(name.replace(".txt", ".pdf"), pdf.pages([content.decode()])) for name, content in texts[1::2]]
    kinds = {"text": list(zip(texts[::2], tokens[::2], strict=True)), "pdf": list(zip(pdfs, tokens[1::2], strict=True))}
    ports = (await asyncio.to_thread(Processes, stack)).ports
    headers = {"X-API-Key": stack.credentials["QUIRE_API_KEY"]}
    database = await asyncpg.connect(stack.database_url)
    figures: dict[str, Any] = {}
    async with (
        httpx.AsyncClient(base_url=stack.credentials["QUIRE_URL"], headers=headers, timeout=60) as client,
        _listening(client) as told,
    ):
        for files in kinds.values():
            for file, token in files[:WARM_UP]:
                await _follow(client, database, told, *file, token)
        for kind, files in kinds.items():
            before = await _counters(client, ports)
            marks = [await _follow(client, database, told, *file, token) for file, token in files[WARM_UP:]]
            figures[kind] = _figures(marks, before, await _counters(client, ports))
    looks = []
    for _ in range(100):
        began = time.perf_counter()
        await database.fetchrow(LOOK, "doc_0")
        looks.append(time.perf_counter() - began)
    await database.close()
    return {**figures, "look_ms": 1000 * quantile(looks, 0.5)}


async def _follow(
    client: httpx.AsyncClient, database: asyncpg.Connection, told: dict[str, float], name: str, content: bytes,
    token: str,
) -> Marks:  # fmt: skip
    """Upload one document and wait until it is ready; when what happened."""
    marks = {"start": time.time()}
    answer = await client.post("/api/v1/documents", files={"file": (name, content)})
    marks["accepted"] = time.time()
    assert answer.status_code == 202, answer.text
    document = answer.json()["id"]
    asked = None
    while "ready" not in marks or "indexed" not in marks:
        row = await database.fetchrow(LOOK, document)
        now = time.time()
        assert row is not None
        for goal in ("keyword", "indexed", "ready"):
            if row[goal]:
                marks.setdefault(goal, now)
        if "keyword" in marks and asked is None:
            asked = asyncio.create_task(client.get("/api/v1/search", params={"q": token, "mode": "keyword"}))
        assert now - marks["start"] < GIVE_UP_S, f"{name} is not ready"
        await asyncio.sleep(POLL_S)
    assert asked is not None
    found = (await asked).json()["data"]
    assert [hit["document"]["id"] for hit in found] == [document], f"{name} is not found"
    for row in await database.fetch("SELECT body FROM catalog.event WHERE document_id = $1", document):
        event = json.loads(row["body"])
        if event["type"] in EVENTS:
            marks[EVENTS[event["type"]]] = datetime.fromisoformat(event["time"]).timestamp()
    while document not in told:  # noqa: ASYNC110 - it comes from the stream within milliseconds
        await asyncio.sleep(POLL_S)
    return {**marks, "told": told[document]}


@asynccontextmanager
async def _listening(client: httpx.AsyncClient) -> AsyncIterator[dict[str, float]]:
    """Document id to when the event stream first said that it is searchable."""
    told: dict[str, float] = {}
    connected = asyncio.Event()

    async def listen() -> None:
        parameters = {"type": "quire.document.indexed.v1"}
        async with client.stream("GET", "/api/v1/events", params=parameters) as stream:
            async for line in stream.aiter_lines():
                connected.set()
                if line.startswith("data: {"):
                    told.setdefault(json.loads(line.removeprefix("data: "))["subject"], time.time())

    task = asyncio.create_task(listen())
    try:
        await asyncio.wait_for(connected.wait(), 10)
        yield told
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


Counters = dict[tuple[str, str, str], float]


async def _counters(client: httpx.AsyncClient, ports: dict[str, int]) -> Counters:
    """Sums and counts of the runtime's own histograms: by metric, service and event type."""
    found: Counters = {}
    for port in ports.values():
        text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
        for family in text_string_to_metric_families(text):
            if family.name in ("quire_event_age_seconds", "quire_handler_seconds"):
                for sample in family.samples:
                    if sample.name.endswith(("_sum", "_count")):
                        found[sample.name, sample.labels["service"], sample.labels["type"]] = sample.value
    return found


def _figures(marks: list[Marks], before: Counters, after: Counters) -> dict[str, Any]:
    def age(service: str, event: str) -> float:
        """Mean milliseconds from an event's making to the beginning of its handling by a service."""
        sums, counts = (
            after.get((f"quire_event_age_seconds_{what}", service, event), 0.0)
            - before.get((f"quire_event_age_seconds_{what}", service, event), 0.0)
            for what in ("sum", "count")
        )
        return 1000 * sums / counts if counts else float("nan")

    def mean(begin: str, end: str) -> float:
        return 1000 * sum(one[end] - one[begin] for one in marks) / len(marks)

    uploaded, extracted, embedded = (
        "quire.document.uploaded.v1", "quire.text.extracted.v1", "quire.document.embedded.v1",
    )  # fmt: skip
    hops = {
        "uploaded → ingest": age("ingest", uploaded),
        "extracted → search": age("search", extracted),
        "extracted → embedder": age("embedder", extracted),
        "embedded → search": age("search", embedded),
        "extracted → enricher": age("enricher", extracted),
        "uploaded → previewer": age("previewer", uploaded),
    }
    return {
        "ms": {
            goal: {
                name: 1000 * quantile((one[goal] - one["start"] for one in marks), share)
                for name, share in (("p50", 0.5), ("p95", 0.95), ("max", 1.0))
            }
            for goal in GOALS
        },
        "stages": {
            "gateway: receive, hash, store (request to event)": mean("start", "uploaded"),
            "gateway: commit and answer": mean("uploaded", "accepted"),
            "hop: commit, outbox, broker, to ingest": hops["uploaded → ingest"],
            "ingest: read, store the text": mean("uploaded", "extracted") - hops["uploaded → ingest"],
            "hop: confirm, broker, to search": hops["extracted → search"],
            "search: analyse, commit (= searchable)": mean("extracted", "keyword") - hops["extracted → search"],
            "hop: broker, to embedder": hops["extracted → embedder"],
            "embedder: embed": mean("extracted", "embedded") - hops["extracted → embedder"],
            "hop: confirm, broker, to search (vectors)": hops["embedded → search"],
            "search: commit the vectors (= indexed)": mean("embedded", "indexed") - hops["embedded → search"],
            "hop: broker, to enricher": hops["extracted → enricher"],
            "enricher: enrich": mean("extracted", "enriched") - hops["extracted → enricher"],
            "hop: commit, outbox, broker, to previewer": hops["uploaded → previewer"],
            "previewer: render, store": mean("uploaded", "previewed") - hops["uploaded → previewer"],
            "searchable → client told by the stream": mean("keyword", "told"),
        },
        "each_ms": {
            goal: [round(1000 * (one[goal] - one["start"]), 1) for one in marks] for goal in (*GOALS, *EVENTS.values())
        },
    }
