"""Readiness probes: each speaks the protocol of what it asks, and raises while the answer is not yet good."""

import asyncio
from urllib.parse import urlsplit

from quire_local.process import Probe


def postgres(dsn: str) -> Probe:
    """A query is answered."""

    async def probe(_: int | None) -> None:
        import asyncpg

        connection = await asyncpg.connect(dsn, timeout=5)
        try:
            await connection.fetchval("SELECT 1")
        finally:
            await connection.close(timeout=5)

    return probe


def amqp(url: str) -> Probe:
    """A connection with user and virtual host is opened: the broker listens only at the end of its boot."""
    reachable = listening(urlsplit(url).port or 5672)

    async def probe(_: int | None) -> None:
        import aiormq

        # Asked first because aiormq writes a line to the log for every refused connection.
        await reachable(None)
        connection = await aiormq.connect(url)
        await connection.close()

    return probe


def redis(port: int, password: str) -> Probe:
    """PING is answered with PONG after authentication."""

    async def probe(_: int | None) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"AUTH {password}\r\nPING\r\n".encode())
            await writer.drain()
            answers = [await reader.readline(), await reader.readline()]
        finally:
            writer.close()
        if answers != [b"+OK\r\n", b"+PONG\r\n"]:
            raise ConnectionError(f"redis answers {answers}")

    return probe


def listening(port: int) -> Probe:
    """Something accepts connections on the port of 127.0.0.1."""

    async def probe(_: int | None) -> None:
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()

    return probe


def http(path: str, port: int | None = None) -> Probe:
    """GET of the path on the given port, or on the instance's own, answers with a 2xx status."""

    async def probe(own: int | None) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port or own)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
            status_line = (await reader.readline()).decode(errors="replace").split(maxsplit=2)
        finally:
            writer.close()
        if len(status_line) < 2 or not status_line[1].startswith("2"):
            raise ConnectionError(f"{path} answers {' '.join(status_line[1:]).strip() or 'nothing'}")

    return probe
