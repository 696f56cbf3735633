"""A small server of `/v1/embeddings` whose answers a test can replace."""

import asyncio
import base64
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import numpy as np

Payload = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        """The HTTP response; a body that is a string is sent as it stands, any other as JSON."""
        body = (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
        lines = [f"{name}: {value}" for name, value in (headers | self.headers).items()]
        head = "\r\n".join([f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}", *lines, "", ""])
        return head.encode() + body


def vector_of(text: str, dimensions: int = 8) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A vector that depends on the text alone and is not of length 1."""
    return np.random.default_rng(zlib.crc32(text.encode())).normal(size=dimensions).astype(np.float32)


def embeddings(payload: Payload, dimensions: int = 8) -> Payload:
    """The answer of a correct server, in the format it was asked for."""
    data = []
    for index, text in enumerate(payload["input"]):
        vector = vector_of(text, payload.get("dimensions", dimensions))
        encoded = payload.get("encoding_format") == "base64"
        value = base64.b64encode(vector.tobytes()).decode() if encoded else vector.tolist()
        data.append({"object": "embedding", "index": index, "embedding": value})
    return {"object": "list", "model": payload["model"], "data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}}


async def answer_correctly(payload: Payload) -> Answer:
    return Answer(embeddings(payload))


@dataclass
class EmbeddingServer:
    """Records what it was asked in `payloads`."""

    url: str = ""
    answer: Callable[[Payload], Awaitable[Answer]] = answer_correctly
    payloads: list[Payload] = field(default_factory=list)

    def always(self, respond: Callable[[Payload], Answer]) -> None:
        async def answer(payload: Payload) -> Answer:
            return respond(payload)

        self.answer = answer

    def reset(self) -> None:
        self.answer = answer_correctly
        self.payloads.clear()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request_line, *headers = (await reader.readuntil(b"\r\n\r\n")).decode().lower().splitlines()
            length = next(int(line.split(":")[1]) for line in headers if line.startswith("content-length:"))
            payload = json.loads(await reader.readexactly(length))
            assert request_line.startswith("post /v1/embeddings "), request_line
            self.payloads.append(payload)
            writer.write((await self.answer(payload)).encode())
        finally:
            writer.close()


@asynccontextmanager
async def serve_embeddings() -> AsyncIterator[EmbeddingServer]:
    server = EmbeddingServer()
    async with await asyncio.start_server(server.handle, "127.0.0.1", 0) as listener:
        server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
        yield server
