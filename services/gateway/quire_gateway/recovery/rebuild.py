"""Rebuilding the index: it is emptied and made anew from the event log, newest documents first, while queries go on.

Events that the index applied before it was emptied, but which the log did not have yet when their document's turn came,
are given to it when they are logged (`reindex.give_lost`). Documents that come meanwhile take the usual road.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Literal

import asyncpg
import httpx
import structlog
from pydantic import BaseModel, Field

from quire_gateway import audit_db
from quire_gateway.problems import Problem
from quire_gateway.state import Gateway

from . import locks, reindex, reindex_db
from .lines import Progress

log = structlog.get_logger(__name__)

PAGE = 100
PAUSE_S = 0.5
EMPTYING = timedelta(hours=1)
"""Longer than emptying takes; the moment is known exactly when it is over."""
EMPTYING_TIMEOUT_S = 900.0
CLOCKS = timedelta(minutes=1)
"""Further apart than this the clocks of two machines must not be."""
SETTLE_S = 30.0
STANDSTILL_S = 60.0
"""The search service is not waited for any longer when it takes nothing for so long."""
QUIET_S = 1.0
QUIET_AT_MOST_S = 10.0
"""What a worker has in hand no queue shows: it is done when nothing was said for a second, or others never stop."""


class Rebuilt(BaseModel):
    """The last line."""

    type: Literal["summary"] = "summary"
    documents: int
    events: int = Field(description="Given to the search service")
    waiting: int = Field(description="Of those, not taken yet: the service stands still")
    took_s: float


async def rebuild(gateway: Gateway, actor: str) -> AsyncGenerator[BaseModel, None]:
    """Do it, and tell how far it is. Running it again after it broke off begins anew."""
    started = time.monotonic()
    async with alone(gateway.pool):
        yield Progress(phase="emptying", done=0)
        async with gateway.pool.acquire() as connection, connection.transaction():
            await audit_db.add(connection, actor, "index.rebuild")
        await _empty(gateway)
        total, done, events, last = await reindex_db.count_living(gateway.pool), 0, 0, None
        while True:
            async for paused in until_room(gateway, "documents", done, total):
                yield paused
            rows = await reindex_db.newest_before(gateway.pool, last, PAGE)
            if not rows:
                break
            async with gateway.pool.acquire() as connection, connection.transaction():
                given = await reindex.give(connection, rows)
            gateway.relay.wake(given)
            done, events, last = done + len(rows), events + given, rows[-1]["id"]
            rate = round(done / max(time.monotonic() - started, 0.001), 1)
            yield Progress(phase="documents", done=done, total=max(total, done), rate=rate)
        left = 0
        async for left in _draining(gateway):
            yield Progress(phase="indexing", done=max(0, events - left), total=events)
        took = time.monotonic() - started
        log.warning("the index was made anew", documents=done, events=events, took_s=round(took, 1))
        yield Rebuilt(documents=done, events=events, waiting=left, took_s=round(took, 3))


@asynccontextmanager
async def alone(pool: asyncpg.Pool) -> AsyncIterator[None]:
    """Only one comparison, or rebuilding, of the index at a time. Raises a 409 problem."""
    async with locks.held(pool, "quire index") as ours:
        if not ours:
            raise Problem(409, "busy", "The index is being compared or rebuilt already.")
        yield


async def until_room(gateway: Gateway, phase: str, done: int, total: int | None) -> AsyncIterator[Progress]:
    """Wait until the search service and the relay have taken most of what was given to them, and say so meanwhile."""
    while await gateway.pace.is_full(reindex.SERVICE):
        yield Progress(phase=phase, done=done, total=total, paused=True)
        await asyncio.sleep(PAUSE_S)


async def _empty(gateway: Gateway) -> None:
    """Empty the index, so that no event is lost that is on its way into the log meanwhile.

    Whoever logs an event looks for the announcement; who began before it was there is waited for.
    """
    await reindex_db.announce_emptying(gateway.pool, datetime.now(UTC) + EMPTYING)
    running = await reindex_db.now_running(gateway.pool)
    deadline = time.monotonic() + SETTLE_S
    while not await reindex_db.have_ended(gateway.pool, running) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(PAUSE_S / 10)
    try:
        answer = await gateway.search.post("/empty", timeout=EMPTYING_TIMEOUT_S)
    except httpx.HTTPError as error:
        raise Problem(503, "search_unavailable", f"The search service does not answer: {error}") from error
    if answer.status_code != 200:
        raise Problem(503, "search_unavailable", f"The search service cannot empty its index: {answer.text[:300]}")
    emptied = datetime.fromisoformat(answer.json()["at"])
    await reindex_db.announce_emptying(gateway.pool, emptied + CLOCKS)


async def _draining(gateway: Gateway) -> AsyncIterator[int]:
    """What the search service has not taken yet, again and again, until that is nothing or it stands still."""
    least, since = None, time.monotonic()
    while True:
        left = await gateway.pace.left(reindex.SERVICE)
        yield left
        if least is None or left < least:
            least, since = left, time.monotonic()
        if left == 0:
            await _quiet(gateway)
            return
        if time.monotonic() - since > STANDSTILL_S:
            return
        await asyncio.sleep(PAUSE_S)


async def _quiet(gateway: Gateway) -> None:
    """Wait until nothing new is said of any document."""
    deadline = time.monotonic() + QUIET_AT_MOST_S
    before, now = None, await reindex_db.newest_event(gateway.pool)
    while now != before and time.monotonic() < deadline:
        await asyncio.sleep(QUIET_S)
        before, now = now, await reindex_db.newest_event(gateway.pool)
