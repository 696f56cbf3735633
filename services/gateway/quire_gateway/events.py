"""GET /events: the workspace's events as they happen, by server-sent events."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from .auth import Authenticated
from .feed import Position, cursor_of, parse_cursor
from .problems import RESPONSES
from .state import Running

router = APIRouter(responses=RESPONSES)


async def _begin(
    caller: Authenticated,  # first of all
    gateway: Running,
    after: Annotated[str | None, Query(max_length=64, description="like Last-Event-ID")] = None,
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
) -> Position:
    """Where the stream begins: known, or refused, before the answer is."""
    resume = last_event_id or after
    return parse_cursor(resume) if resume else await gateway.feed.now()


@router.get("/events", response_class=EventSourceResponse)
async def stream_events(
    caller: Authenticated,
    gateway: Running,
    begin: Annotated[Position, Depends(_begin)],
    document: Annotated[str | None, Query(max_length=64, description="only events of this document")] = None,
    type_: Annotated[
        list[str] | None, Query(alias="type", max_length=20, description="only events of these types")
    ] = None,
) -> AsyncIterator[ServerSentEvent]:
    """The CloudEvents JSON that other systems get from the broker. `Last-Event-ID` resumes where a stream ended."""
    yield ServerSentEvent(comment="the place where this stream begins", id=cursor_of(begin), retry=2000)
    async for entry in gateway.feed.follow(caller.workspace, begin):
        if (document is None or entry.document == document) and (type_ is None or entry.type in type_):
            yield ServerSentEvent(id=cursor_of(entry.position), event=entry.type, raw_data=entry.body)
