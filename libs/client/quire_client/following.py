"""Waiting for documents: their events say when to look, and a slow poll makes sure."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from .errors import QuireError, StillProcessing
from .models import Document, Event

FIRST_POLL_S = 2.0
LONGEST_POLL_S = 15.0
AT_ONCE = 8

OnChange = Callable[[Document], None]


class Following:
    """Waits for any number of documents on one stream of events."""

    def __init__(self, look: Callable[[str], Awaitable[Document]], events: Callable[[], AsyncIterator[Event]]) -> None:
        self._look = look
        self._events = events
        self._waiting: dict[str, asyncio.Event] = {}
        self._places = asyncio.Semaphore(AT_ONCE)

    def running(self) -> AbstractAsyncContextManager["Following"]:
        """Needed around `settled`."""
        return self._running()

    async def settled(
        self,
        document: str,
        timeout: float | None,  # noqa: ASYNC109
        on_change: OnChange | None = None,
    ) -> Document:
        """The document once it is ready or failed. `on_change` gets it whenever it differs from what was seen before.

        Raises StillProcessing after `timeout` seconds, and QuireError where it cannot be read, as after a delete.
        """
        began, poll = time.monotonic(), FIRST_POLL_S
        news = self._waiting.setdefault(document, asyncio.Event())
        seen: Document | None = None
        try:
            while True:
                news.clear()
                async with self._places:
                    found = await self._look(document)
                if found != seen:
                    seen, poll = found, FIRST_POLL_S
                    if on_change:
                        on_change(found)
                if found.settled:
                    return found
                left = poll if timeout is None else began + timeout - time.monotonic()
                if left <= 0:
                    raise StillProcessing(found, time.monotonic() - began)
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(poll, left)):
                        await news.wait()
                poll = min(poll * 2, LONGEST_POLL_S)
        finally:
            self._waiting.pop(document, None)

    @asynccontextmanager
    async def _running(self) -> AsyncIterator["Following"]:
        listening = asyncio.create_task(self._listen(), name="listen to events")
        try:
            yield self
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _listen(self) -> None:
        with suppress(QuireError):  # without the stream the poll goes on
            async for event in self._events():
                if (news := self._waiting.get(event.subject)) is not None:
                    news.set()
