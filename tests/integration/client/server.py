"""A small server that speaks the shapes of the API: the tests tell it what to answer and see what arrived."""

import asyncio
import hashlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

KEY = "qk_of-the-tests"
MOMENT = "2026-01-02T03:04:05.678901Z"
STAGES = ("ingest", "embed", "index", "preview", "enrich")

Answer = Callable[[Request], Awaitable[Response]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def document(number: int = 1, status: str = "ready", **changes: Any) -> dict[str, Any]:
    """A document as the API shows it."""
    done = {"ready": "done", "failed": "failed", "processing": "pending"}[status]
    return {
        "id": f"doc_{number:032x}", "title": f"Document {number}", "filename": f"file-{number}.txt", "folder": "/a",
        "tags": ["one"], "metadata": {}, "media_type": "text/plain", "size": 5, "sha256": "0" * 64, "revision": 1,
        "version": 1, "created_at": MOMENT, "updated_at": MOMENT, "status": status,
        "stages": {name: {"status": done, "reason": None, "detail": None} for name in STAGES},
        "searchable": ["keyword"], "language": "en", "page_count": None, "characters": 5, "chunks": 1,
        "summary": None, "keywords": [], "suggested_tags": [], "thumbnail_url": None, "previews": [],
        "a_field_of_tomorrow": {"x": 1},
    } | changes  # fmt: skip


def event(number: int, subject: str, kind: str = "quire.text.extracted.v1", **data: Any) -> str:
    """An event as the stream carries it, with its cursor."""
    body = {
        "specversion": "1.0", "id": f"event-{number}", "type": kind, "source": "/quire/ingest", "subject": subject,
        "time": MOMENT, "workspaceid": "ws_1", "data": data,
    }  # fmt: skip
    return f"id: 1-{number}\nevent: {kind}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n"


def problem(status: int, code: str, detail: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """An RFC 9457 problem document."""
    body = {
        "type": "about:blank", "title": "Problem", "status": status, "detail": detail, "instance": "/api/v1/x",
        "code": code, "request_id": "req-7", **more,
    }  # fmt: skip
    return JSONResponse(body, status, headers, "application/problem+json")


class Broken(Response):
    """Promises `promised` bytes, sends fewer and breaks the connection."""

    def __init__(
        self, body: bytes, promised: int, status_code: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(body, status_code, {**(headers or {}), "content-length": str(promised)})

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        raise ConnectionAbortedError


@dataclass
class Upload:
    """What arrived of an upload."""

    size: int
    sha256: str
    head: bytes
    content_length: str | None
    largest_piece: int


@dataclass
class Api:
    """What the server answers, and what it was asked."""

    answers: dict[str, list[Answer | Response | dict[str, Any]]] = field(default_factory=dict)
    """For `METHOD path` below /api/v1: answers one after the other; the last one is kept."""
    requests: list[Request] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)
    url: str = ""
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def on(self, call: str, *answers: Answer | Response | dict[str, Any]) -> None:
        """Say what to answer to `METHOD path`."""
        self.answers[call] = list(answers)

    def calls(self, call: str) -> list[Request]:
        """The requests of a `METHOD path`."""
        return [request for request in self.requests if _name(request) == call]

    async def until(self, call: str, count: int = 1) -> None:
        """Wait until so many requests of a `METHOD path` arrived."""
        while len(self.calls(call)) < count:
            self._arrived.clear()
            await self._arrived.wait()

    async def answer(self, request: Request) -> Response:
        """The next answer to a request."""
        self.requests.append(request)
        self._arrived.set()
        if request.headers.get("x-api-key") != KEY:
            return problem(401, "unauthorized", "The API key is not valid.")
        if request.method == "PATCH":
            await request.body()
        if request.method == "POST":
            self.uploads.append(await _receive(request))
        queue = self.answers.get(_name(request))
        if not queue:
            return problem(404, "not_found", "There is no such document.")
        chosen = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(chosen, dict):
            return JSONResponse(chosen)
        return chosen if isinstance(chosen, Response) else await chosen(request)


async def _receive(request: Request) -> Upload:
    digest, size, head, largest = hashlib.sha256(), 0, b"", 0
    async for piece in request.stream():
        digest.update(piece)
        size += len(piece)
        head = (head + piece)[:4096]
        largest = max(largest, len(piece))
    return Upload(size, digest.hexdigest(), head, request.headers.get("content-length"), largest)


def _name(request: Request) -> str:
    return f"{request.method} {request.url.path.removeprefix('/api/v1')}"


@asynccontextmanager
async def serving(api: Api, listener: socket.socket | None = None) -> AsyncIterator[Api]:
    """The API on a free port for as long as the context lasts."""
    listener = listener or socket.create_server(("127.0.0.1", 0))
    api.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = Starlette(routes=[Route("/{path:path}", api.answer, methods=["GET", "POST", "PATCH", "DELETE"])])
    config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve(sockets=[listener]))
    try:
        yield api
    finally:
        server.should_exit = True
        server.force_exit = True
        await running
