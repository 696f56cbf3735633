"""A gateway served over a real socket inside the test's process, and what a workspace's client does with it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import uvicorn

from quire_contracts import DocumentUploaded, Event, parse_event, uuid7
from quire_gateway import db
from quire_gateway.auth import key_hash, new_key
from quire_gateway.main import build
from quire_gateway.settings import GatewaySettings
from quire_gateway.state import Gateway
from quire_runtime.service import Service
from tests.support.broker import eventually

TEXT = b"The wind turned north at noon, and the keeper wrote it down."


class _Server(uvicorn.Server):
    """Leaves the signals of the test's process alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True)
class Workspace:
    """A workspace with a key."""

    id: str
    key: str


@dataclass(frozen=True)
class Live:
    """A gateway that answers."""

    service: Service[GatewaySettings]
    url: str

    @property
    def gateway(self) -> Gateway:
        gateway: Gateway = self.service.app.state.gateway
        return gateway

    @property
    def pool(self) -> asyncpg.Pool:
        return self.gateway.pool

    @asynccontextmanager
    async def client(self, workspace: Workspace, key: str | None = None) -> AsyncIterator["Client"]:
        """A client of one workspace."""
        headers = {"X-API-Key": workspace.key if key is None else key}
        async with httpx.AsyncClient(base_url=f"{self.url}/api/v1", headers=headers, timeout=30) as http:
            yield Client(self, workspace, http)


@dataclass(frozen=True)
class Client:
    """What a workspace's client does, and how a test looks behind it."""

    live: Live
    workspace: Workspace
    http: httpx.AsyncClient

    async def upload(
        self, content: bytes | None = None, name: str = "notes.txt", **fields: str | list[str]
    ) -> httpx.Response:
        """POST /documents; without a content, one that nobody else has."""
        content = TEXT + uuid7().hex.encode() if content is None else content
        return await self.http.post("/documents", files={"file": (name, content)}, data=fields)

    async def uploaded(self, content: bytes | None = None, name: str = "notes.txt", **fields: Any) -> dict[str, Any]:
        """The document of an upload that must succeed."""
        answer = await self.upload(content, name, **fields)
        assert answer.status_code == 202, answer.text
        document: dict[str, Any] = answer.json()
        return document

    async def document(self, document_id: str) -> dict[str, Any]:
        answer = await self.http.get(f"/documents/{document_id}")
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    async def reaches(self, document: dict[str, Any], status: str) -> None:
        """Wait until a document has a status."""

        async def reached() -> bool:
            return bool((await self.document(document["id"]))["status"] == status)

        await eventually(reached, f"the document is {status}")

    async def objects(self) -> list[str]:
        """Keys of everything the workspace has in the store."""
        return sorted([key async for key in self.live.gateway.store.list(f"{self.workspace.id}/")])

    async def rows(self) -> list[asyncpg.Record]:
        """The workspace's rows of the catalog, tombstones included."""
        return await self.live.pool.fetch("SELECT * FROM document WHERE workspace_id = $1", self.workspace.id)

    async def events(self) -> list[Event]:
        """What the event log has of the workspace."""
        rows = await self.live.pool.fetch(
            "SELECT body FROM event WHERE workspace_id = $1 ORDER BY txid, seq", self.workspace.id
        )
        return [parse_event(row["body"]) for row in rows]

    async def cause(self, document: dict[str, Any]) -> DocumentUploaded:
        """The event of an upload, for events that follow it."""
        found = [event for event in await self.events() if event.subject == document["id"]]
        assert isinstance(found[0], DocumentUploaded)
        return found[0]

    async def nothing_is_left(self) -> None:
        """Fails where a refused upload left an object, a row or an event."""
        assert await self.objects() == []
        assert await self.rows() == []
        assert await self.events() == []


@asynccontextmanager
async def serving(settings: GatewaySettings) -> AsyncIterator[Live]:
    """A gateway on a free port, as `main` builds it."""
    service = build(settings)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(service.app, log_config=None, access_log=False, timeout_graceful_shutdown=3)
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn has nothing to wait for
            await asyncio.sleep(0.005)
        assert server.started, "the gateway did not start"
        yield Live(service, f"http://127.0.0.1:{listening.getsockname()[1]}")
    finally:
        server.should_exit = True
        await task


async def new_workspace(pool: asyncpg.Pool) -> Workspace:
    """A workspace nobody else uses."""
    workspace = Workspace(f"ws_{uuid7().hex}", new_key())
    async with pool.acquire() as connection, connection.transaction():
        await db.create_workspace(
            connection,
            workspace.id,
            "a test's",
            (f"usr_{uuid7().hex}", f"{uuid7().hex}@test", "no password", "admin")[:3],
            (f"key_{uuid7().hex}", workspace.key[:9], key_hash(workspace.key)),
        )
    return workspace


async def new_operator(pool: asyncpg.Pool) -> Workspace:
    """A workspace whose key may look after the whole installation; every other key may not."""
    workspace = await new_workspace(pool)
    await pool.execute(
        "UPDATE api_key SET scopes = CASE WHEN workspace_id = $1 THEN '{operator}' ELSE '{}' END::text[]", workspace.id
    )
    return workspace


@dataclass(frozen=True)
class Message:
    """A server-sent event."""

    id: str
    type: str
    event: Event


class Stream:
    """An open stream of server-sent events."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.begin = ""
        self._lines = self._split()
        self._messages = self._parsed()

    async def begun(self) -> None:
        """Wait for the place where the stream begins: nothing that is recorded from now on may be missing."""
        async for line in self._lines:
            if line.startswith("id: "):
                self.begin = line.removeprefix("id: ")
            elif not line:
                return

    async def _split(self) -> AsyncIterator[str]:
        """Lines as the specification has them; httpx would break them at U+2028 too."""
        rest = b""
        async for piece in self.response.aiter_bytes():
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield line.decode()

    async def _parsed(self) -> AsyncIterator[Message]:
        fields: dict[str, str] = {}
        async for line in self._lines:
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value
            elif not line and "data" in fields:
                yield Message(fields["id"], fields["event"], parse_event(fields["data"]))
                fields = {}

    async def take(self, count: int, within_s: float = 30) -> list[Message]:
        """The next messages; fails where they do not come in time."""
        taken: list[Message] = []
        try:
            async with asyncio.timeout(within_s):
                while len(taken) < count:
                    taken.append(await anext(self._messages))
        except (TimeoutError, StopAsyncIteration) as error:
            came = [message.type for message in taken]
            raise AssertionError(f"{type(error).__name__}: of {count} messages came {came}") from None
        return taken

    async def rest(self, within_s: float = 15) -> list[Message]:
        """Everything up to the end of the stream, which the gateway must set."""
        async with asyncio.timeout(within_s):
            return [message async for message in self._messages]


@asynccontextmanager
async def following(client: Client, after: str | None = None, **params: str | Sequence[str]) -> AsyncIterator[Stream]:
    """A client that follows the workspace's events."""
    headers = {} if after is None else {"Last-Event-ID": after}
    async with client.http.stream("GET", "/events", params=params, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        stream = Stream(response)
        await stream.begun()
        yield stream


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of an answer, which must have this status and code."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    document: dict[str, Any] = json.loads(answer.content)
    assert (document["status"], document["code"]) == (status, code), document
    return document
