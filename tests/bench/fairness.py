"""Fairness: one workspace floods, another uploads one document now and then: how long until that one is ready."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx

from quire_contracts import TABLE, Topology
from quire_local.queues import depths
from tests.support import stack as stacks
from tests.support.documents import generate
from tests.support.stack import Stack

from .load import Load
from .results import Measurement, quantile, show

CONNECTIONS = 16
PROBES = 7
GIVE_UP_S = 120


@dataclass(frozen=True)
class Probe:
    """One document of the quiet workspace: seconds until it was ready, and when each event of its life came."""

    seconds: float
    steps: dict[str, float]


QUEUED = "SELECT count(*) FROM catalog.document WHERE status = 'processing'"


def measure(documents: int) -> None:
    """Run it on a stack of its own, print and save."""
    measurement = Measurement("fairness", documents=documents, connections=CONNECTIONS, probes=PROBES)
    with stacks.running() as stack:
        figures = asyncio.run(_flood(stack, documents))
    rows = [
        [name, *(1000 * figures[name][point] for point in ("p50", "max"))] for name in ("alone", "during the flood")
    ]
    show(f"upload to ready beside {documents:,} queued documents of another workspace", ["", "p50 ms", "max ms"], rows)
    show("when a probe was sent", ["documents of the flood not ready", "waiting messages"], figures["backlog"])
    show("the slowest probe's way", ["event", "ms since its upload"], figures["slowest"].items())
    measurement.save(figures)


async def _flood(stack: Stack, documents: int) -> dict[str, Any]:
    url, key = stack.credentials["QUIRE_URL"], stack.credentials["QUIRE_API_KEY"]
    quiet = await asyncio.to_thread(stack.new_workspace)
    load = await asyncio.to_thread(Load, url, key, documents, 0, CONNECTIONS)
    database = await asyncpg.connect(stack.database_url)
    try:
        async with httpx.AsyncClient(base_url=url, headers={"X-API-Key": quiet}, timeout=60) as client:
            alone = [(await _until_ready(client, 1_000_000 + number)).seconds for number in range(PROBES)]
            load.start()
            loading = asyncio.create_task(asyncio.to_thread(load.result))
            probes, backlog = [], []
            await _queued(database, documents // 4)
            for number in range(PROBES):
                if number == PROBES // 2:
                    await loading
                backlog.append([await database.fetchval(QUEUED), sum(await _depths(stack))])
                probes.append(await _until_ready(client, 2_000_000 + number))
            accepted = len((await loading)["ids"])
    finally:
        await database.close()
    during = [probe.seconds for probe in probes]
    return {
        "accepted": accepted,
        "alone": {"p50": quantile(alone, 0.5), "max": max(alone)},
        "during the flood": {"p50": quantile(during, 0.5), "max": max(during)},
        "seconds": during,
        "slowest": max(probes, key=lambda probe: probe.seconds).steps,
        "backlog": backlog,
    }


async def _until_ready(client: httpx.AsyncClient, seed: int) -> Probe:
    content = generate.page(seed).encode()
    began = time.perf_counter()
    answer = await client.post("/api/v1/documents", files={"file": ("probe.txt", content)})
    assert answer.status_code == 202, answer.text
    while time.perf_counter() - began < GIVE_UP_S:
        found = (await client.get(answer.headers["Location"])).json()
        if found["status"] != "processing":
            assert found["status"] == "ready", found
            seconds = time.perf_counter() - began
            timeline = (await client.get(f"{answer.headers['Location']}/timeline")).json()["data"]
            return Probe(seconds, {step["summary"].split(":")[0]: step["since_upload_ms"] for step in timeline})
        await asyncio.sleep(0.02)
    raise AssertionError(f"not ready after {GIVE_UP_S} s: {found['stages']}")


async def _queued(database: asyncpg.Connection, count: int) -> None:
    while await database.fetchval(QUEUED) < count:  # noqa: ASYNC110 - the condition is another process's
        await asyncio.sleep(0.1)


async def _depths(stack: Stack) -> list[int]:
    topology = Topology()
    queues = [queue for row in TABLE for queue in topology.taken_from(row.service)]
    return [depth.messages or 0 for depth in await depths(stack.credentials["QUIRE_BROKER_URL"], queues)]
