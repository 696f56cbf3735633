"""/admin/audit: who did what."""

from datetime import datetime
from typing import Annotated, Any

import asyncpg
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from . import audit_db, cursors
from .auth import Operator
from .models import Moment, Word
from .problems import RESPONSES
from .state import Running

router = APIRouter(responses=RESPONSES)


class AuditEntry(BaseModel):
    """Something that was done."""

    at: datetime
    actor: str = Field(description="Id of the API key, or `sweeper`")
    action: str = Field(examples=["dead-letters.requeue"])
    workspace: str | None
    subject: str | None = Field(description="What it was done to, where that is one thing; else see `detail.ids`")
    detail: dict[str, Any]


class AuditLog(BaseModel):
    """One page of the audit log, newest first."""

    data: list[AuditEntry]
    next_cursor: str | None


class AuditQuery(BaseModel):
    """Which entries are wanted."""

    model_config = ConfigDict(extra="forbid")

    action: Word | None = Field(default=None, description="How the action begins")
    actor: Word | None = None
    subject: Word | None = None
    since: Moment | None = None
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=500)


@router.get("/admin/audit")
async def list_audit(caller: Operator, gateway: Running, query: Annotated[AuditQuery, Query()]) -> AuditLog:
    """What operators and users have done to messages and stages, newest first."""
    filters = query.model_dump(exclude={"limit", "cursor"})
    bound_to = ["audit", filters]
    before = cursors.unseal(gateway.cursor_secret, query.cursor, bound_to)[0] if query.cursor else None
    rows = await audit_db.newest(gateway.pool, filters, before, query.limit + 1)
    page = rows[: query.limit]
    more = len(rows) > query.limit
    following = cursors.seal(gateway.cursor_secret, [page[-1]["seq"]], bound_to) if more else None
    return AuditLog(data=[_entry(row) for row in page], next_cursor=following)


def _entry(row: asyncpg.Record) -> AuditEntry:
    copied = {name: row[name] for name in ("at", "actor", "action", "subject", "detail")}
    return AuditEntry(workspace=row["workspace_id"], **copied)
