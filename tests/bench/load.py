"""A load generator: uploads documents over N connections as fast as they are taken, in a process of its own.

    python -m tests.bench.load URL KEY DOCUMENTS SEED CONNECTIONS

It makes the documents, prints `ready`, waits for a line on its standard input, uploads, and prints what it saw as JSON.
HTTP is spoken by hand: an ordinary client would use more of the machine than the gateway that it is to measure.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop

from tests.support.documents import generate

BOUNDARY = "quire-bench-boundary"


class Load:
    """The generator as its owner sees it: ready to start, then started, then done."""

    def __init__(self, url: str, key: str, documents: int, seed: int, connections: int) -> None:
        arguments = [url, key, str(documents), str(seed), str(connections)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.load", *arguments],
            cwd=Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != "ready":
            raise RuntimeError("the load generator did not start")

    def start(self) -> None:
        """Begin to upload."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def result(self) -> dict[str, Any]:
        """Blocks until all is uploaded."""
        out, _ = self._process.communicate()
        if self._process.returncode:
            raise RuntimeError(f"the load generator failed with {self._process.returncode}")
        result: dict[str, Any] = json.loads(out)
        return result


@dataclass
class Answers:
    """What came back."""

    ids: dict[str, int]
    """Document id to seed."""
    refused: dict[int, int]
    """HTTP status to number of answers."""
    seconds: list[float]
    """Time of each upload."""


async def upload_all(url: str, key: str, documents: list[tuple[int, bytes]], connections: int) -> Answers:
    """Uploads every (seed, request), each connection one after the other."""
    answers = Answers({}, {}, [])
    waiting = iter(documents)
    target = urlsplit(url)

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(target.hostname, target.port)
        try:
            for seed, request in waiting:
                began = time.perf_counter()
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                status = int(head[9:12])
                body = await reader.readexactly(_length(head))
                answers.seconds.append(time.perf_counter() - began)
                if status in (200, 202):
                    answers.ids[json.loads(body)["id"]] = seed
                else:
                    answers.refused[status] = answers.refused.get(status, 0) + 1
        finally:
            writer.close()

    await asyncio.gather(*(connection() for _ in range(connections)))
    return answers


def _length(head: bytes) -> int:
    at = head.lower().index(b"content-length:") + len(b"content-length:")
    return int(head[at : head.index(b"\r\n", at)])


def requests(url: str, key: str, documents: int, seed: int) -> Iterator[tuple[int, bytes]]:
    """Whole HTTP requests, each uploading one document."""
    for number, (name, content) in enumerate(generate.documents(documents, seed), start=seed):
        body = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            "Content-Type: text/plain\r\n\r\n"
        ).encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()  # fmt: skip
        head = (
            f"POST /api/v1/documents HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nX-API-Key: {key}\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        yield number, head.encode() + body


def main(url: str, key: str, documents: int, seed: int, connections: int) -> None:
    """See the module."""
    made = list(requests(url, key, documents, seed))
    print("ready", flush=True)
    sys.stdin.readline()
    cpu, began = time.process_time(), time.perf_counter()
    answers = uvloop.run(upload_all(url, key, made, connections))
    print(
        json.dumps({
            "accept_s": time.perf_counter() - began,
            "cpu_s": time.process_time() - cpu,
            "ids": answers.ids,
            "refused": answers.refused,
            "seconds": sorted(answers.seconds),
        })
    )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6]))
