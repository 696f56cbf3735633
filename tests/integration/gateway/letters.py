"""Parked messages and the operator who looks after them, for tests of dead letters."""

from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx

from quire_contracts import DocumentUploaded
from quire_gateway.dead_letters.parked import letter_id
from tests.integration.gateway.serving import Client
from tests.support import examples
from tests.support.broker import Observer, eventually

Json = dict[str, Any]


@dataclass(frozen=True)
class Office:
    """An operator's client, and a broker to park messages on."""

    operator: Client
    observer: Observer

    @property
    def pool(self) -> asyncpg.Pool:
        return self.operator.live.pool

    async def park(self, service: str, body: bytes, **headers: Any) -> str:
        """Park a message as a worker does; the id of its dead letter."""
        topology = self.observer.topology
        written = {name.replace("_", "-"): value for name, value in headers.items()}
        await self.observer.send(topology.dead_letters, topology.work_queue(service), body, written)
        return letter_id(service, body)

    async def parked(self, service: str = "ingest", body: bytes | None = None, **headers: Any) -> str:
        """Park a message, by default one that nobody else has, and wait until it is a dead letter; its id."""
        body = event().to_json() if body is None else body
        before = await self.times(letter_id(service, body))
        letter = await self.park(service, body, **headers)
        await self.until(letter, before + 1)
        return letter

    async def times(self, letter: str) -> int:
        """How often the message was given up."""
        return int(await self.pool.fetchval("SELECT times FROM dead_letter WHERE id = $1", letter) or 0)

    async def until(self, letter: str, times: int = 1) -> None:
        """Wait until a message was given up that often."""

        async def kept() -> bool:
            return await self.times(letter) >= times

        await eventually(kept, f"{letter} is a dead letter", within_s=40)

    async def show(self, letter: str) -> Json:
        answer = await self.operator.http.get(f"/admin/dead-letters/{letter}")
        assert answer.status_code == 200, answer.text
        shown: Json = answer.json()
        return shown

    async def listed(self, **filters: Any) -> list[str]:
        """The ids of a list, newest first."""
        answer = await self.operator.http.get("/admin/dead-letters", params=filters)
        assert answer.status_code == 200, answer.text
        return [one["id"] for one in answer.json()["data"]]

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.operator.http.post(f"/admin/dead-letters/{path}", json=body or None)

    async def all(self, verb: str, **which: Any) -> Json:
        """The counts of work on many."""
        answer = await self.operator.http.post(f"/admin/dead-letters/{verb}", json=which)
        assert answer.status_code == 200, answer.text
        counts: Json = answer.json()
        return counts

    async def audited(self, **filters: Any) -> list[Json]:
        answer = await self.operator.http.get("/admin/audit", params=filters)
        assert answer.status_code == 200, answer.text
        entries: list[Json] = answer.json()["data"]
        return entries

    async def key(self) -> str:
        """The id of the operator's key."""
        return str(
            await self.pool.fetchval("SELECT id FROM api_key WHERE workspace_id = $1", self.operator.workspace.id)
        )

    async def nothing_waits(self, service: str) -> bool:
        """Whether the service has no work once everything is relayed."""

        async def relayed() -> bool:
            return not await self.pool.fetchval("SELECT count(*) FROM outbox")

        await eventually(relayed, "the outbox is empty")
        return await self.observer.depth(self.observer.topology.work_queue(service)) == 0


def event() -> DocumentUploaded:
    """One of a document and workspace of its own."""
    return examples.uploaded(workspace="ws_of-nobody")
