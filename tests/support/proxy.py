"""A TCP proxy between a client and a server that a test can cut: let pass, blackhole one or both ways, refuse."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

Direction = Literal["both", "to server", "from server"]

PORTS = {"amqp": 5672, "postgresql": 5432, "redis": 6379, "http": 80}


class Proxy:
    """Stands in front of the server in `url`; `self.url` is the same URL through the proxy.

    It runs in a thread of its own, so that it goes on whatever the test's event loop does. In the beginning everything
    passes. A PostgreSQL URL may name a folder of a Unix socket (`?host=/folder`).
    """

    def __init__(self, url: str) -> None:
        self._target = _target(url)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._gates = {"to server": asyncio.Event(), "from server": asyncio.Event()}
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._forgotten: set[asyncio.StreamWriter] = set()
        self.port = 0
        self._url = url

    @property
    def url(self) -> str:
        """Where clients reach the server through the proxy."""
        return _through(self._url, self.port)

    def let_pass(self) -> None:
        """Everything passes; what waited in a blackhole goes on."""
        self._run(self._let_pass())

    def blackhole(self, direction: Direction = "both") -> None:
        """Connections stay open and new ones are taken, but no byte arrives: the cable is pulled."""
        self._run(self._blackhole(direction))

    def forget(self) -> None:
        """The connections that are open now stay open and dead for ever, new ones pass: a router lost its table."""
        self._run(self._forget())

    def refuse(self) -> None:
        """Every connection breaks and new ones are refused: the process behind the port is gone."""
        self._run(self._refuse())

    @property
    def connections(self) -> int:
        """Connections that clients hold now."""
        return len(self._open) // 2

    def __enter__(self) -> Self:
        self._thread.start()
        self.let_pass()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _let_pass(self) -> None:
        for gate in self._gates.values():
            gate.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _blackhole(self, direction: Direction) -> None:
        await self._let_pass()
        for name, gate in self._gates.items():
            if direction in {name, "both"}:
                gate.clear()

    async def _forget(self) -> None:
        await self._let_pass()
        self._forgotten |= self._open

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def _end(self) -> None:
        await self._refuse()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = {writer}
        self._open.add(writer)
        try:
            host, port = self._target
            opening = asyncio.open_unix_connection(host) if port is None else asyncio.open_connection(host, port)
            server_reader, server_writer = await opening
            ends.add(server_writer)
            if writer not in self._open:  # refused meanwhile
                return
            self._open.add(server_writer)
            await asyncio.gather(
                self._pump(reader, server_writer, "to server"), self._pump(server_reader, writer, "from server")
            )
        except (OSError, asyncio.CancelledError):  # nobody awaits this task: asyncio would report its end as an error
            pass
        finally:
            self._open -= ends
            self._forgotten -= ends
            for end in ends:
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: str) -> None:
        gate = self._gates[direction]
        while data := await reader.read(65536):
            await self._may_pass(writer, gate)
            writer.write(data)
            await writer.drain()
        await self._may_pass(writer, gate)
        with contextlib.suppress(OSError):
            writer.write_eof()

    async def _may_pass(self, writer: asyncio.StreamWriter, gate: asyncio.Event) -> None:
        await gate.wait()
        if writer in self._forgotten:
            await asyncio.Event().wait()


def _target(url: str) -> tuple[str, int | None]:
    """Host and port, or the path of a Unix socket and no port."""
    parts = urlsplit(url)
    folder = parse_qs(parts.query).get("host", [""])[0]
    if folder.startswith("/"):
        return f"{folder}/.s.PGSQL.{parts.port or 5432}", None
    return parts.hostname or "127.0.0.1", parts.port or PORTS[parts.scheme]


def _through(url: str, port: int) -> str:
    parts = urlsplit(url)
    query = {name: values for name, values in parse_qs(parts.query).items() if name not in {"host", "port"}}
    credentials = parts.netloc.rpartition("@")[0]
    host = f"{credentials}@127.0.0.1:{port}" if credentials else f"127.0.0.1:{port}"
    return urlunsplit(parts._replace(netloc=host, query=urlencode(query, doseq=True)))
