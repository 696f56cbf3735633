"""Retries: a person has stages that failed done once more, of one document or of many."""

from typing import Annotated

import asyncpg
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from quire_contracts import Stage
from quire_gateway import audit_db, db
from quire_gateway.auth import Authenticated
from quire_gateway.documents import DocumentId, filters_of
from quire_gateway.models import Document, Status, Word, document_of, stages_of
from quire_gateway.problems import RESPONSES, Problem, not_found
from quire_gateway.state import Gateway, Running

from . import replay, retries_db

router = APIRouter(responses=RESPONSES)

BATCH = 500
"""Documents of one transaction."""
ROWS_EACH = 2
"""Rows of the outbox that a stage takes: what is announced, and the cause."""


class Retry(BaseModel):
    """What is to be done once more."""

    model_config = ConfigDict(extra="forbid")

    stage: Stage | None = Field(default=None, description="None: every stage that failed")
    force: bool = Field(default=False, description="Also where the stage did not fail; needs a stage")


class RetryMany(BaseModel):
    """Which documents: those that fit all that is given, and have a stage that failed."""

    model_config = ConfigDict(extra="forbid")

    ids: Annotated[list[Word], Field(max_length=1000)] | None = None
    status: Status | None = None
    folder: str | None = Field(default=None, max_length=1000, description="a folder with everything below it")
    tag: Annotated[list[Word], Field(max_length=20)] | None = Field(default=None, description="all of them")
    media_type: Word | None = None
    stage: Stage | None = Field(default=None, description="None: every stage that failed")
    reason: Word | None = Field(default=None, description="The stage's short code, for example `exhausted`")
    dry_run: bool = Field(default=False, description="Only count them")


class Retried(BaseModel):
    """What became of a retry of many documents."""

    matched: int = Field(description="Documents that fit")
    retried: int = Field(description="Those of them whose stages are done once more")
    dry_run: bool


_EVERYTHING = Retry()


@router.post("/documents/{document_id}/retry", status_code=202)
async def retry_document(
    document_id: DocumentId, request: Request, caller: Authenticated, gateway: Running, wanted: Retry = _EVERYTHING
) -> Document:
    """Do a stage that failed once more, or all of them; stages that are done stay as they are."""
    if wanted.force and wanted.stage is None:
        raise Problem(422, "invalid", "`force` needs a `stage`.")
    gateway.receiver.check_room()
    async with gateway.pool.acquire() as connection, connection.transaction():
        locked = await retries_db.lock(connection, caller.workspace, [document_id])
        if not locked:
            raise not_found()
        stages = _stages_wanted(locked[0], wanted)
        retried = await replay.retry(
            connection, locked, {document_id: stages}, by="user",
            correlation=request.scope["quire.request_id"], whole=wanted.force,
        )  # fmt: skip
        if not retried:
            raise _too_early(locked[0], stages[0])
        await audit_db.add(
            connection, caller.key, "documents.retry", workspace=caller.workspace, subject=document_id,
            detail={"stages": [event.data.stage for event in retried], "force": wanted.force},
        )  # fmt: skip
        row = await db.document(connection, caller.workspace, document_id)
    assert row is not None
    _announce(gateway, len(retried))
    return document_of(row)


@router.post("/documents/retry")
async def retry_documents(request: Request, caller: Authenticated, gateway: Running, wanted: RetryMany) -> Retried:
    """Do the stages that failed once more in every document that fits.

    The work is done in steps; where it ends early, asking once more goes on with the rest.
    """
    filters = {
        **filters_of(wanted.status, wanted.folder, wanted.tag, wanted.media_type),
        "ids": wanted.ids, "stage": wanted.stage, "reason": wanted.reason,
    }  # fmt: skip
    if wanted.dry_run:
        matched = await retries_db.count_failed(gateway.pool, caller.workspace, filters)
        return Retried(matched=matched, retried=0, dry_run=True)
    matched, done, last = 0, 0, ""
    while ids := await retries_db.failed(gateway.pool, caller.workspace, filters, last, BATCH):
        gateway.receiver.check_room()
        async with gateway.pool.acquire() as connection, connection.transaction():
            rows = await retries_db.lock(connection, caller.workspace, ids)
            retried = await replay.retry(
                connection, rows, {row["id"]: _failed(row, wanted) for row in rows}, by="user",
                correlation=request.scope["quire.request_id"],
            )  # fmt: skip
            subjects = sorted({event.subject for event in retried})
            if subjects:
                await audit_db.add(
                    connection, caller.key, "documents.retry", workspace=caller.workspace,
                    detail={"ids": subjects, "filter": wanted.model_dump(exclude_none=True, exclude={"ids"})},
                )  # fmt: skip
        matched, done, last = matched + len(ids), done + len(subjects), ids[-1]
        _announce(gateway, len(retried))
    return Retried(matched=matched, retried=done, dry_run=False)


def _stages_wanted(row: asyncpg.Record, wanted: Retry) -> list[Stage]:
    """Raises a 409 problem where nothing is to be done."""
    if wanted.stage is None:
        failed = [stage for stage in replay.STAGES if row[stage] == "failed"]
        if not failed:
            raise Problem(409, "not_failed", "No stage of this document has failed.")
        return failed
    status = getattr(stages_of(row), wanted.stage).status
    if status not in {"failed", "skipped"} and not wanted.force:
        detail = f"The stage {wanted.stage} is {status}; with `force` it is done once more all the same."
        raise Problem(409, "not_failed", detail)
    return [wanted.stage]


def _failed(row: asyncpg.Record, wanted: RetryMany) -> list[Stage]:
    """The stages of a document that failed, of those that are wanted."""
    return [
        stage
        for stage in ([wanted.stage] if wanted.stage else replay.STAGES)
        if row[stage] == "failed" and wanted.reason in {None, row["reasons"].get(stage, {}).get("reason")}
    ]


def _too_early(row: asyncpg.Record, stage: Stage) -> Problem:
    """For a stage whose cause is not there, because an earlier one has not done its part."""
    first = "embed" if stage == "index" and row["ingest"] == "done" else "ingest"
    detail = f"The stage {stage} follows from {first}, which is {row[first]}: {first} has to come first."
    return Problem(409, "stage_before", detail)


def _announce(gateway: Gateway, stages: int) -> None:
    gateway.relay.wake(ROWS_EACH * stages)
    gateway.feed.hint()
