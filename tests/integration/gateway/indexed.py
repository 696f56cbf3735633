"""A gateway beside the real search service; what the other workers would say is said by the tests."""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn

from quire_contracts import Blob, DocumentUploaded, Event, Vectors, parse_event
from quire_gateway.settings import GatewaySettings
from quire_models import EmbeddingModel, open_model
from quire_runtime import outbox
from quire_runtime.service import Service, build_app
from quire_search.main import Search
from quire_search.settings import SearchSettings
from tests.integration.gateway.serving import Client, Live, _Server, new_operator, serving
from tests.support import examples
from tests.support.broker import Observer, eventually, observing

Line = dict[str, Any]


@dataclass(frozen=True)
class Installation:
    """Both services, an operator, and a look at the broker."""

    live: Live
    operator: Client
    broker: Observer
    search: httpx.AsyncClient
    model: EmbeddingModel

    async def document(self, *texts: str, **fields: Any) -> DocumentUploaded:
        """A document that is ready, found by both legs, and has not changed for long."""
        uploaded = await self.operator.uploaded(**fields)
        cause = await self.operator.cause(uploaded)
        store = self.live.gateway.store
        for event in await self.work(cause, *texts):
            for key in keys_of(event):
                await store.put(key, b"the text or a picture")
            await self.live.service.publisher.publish(event)
        await self.operator.reaches(uploaded, "ready")
        await self.settle()
        return cause

    async def work(self, cause: DocumentUploaded, *texts: str) -> list[Event]:
        """What the workers but search say of a document."""
        text = examples.extracted(cause, *texts)
        made = await self.model.embed_documents([chunk.text for chunk in text.data.chunks.inline or ()])
        space = self.model.space
        data = base64.b64encode(made.astype("<f2").tobytes()).decode()
        vectors = Vectors(space=space.id, dimensions=space.dimensions, count=len(made), data=data)
        embedded = examples.embedded(text)
        packed = embedded.data.model_copy(update={"vectors": Blob[Vectors](inline=vectors, size=len(data))})
        return [text, embedded.model_copy(update={"data": packed}), examples.enriched(text), examples.previewed(cause)]

    async def settle(self) -> None:
        """Nothing has changed within the last minutes, and nothing is under way."""
        for service in ("gateway", "search"):
            await self.broker.empty(self.broker.topology.work_queue(service))
        await eventually(self._relayed, "the outboxes are empty")
        await self.live.pool.execute("UPDATE document SET updated_at = updated_at - interval '10 minutes'")

    async def _relayed(self) -> bool:
        left = "SELECT NOT EXISTS (SELECT FROM outbox) AND NOT EXISTS (SELECT FROM search.outbox)"
        return bool(await self.live.pool.fetchval(left))

    async def give(self, service: str, *events: Event) -> None:
        """Give events to one service alone."""
        async with self.live.pool.acquire() as connection, connection.transaction():
            await outbox.add(connection, events, service)
        self.live.gateway.relay.wake(len(events))

    async def given(self, service: str) -> list[Event]:
        """What waits for a worker; taken away."""
        await eventually(self._relayed, "the outboxes are empty")
        queue, found = self.broker.topology.work_queue(service), []
        while await self.broker.depth(queue):
            found.append(parse_event((await self.broker.take(queue)).body))
        return found

    async def found(self, words: str) -> list[str]:
        """The documents that the search service finds by word."""
        answer = await self.search.get("/query", params={"workspace": self.operator.workspace.id, "q": words,
                                                         "mode": "keyword", "limit": 100})  # fmt: skip
        assert answer.status_code == 200, answer.text
        return [hit["document_id"] for hit in answer.json()["data"]]

    async def until_found(self, words: str, *documents: Event) -> None:
        """Wait until exactly these are found."""

        async def there() -> bool:
            return sorted(await self.found(words)) == sorted(document.subject for document in documents)

        await eventually(there, f"{words} finds {len(documents)}")

    async def reconcile(self, **options: bool) -> tuple[list[Line], Line]:
        """The differences in the order of their kinds, and the summary."""
        lines = await self.lines("/admin/reconcile", params=options)
        assert lines[-1]["type"] == "summary", lines[-1]
        found = [line for line in lines if line["type"] == "difference"]
        return sorted(found, key=lambda line: (line["kind"], line["document"], line["detail"])), lines[-1]

    async def lines(self, path: str, **request: Any) -> list[Line]:
        """All lines of a long answer."""
        answer = await self.operator.http.post(path, **request)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson"), answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    async def sql(self, statement: str, *arguments: Any) -> None:
        """Damage, or look."""
        await self.live.pool.execute(statement, *arguments)


def keys_of(event: Event) -> Sequence[str]:
    """Keys of the objects that an event names."""
    data = event.data.model_dump()
    images = [data.get("thumbnail"), *data.get("pages", ())]
    return [key for key in (data.get("text_key"), *(image["key"] for image in images if image)) if key]


@asynccontextmanager
async def installed(settings: GatewaySettings) -> AsyncIterator[Installation]:
    """Both services on free ports; the database has both schemas."""
    own = {name: value for name, value in settings.model_dump().items() if name in SearchSettings.model_fields}
    service, search = Service("search", SearchSettings(**own)), Search()
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    app = build_app(service, search.run, search.routes())
    server = _Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=3))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    model = open_model("static")
    try:
        async with serving(settings.model_copy(update={"search_url": url})) as live:
            await live.service.publisher.ready()
            await service.publisher.ready()
            async with (
                live.client(await new_operator(live.pool)) as operator,
                observing(settings) as broker,
                httpx.AsyncClient(base_url=url, timeout=30) as asking,
            ):
                yield Installation(live, operator, broker, asking, model)
    finally:
        await model.close()
        server.should_exit = True
        await task
