"""A local server that speaks the protocols of Anthropic (messages) and OpenAI (chat completions, embeddings).

    with AIServer() as server:
        server.script(Status(429, {"retry-after": "7"}), Answer(summary="A letter."))

Each request takes the next behaviour; the last one stays. Without a script every request is answered well.
"""

import json
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Answer:
    """A good answer with these fields; for embeddings, one vector for each text (see `AIServer.vector`)."""

    summary: str = "A letter about the tides."
    keywords: tuple[str, ...] = ("spring tide", "moon", "harbour")
    tags: tuple[str, ...] = ("letter", "oceanography")

    @property
    def text(self) -> str:
        return json.dumps({"summary": self.summary, "keywords": self.keywords, "tags": self.tags})


@dataclass(frozen=True)
class Text:
    """The model says something else than what it was asked for."""

    text: str


@dataclass(frozen=True)
class Refusal:
    """The model, or the filter in front of it, declines."""


@dataclass(frozen=True)
class Cut:
    """The answer reaches the limit of tokens before its end."""

    text: str = '{"summary": "A letter about'


@dataclass(frozen=True)
class Status:
    """An HTTP error."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "something is wrong"
    code: str | None = None


@dataclass(frozen=True)
class Garbage:
    """200, and a body that is not JSON."""

    body: bytes = b"<html>gateway</html>"


@dataclass(frozen=True)
class Silence:
    """No answer until the server closes."""


Behaviour = Answer | Text | Refusal | Cut | Status | Garbage | Silence


@dataclass(frozen=True)
class Request:
    """A request as it came in; header names in lower case."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class AIServer:
    """Answers on a free port of 127.0.0.1 while it is entered; `requests` holds what came in."""

    dimensions = 4

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._script: deque[Behaviour] = deque([Answer()])
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def script(self, *behaviours: Behaviour) -> None:
        """What the next requests meet, in order; the last one stays."""
        with self._lock:
            self._script = deque(behaviours)

    @property
    def url(self) -> str:
        """Without a path: what Anthropic's SDK takes. OpenAI's takes `f"{url}/v1"`."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @classmethod
    def vector(cls, text: str) -> list[float]:
        """The vector of a text, not of length 1: its length in characters, then ones."""
        return [float(len(text)), *[1.0] * (cls.dimensions - 1)]

    def __enter__(self) -> Self:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                server._answer(self, Request(self.path, {k.lower(): v for k, v in self.headers.items()}, body))

            def log_message(self, *_args: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _answer(self, handler: BaseHTTPRequestHandler, request: Request) -> None:
        with self._lock:
            self.requests.append(request)
            behaviour = self._script.popleft() if len(self._script) > 1 else self._script[0]
        match behaviour:
            case Silence():
                self._closing.wait()
                handler.close_connection = True
                return
            case Garbage(body):
                _send(handler, 200, {}, body)
            case Status(status, headers, message, code):
                problem = {"type": "error", "message": message, "code": code, "param": None}
                _send(handler, status, headers, json.dumps({"type": "error", "error": problem}).encode())
            case _:
                _send(handler, 200, {}, json.dumps(self._good(request, behaviour)).encode())

    def _good(self, request: Request, behaviour: Answer | Text | Refusal | Cut) -> dict[str, Any]:
        text = "" if isinstance(behaviour, Refusal) else behaviour.text
        match request.path:
            case "/v1/messages":
                reason = {Refusal: "refusal", Cut: "max_tokens"}.get(type(behaviour), "end_turn")
                content = [{"type": "text", "text": text}] if text else []
                usage = {"input_tokens": 100, "output_tokens": 50}
                return {
                    "id": "msg_1", "type": "message", "role": "assistant", "model": request.body["model"],
                    "content": content, "stop_reason": reason, "stop_sequence": None, "usage": usage,
                }  # fmt: skip
            case "/v1/chat/completions":
                reason = {Refusal: "content_filter", Cut: "length"}.get(type(behaviour), "stop")
                message = {"role": "assistant", "content": text or None, "refusal": None}
                choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
                return {
                    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": request.body["model"],
                    "choices": [choice],
                }  # fmt: skip
            case "/v1/embeddings":
                vectors = [self.vector(one) for one in request.body["input"]]
                data = [{"object": "embedding", "index": at, "embedding": one} for at, one in enumerate(vectors)]
                return {"object": "list", "model": request.body["model"], "data": data}
            case other:
                raise AssertionError(f"no such path: {other}")


def _send(handler: BaseHTTPRequestHandler, status: int, headers: Mapping[str, str], body: bytes) -> None:
    handler.send_response(status)
    for name, value in {"content-type": "application/json", "content-length": str(len(body)), **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)
