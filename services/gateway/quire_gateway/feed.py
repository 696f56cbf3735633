"""The live feed: one task a process tails the event log and hands each event to the streams of its workspace.

Redis carries only the hint that there is something new; without Redis the log is read every `feed_poll_s`. What a
client sees is always read from the log, so a stream resumes exactly where it broke off.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import asyncpg
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from . import db
from .problems import Problem
from .settings import GatewaySettings

log = structlog.get_logger(__name__)

PAGE = 500
Position = tuple[int, int]


@dataclass(frozen=True)
class Entry:
    """An event of the log with its place in it."""

    position: Position
    workspace: str
    document: str
    type: str
    body: str


def cursor_of(position: Position) -> str:
    """A place in the log as clients hold it (`Last-Event-ID`)."""
    return f"{position[0]}-{position[1]}"


def parse_cursor(cursor: str) -> Position:
    """The place in a cursor of ours. Raises a 400 problem."""
    txid, _, seq = cursor.partition("-")
    digits = cursor.isascii() and txid.isdigit() and seq.isdigit() and len(cursor) < 50
    if not digits or int(txid) >= 2**64 or int(seq) >= 2**63:
        raise Problem(400, "bad_cursor", "Last-Event-ID is not the id of one of our events.")
    return int(txid), int(seq)


def _entry(row: asyncpg.Record) -> Entry:
    return Entry((int(row["txid"]), row["seq"]), row["workspace_id"], row["document_id"], row["type"], row["body"])


def _end(queue: asyncio.Queue[Entry | None]) -> None:
    """What was not given to the client yet is dropped: its next stream begins with that."""
    while not queue.empty():
        queue.get_nowait()
    queue.put_nowait(None)


class Feed:
    """Follow a workspace's events, live and from any place in the log."""

    def __init__(self, pool: asyncpg.Pool, redis: Redis, settings: GatewaySettings) -> None:
        self._pool = pool
        self._redis = redis
        self._settings = settings
        self._channel = f"{settings.broker_namespace}.events"
        self._position: Position | None = None
        self._streams: dict[asyncio.Queue[Entry | None], str] = {}
        self._news = asyncio.Event()
        self._hint_due = asyncio.Event()

    def hint(self) -> None:
        """Say that a transaction with events was committed; other gateways are told through Redis."""
        self._news.set()
        self._hint_due.set()

    async def now(self) -> Position:
        """The end of the log: what is committed from here on comes after it."""
        return await db.feed_position(self._pool)

    async def follow(self, workspace: str, after: Position) -> AsyncIterator[Entry]:
        """The workspace's events after a place, past and coming; ends when the client is too slow to keep up."""
        queue: asyncio.Queue[Entry | None] = asyncio.Queue(self._settings.stream_backlog)
        if self._position is None:
            end = await self.now()
            if self._position is None:  # another stream may have begun meanwhile
                self._position = end
        last = after
        self._streams[queue] = workspace
        self._news.set()
        try:
            while True:
                rows = await db.feed_after(self._pool, last, PAGE, workspace)
                for row in rows:
                    entry = _entry(row)
                    last = entry.position
                    yield entry
                if len(rows) < PAGE:
                    break
            while (live := await queue.get()) is not None:
                if live.position > last:
                    yield live
        finally:
            self._streams.pop(queue, None)

    async def _tail(self) -> None:
        while True:
            self._news.clear()
            try:
                while self._streams and self._position is not None:
                    rows = await db.feed_after(self._pool, self._position, PAGE)
                    for row in rows:
                        self._hand_out(_entry(row))
                    if len(rows) < PAGE:
                        break
                if not self._streams:
                    self._position = None
            except Exception as error:  # the next look may succeed; without this task nobody would see anything
                log.warning("the event log cannot be read", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(self._settings.feed_poll_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.feed_poll_s if self._streams else None):
                    await self._news.wait()

    def _hand_out(self, entry: Entry) -> None:
        self._position = entry.position
        for queue, workspace in list(self._streams.items()):
            if workspace != entry.workspace:
                continue
            try:
                queue.put_nowait(entry)
            except asyncio.QueueFull:  # a client that does not read comes back, after the last event it was given
                self._streams.pop(queue)
                _end(queue)

    async def _send_hints(self) -> None:
        while True:
            await self._hint_due.wait()
            self._hint_due.clear()
            with suppress(RedisError, OSError):
                await self._redis.publish(self._channel, b"")
            await asyncio.sleep(0.01)  # a burst of commits is one hint

    async def _receive_hints(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as subscription:
                    await subscription.subscribe(self._channel)
                    async for _ in subscription.listen():
                        self._news.set()
            except (RedisError, OSError) as error:
                log.warning("Redis is away: the event log is polled", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(self._settings.feed_poll_s)

    def end_streams(self) -> None:
        """Let every stream end; clients come back, to another gateway where this one stops."""
        for queue in list(self._streams):
            _end(queue)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Feed"]:
        """Tail the log for as long as the context lasts."""
        tasks = [
            asyncio.create_task(work(), name=f"feed {work.__name__}")
            for work in (self._tail, self._send_hints, self._receive_hints)
        ]
        try:
            yield self
        finally:
            self.end_streams()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
