"""Throughput: a burst of documents uploaded at full speed, until the last one is searchable and until it is ready."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import asyncpg

from quire_contracts import TABLE, Topology
from quire_local.queues import depths
from tests.support import stack as stacks
from tests.support.documents import generate
from tests.support.stack import Stack

from .load import Load
from .processes import Processes, used
from .results import Measurement, quantile, show

CONNECTIONS = 16
WARM_UP = 100
SAMPLE_S = 0.25
GIVE_UP_S = 900
CHECKED_BY_SEARCH = 100
COURSE = ("t", "keyword", "indexed", "ready", "outbox")
COURSE_POINTS = 60
PROGRESS = """
SELECT (SELECT count(*) FROM search.document WHERE text_at IS NOT NULL) AS keyword,
       (SELECT count(*) FROM search.document WHERE text_at IS NOT NULL AND spaces <> '{}') AS indexed,
       (SELECT count(*) FROM catalog.document WHERE status = 'ready') AS ready,
       (SELECT count(*) FROM catalog.document WHERE status = 'failed') AS failed,
       (SELECT count(*) FROM catalog.outbox) AS outbox
"""

Around = Callable[[Stack, Processes], AbstractContextManager[Any]]
"""Entered when the stack is warm and left when the last document is ready."""


def measure(documents: int) -> None:
    """Run it on a stack of its own, print and save."""
    measurement = Measurement("throughput", documents=documents, connections=CONNECTIONS)
    with stacks.running() as stack:
        figures = burst(stack, documents)
    _show(figures, documents)
    measurement.save(figures)


def burst(stack: Stack, documents: int, around: Around | None = None) -> dict[str, Any]:
    """Upload that many documents to a stack and follow them; the figures."""
    return asyncio.run(_burst(stack, documents, around))


async def _burst(stack: Stack, documents: int, around: Around | None) -> dict[str, Any]:
    url, key = stack.credentials["QUIRE_URL"], stack.credentials["QUIRE_API_KEY"]
    database = await asyncpg.connect(stack.database_url)
    try:
        warm = await asyncio.to_thread(Load, url, key, WARM_UP, 10_000_000, CONNECTIONS)
        warm.start()
        warmed = await asyncio.to_thread(warm.result)
        await _follow(stack, database, 0, len(warmed["ids"]))

        processes = await asyncio.to_thread(Processes, stack)
        load = await asyncio.to_thread(Load, url, key, documents, 0, CONNECTIONS)
        before = processes.cpu_s()
        if around is None:
            load.start()
            samples, result = await _both(stack, database, load, WARM_UP, documents)
        else:
            with around(stack, processes):
                load.start()
                samples, result = await _both(stack, database, load, WARM_UP, documents)
        cpu = used(before, processes.cpu_s())
        accepted: dict[str, int] = result["ids"]
        lost = await _lost(database, list(accepted))
        not_found = await asyncio.to_thread(_not_found, stack, accepted)
    finally:
        await database.close()
    told = [sample for sample in samples if "waiting" in sample]
    reached = {name: _reached(samples, name, len(accepted)) for name in ("keyword", "indexed", "ready")}
    return {
        "accepted": len(accepted),
        "refused": result["refused"],
        "lost": lost,
        "searched_and_not_found": not_found,
        "accept_s": result["accept_s"],
        "upload_ms": {f"p{p}": 1000 * quantile(result["seconds"], p / 100) for p in (50, 95, 99)},
        "seconds": reached,
        "documents_per_minute": {
            "accepted": 60 * len(accepted) / result["accept_s"],
            **{name: 60 * len(accepted) / seconds for name, seconds in reached.items()},
        },
        "cpu_s": {**cpu, "load generator": result["cpu_s"]},
        "cpu_ms_per_document": {name: 1000 * seconds / len(accepted) for name, seconds in cpu.items()},
        "deepest": {queue: max(sample["waiting"][queue] or 0 for sample in told) for queue in told[0]["waiting"]},
        "course": [
            [sample[name] for name in COURSE] + list(sample["waiting"].values())
            for sample in told[:: max(1, len(told) // COURSE_POINTS)]
        ],
        "course_columns": [*COURSE, *told[0]["waiting"]],
    }


async def _both(
    stack: Stack, database: asyncpg.Connection, load: Load, already: int, documents: int
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    loading = asyncio.create_task(asyncio.to_thread(load.result))
    samples = await _follow(stack, database, already, documents)
    return samples, await loading


async def _follow(stack: Stack, database: asyncpg.Connection, already: int, documents: int) -> list[dict[str, Any]]:
    """Samples of how far the documents beyond the first `already` are, until all have come to an end."""
    broker = stack.credentials["QUIRE_BROKER_URL"]
    queues = [Topology().work_queue(row.service) for row in TABLE]
    began = time.perf_counter()
    samples: list[dict[str, Any]] = []
    while True:
        row = await database.fetchrow(PROGRESS)
        assert row is not None
        sample: dict[str, Any] = {"t": round(time.perf_counter() - began, 2)}
        sample |= {name: max(0, row[name] - already) for name in ("keyword", "indexed", "ready")}
        sample |= {"failed": row["failed"], "outbox": row["outbox"]}
        finished = sample["ready"] + sample["failed"] >= documents and sample["indexed"] >= documents
        if finished or len(samples) % 4 == 0:  # the broker is asked once a second
            sample["waiting"] = {depth.queue: depth.messages for depth in await depths(broker, queues)}
        samples.append(sample)
        if finished:
            return samples
        if time.perf_counter() - began > GIVE_UP_S:
            raise AssertionError(f"not finished after {GIVE_UP_S} s: {sample}")
        await asyncio.sleep(SAMPLE_S)


def _reached(samples: list[dict[str, Any]], name: str, count: int) -> float:
    return float(next((sample["t"] for sample in samples if sample[name] >= count), float("nan")))


async def _lost(database: asyncpg.Connection, accepted: list[str]) -> dict[str, int]:
    """How many accepted documents are missing where they should be."""
    present = await database.fetchrow(
        """
        SELECT (SELECT count(*) FROM catalog.document WHERE id = ANY($1::text[]) AND status = 'ready') AS catalog,
               (SELECT count(*) FROM search.document WHERE id = ANY($1::text[]) AND text_at IS NOT NULL
                                                       AND spaces <> '{}') AS index
        """,
        accepted,
    )
    assert present is not None
    return {place: len(accepted) - present[place] for place in ("catalog", "index")}


def _not_found(stack: Stack, accepted: dict[str, int]) -> int:
    """Of a sample of the documents, how many the search does not find by the word that only they hold."""
    chosen = list(accepted.items())[:: max(1, len(accepted) // CHECKED_BY_SEARCH)]
    missed = 0
    with stack.client() as client:
        for document, seed in chosen:
            parameters = {"q": generate.token(seed), "mode": "keyword"}
            found = client.get("/api/v1/search", params=parameters).json()["data"]
            missed += [hit["document"]["id"] for hit in found] != [document]
    return missed


def _show(figures: dict[str, Any], documents: int) -> None:
    per_minute = figures["documents_per_minute"]
    rows = [["accepted (committed row and outbox)", figures["accept_s"], per_minute["accepted"]]]
    told = {"keyword": "searchable by keyword", "indexed": "searchable by both legs", "ready": "ready, with previews"}
    rows += [[told[name], figures["seconds"][name], per_minute[name]] for name in told]
    show(f"{documents:,} one-page texts, {CONNECTIONS} connections", ["until the last is", "s", "documents/min"], rows)
    cpu, each = figures["cpu_s"], figures["cpu_ms_per_document"]
    spent = [[name, cpu[name], each[name]] for name in each if cpu[name] > 0.05]
    total = ["all", sum(cpu[name] for name in each), sum(each.values())]
    show("CPU", ["process", "s", "ms a document"], [*spent, total])
    show("deepest seen", ["queue", "messages"], figures["deepest"].items())
    print(
        f"accepted {figures['accepted']}, refused {figures['refused'] or 0}, lost {figures['lost']},"
        f" searched for and not found {figures['searched_and_not_found']}"
    )
