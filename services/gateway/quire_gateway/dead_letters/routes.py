"""/admin/dead-letters: the messages that no worker could handle, and what operators do with them."""

import base64
import re
from datetime import datetime
from typing import Annotated, Any, Literal

import asyncpg
from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from quire_gateway import audit_db, cursors
from quire_gateway.auth import Caller, Operator
from quire_gateway.models import Moment, Word
from quire_gateway.problems import RESPONSES, Problem
from quire_gateway.state import Gateway, Running
from quire_runtime import outbox
from quire_runtime.db import Connection

from . import letters_db
from .letters_db import State
from .parked import json_in, text_of

router = APIRouter(prefix="/admin/dead-letters", responses=RESPONSES)

BATCH = 100
"""Dead letters of one transaction; each may have megabytes."""

Verb = Literal["requeue", "discard"]
_BECOMES: dict[Verb, State] = {"requeue": "requeued", "discard": "discarded"}
_FROM: dict[Verb, tuple[State, ...]] = {"requeue": ("parked", "discarded"), "discard": ("parked",)}


class DeadLetter(BaseModel):
    """A message that no worker could handle; the event's attributes are null where it is not an event."""

    id: str = Field(examples=["dl_6e340b9cffb37a989ca544e6bb780a2c"])
    service: str = Field(description="Whose message it was")
    event_id: str | None
    event_type: str | None
    workspace: str | None
    document: str | None
    event_time: datetime | None
    reason: str
    attempts: int = Field(description="Tries before it was given up")
    times: int = Field(description="How often it was given up")
    first_at: datetime
    last_at: datetime
    state: State = Field(description="`parked`: it waits for a person")


class DeadLetterDetail(DeadLetter):
    """The same with the message itself."""

    headers: dict[str, Any]
    event: Any = Field(description="The body where it is JSON")
    body_base64: str | None = Field(description="The body where it is not")


class DeadLetterList(BaseModel):
    """One page of dead letters, newest first."""

    data: list[DeadLetter]
    next_cursor: str | None


class Which(BaseModel):
    """The dead letters that fit all that is given."""

    model_config = ConfigDict(extra="forbid")

    service: Word | None = None
    event_type: Word | None = None
    document: Word | None = None
    workspace: Word | None = None
    reason: Word | None = Field(default=None, description="How the reason begins")
    since: Moment | None = Field(default=None, description="Given up at this moment or later")
    until: Moment | None = Field(default=None, description="Given up before this moment")


class Listing(Which):
    """The same for a list."""

    state: State | Literal["any"] = "parked"
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=500)


class Many(Which):
    """The same for work on all of them that are parked."""

    dry_run: bool = Field(default=False, description="Only count them")


class DeadLettersChanged(BaseModel):
    """What became of many dead letters."""

    matched: int = Field(description="Dead letters that fit")
    changed: int
    refused: int = Field(description="Those whose bodies are no text: they cannot be requeued")
    dry_run: bool


def _possible(letter_id: str) -> str:
    if not re.fullmatch(r"dl_[0-9a-f]{32}", letter_id):
        raise _not_found()
    return letter_id


LetterId = Annotated[str, Path(max_length=64), AfterValidator(_possible)]


@router.get("")
async def list_dead_letters(caller: Operator, gateway: Running, query: Annotated[Listing, Query()]) -> DeadLetterList:
    """Dead letters of all workspaces, newest first."""
    filters = query.model_dump(exclude={"limit", "cursor"})
    bound_to = ["dead letters", filters]
    before = None
    if query.cursor is not None:
        at, last = cursors.unseal(gateway.cursor_secret, query.cursor, bound_to)
        before = (datetime.fromisoformat(at), last)
    state = None if query.state == "any" else query.state
    rows = await letters_db.newest(gateway.pool, {**filters, "state": state}, before, query.limit + 1)
    page = rows[: query.limit]
    following = None
    if len(rows) > query.limit:
        position = [page[-1]["last_at"].isoformat(), page[-1]["id"]]
        following = cursors.seal(gateway.cursor_secret, position, bound_to)
    return DeadLetterList(data=[DeadLetter(**_shown(row)) for row in page], next_cursor=following)


@router.get("/{letter_id}")
async def get_dead_letter(letter_id: LetterId, caller: Operator, gateway: Running) -> DeadLetterDetail:
    """A dead letter with its message and the headers it had. Reading changes nothing."""
    row = await letters_db.one(gateway.pool, letter_id)
    if row is None:
        raise _not_found()
    event, encoded = None, None
    try:
        event = json_in(row["body"])
    except ValueError:
        encoded = base64.b64encode(row["body"]).decode()
    return DeadLetterDetail(**_shown(row), headers=row["headers"], event=event, body_base64=encoded)


@router.post("/requeue")
async def requeue_dead_letters(caller: Operator, gateway: Running, which: Many) -> DeadLettersChanged:
    """Give every parked message that fits to its service once more."""
    return await _settle_all(caller, gateway, "requeue", which)


@router.post("/discard")
async def discard_dead_letters(caller: Operator, gateway: Running, which: Many) -> DeadLettersChanged:
    """Mark every parked message that fits as settled."""
    return await _settle_all(caller, gateway, "discard", which)


@router.post("/{letter_id}/requeue")
async def requeue_dead_letter(letter_id: LetterId, caller: Operator, gateway: Running) -> DeadLetter:
    """Give a message to its service once more, as if it had never been tried; it must be parked or discarded."""
    return await _settle_one(caller, gateway, "requeue", letter_id)


@router.post("/{letter_id}/discard")
async def discard_dead_letter(letter_id: LetterId, caller: Operator, gateway: Running) -> DeadLetter:
    """Mark a parked message as settled; it is kept, and can still be requeued."""
    return await _settle_one(caller, gateway, "discard", letter_id)


async def _settle_one(caller: Caller, gateway: Gateway, verb: Verb, letter_id: str) -> DeadLetter:
    async with gateway.pool.acquire() as connection, connection.transaction():
        locked = await letters_db.lock(connection, [letter_id])
        if not locked:
            raise _not_found()
        (row,) = locked
        if row["state"] not in _FROM[verb]:
            raise Problem(409, "not_parked", f"The dead letter does not wait any more: it is {row['state']}.")
        if verb == "requeue" and not await _requeue(connection, locked):
            raise Problem(409, "not_text", "The message is not UTF-8 text; it can only be discarded.")
        await letters_db.settle(connection, [letter_id], _BECOMES[verb])
        await audit_db.add(
            connection, caller.key, f"dead-letters.{verb}", workspace=row["workspace_id"], subject=letter_id,
            detail={"service": row["service"], "reason": row["reason"], "document": row["document_id"]},
        )  # fmt: skip
    gateway.relay.wake()
    return DeadLetter(**{**_shown(row), "state": _BECOMES[verb]})


async def _settle_all(caller: Caller, gateway: Gateway, verb: Verb, which: Many) -> DeadLettersChanged:
    """In the order of the ids, so that one that is parked again meanwhile is not met twice."""
    filters = {**which.model_dump(exclude={"dry_run"}), "state": "parked"}
    if which.dry_run:
        matched = await letters_db.count(gateway.pool, filters)
        return DeadLettersChanged(matched=matched, changed=0, refused=0, dry_run=True)
    given = which.model_dump(mode="json", exclude_none=True, exclude={"dry_run"})
    matched, changed, refused, last = 0, 0, 0, ""
    while ids := await letters_db.some(gateway.pool, filters, last, BATCH):
        if verb == "requeue":
            gateway.receiver.check_room()
        async with gateway.pool.acquire() as connection, connection.transaction():
            rows = [row for row in await letters_db.lock(connection, ids) if row["state"] == "parked"]
            done = await _requeue(connection, rows) if verb == "requeue" else [row["id"] for row in rows]
            if done:
                await letters_db.settle(connection, done, _BECOMES[verb])
                detail = {"ids": done, "filter": given}
                await audit_db.add(connection, caller.key, f"dead-letters.{verb}", detail=detail)
        matched, changed, refused, last = (
            matched + len(ids), changed + len(done), refused + len(rows) - len(done), ids[-1],
        )  # fmt: skip
        gateway.relay.wake(len(done))
    return DeadLettersChanged(matched=matched, changed=changed, refused=refused, dry_run=False)


async def _requeue(connection: Connection, rows: list[asyncpg.Record]) -> list[str]:
    """Put the messages that are text into the outbox, for their services alone; returns the ids of those.

    The outbox knows them by the ids of the dead letters: one event may be parked by two services.
    """
    done: list[str] = []
    for row in rows:
        text = text_of(row["body"])
        if text is not None:
            kind = row["event_type"] or "unknown"
            await outbox.add_bodies(connection, [(row["id"], kind, text)], row["service"])
            done.append(row["id"])
    return done


def _shown(row: asyncpg.Record) -> dict[str, Any]:
    copied = ("id", "service", "event_id", "event_type", "event_time", "reason", "attempts", "times", "first_at",
              "last_at", "state")  # fmt: skip
    return {**{name: row[name] for name in copied}, "workspace": row["workspace_id"], "document": row["document_id"]}


def _not_found() -> Problem:
    return Problem(404, "no_such_dead_letter", "There is no such dead letter.")
