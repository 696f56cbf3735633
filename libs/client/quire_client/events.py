"""The live stream of events, held open across broken connections."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import httpx
from pydantic import ValidationError

from .errors import QuireError, Unreachable
from .models import Event
from .sse import messages
from .transport import BROKEN, FIRST_PAUSE_S, LONGEST_PAUSE_S, Transport

SILENCE_S = 45
"""The server sends a comment every 15 seconds; a stream that is silent for longer is dead."""


async def follow(
    transport: Transport, *, after: str | None, document: str | None, types: Sequence[str]
) -> AsyncIterator[Event]:
    """Events behind `after` (a cursor), or from now on, without end.

    A stream that breaks is opened again behind the last event. Raises Unreachable where that did not succeed for the
    transport's patience, and QuireError at once where the server refuses.
    """
    last, pause, lost = after, FIRST_PAUSE_S, time.monotonic()
    parameters = httpx.QueryParams(
        [*([("document", document)] if document else []), *(("type", name) for name in types)]
    )

    def build() -> httpx.Request:
        return transport.client.build_request(
            "GET",
            "events",
            params=parameters,
            headers={"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})},
            timeout=httpx.Timeout(SILENCE_S, connect=5, pool=None),
        )

    while True:
        failure: Exception | None = None
        try:
            async with transport.stream(build) as response:
                if not response.headers.get("content-type", "").startswith("text/event-stream"):
                    raise QuireError(response.status_code, "unexpected_answer", "That is no stream of events.")
                async for message in messages(response.aiter_bytes()):
                    last, pause, lost = message.id or last, FIRST_PAUSE_S, time.monotonic()
                    if message.data is not None:
                        yield _event(message.data, message.id)
        except BROKEN as error:
            failure = error
        if time.monotonic() - lost > transport.patience + SILENCE_S:
            raise Unreachable(transport.url, failure or ConnectionError("the stream of events ends at once"))
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_S)


def _event(data: str, cursor: str) -> Event:
    try:
        return Event.model_validate_json(data).model_copy(update={"cursor": cursor})
    except ValidationError as error:
        raise QuireError(200, "unexpected_answer", f"That is no event: {error.errors()[0]['msg']}") from error
