"""What an operator does with the whole installation; needs an API key with the scope `operator`."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Literal, TypedDict
from urllib.parse import quote

import httpx

from .models import AuditEntry, DeadLetter, DeadLettersChanged
from .transport import Transport, parsed

BULK_TIMEOUT_S = 600.0
"""Work on any number of rows is done before the answer comes."""

State = Literal["parked", "requeued", "discarded"]


class DeadLetterFilter(TypedDict, total=False):
    """Which dead letters are meant: those that fit all that is given."""

    service: str | None
    event_type: str | None
    document: str | None
    workspace: str | None
    reason: str | None
    """How the reason begins."""
    since: datetime | None
    """Given up at this moment or later."""
    until: datetime | None
    """Given up before this moment."""


class Admin:
    """The operator's calls: `quire.admin`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def dead_letters(
        self, which: DeadLetterFilter | None = None, *, state: State | None = "parked", page_size: int = 100
    ) -> AsyncIterator[DeadLetter]:
        """Dead letters in a state (None: in any), newest first, page after page."""
        parameters = {**_written(which), "state": state or "any"}
        async for letter in self._transport.items(DeadLetter, "admin/dead-letters", **parameters, limit=page_size):
            yield letter

    async def dead_letter(self, letter: str) -> DeadLetter:
        """One dead letter with its message and headers."""
        return parsed(DeadLetter, await self._transport.get(_path(letter)))

    async def requeue(self, letter: str) -> DeadLetter:
        """Give the message to its service once more; 409 where it waits no longer, or is no text."""
        return parsed(DeadLetter, await self.post(f"{_path(letter)}/requeue"))

    async def discard(self, letter: str) -> DeadLetter:
        """Mark it as settled without doing anything; 409 where it waits no longer."""
        return parsed(DeadLetter, await self.post(f"{_path(letter)}/discard"))

    async def requeue_all(self, which: DeadLetterFilter | None = None, *, dry_run: bool = False) -> DeadLettersChanged:
        """Requeue every parked dead letter that fits; with `dry_run` only count them."""
        return await self._all("requeue", which, dry_run)

    async def discard_all(self, which: DeadLetterFilter | None = None, *, dry_run: bool = False) -> DeadLettersChanged:
        """Discard every parked dead letter that fits; with `dry_run` only count them."""
        return await self._all("discard", which, dry_run)

    async def audit(
        self,
        *,
        action: str | None = None,
        actor: str | None = None,
        subject: str | None = None,
        since: datetime | None = None,
        page_size: int = 100,
    ) -> AsyncIterator[AuditEntry]:
        """Who did what, newest first; `action` may be the beginning of one."""
        async for entry in self._transport.items(
            AuditEntry, "admin/audit",
            action=action, actor=actor, subject=subject, since=_moment(since), limit=page_size,
        ):  # fmt: skip
            yield entry

    async def post(self, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        """POST JSON; it is not sent again where it may have arrived."""

        def build() -> httpx.Request:
            return self._transport.client.build_request("POST", path, json=body, timeout=BULK_TIMEOUT_S)

        return await self._transport.send(build, twice=False)

    async def _all(self, verb: str, which: DeadLetterFilter | None, dry_run: bool) -> DeadLettersChanged:
        body = {**_written(which), "dry_run": dry_run}
        return parsed(DeadLettersChanged, await self.post(f"admin/dead-letters/{verb}", body))


def _written(which: DeadLetterFilter | None) -> dict[str, Any]:
    given = {name: value for name, value in (which or {}).items() if value is not None}
    return {name: _moment(value) if isinstance(value, datetime) else value for name, value in given.items()}


def _moment(at: datetime | None) -> str | None:
    return at.astimezone().isoformat() if at else None


def _path(letter: str) -> str:
    return f"admin/dead-letters/{quote(letter, safe='')}"
