"""/documents: list, read, change and delete documents, and everything that belongs to one."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

import asyncpg
from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator

from quire_contracts import (
    DocumentDeleted,
    DocumentDeletedData,
    DocumentUpdated,
    DocumentUpdatedData,
)
from quire_runtime.storage import ObjectNotFound

from . import cursors, db, names
from .auth import Authenticated
from .models import Document, DocumentChange, DocumentList, Status, Timeline, document_of
from .problems import RESPONSES, FieldProblem, Problem, not_found
from .state import Gateway, Running
from .timeline import timeline_of
from .uploads import check_metadata

router = APIRouter(responses=RESPONSES)


def _possible(document_id: str) -> str:
    """An id that PostgreSQL can be asked for."""
    if "\0" in document_id:
        raise not_found()
    return document_id


DocumentId = Annotated[
    str, Path(max_length=64, examples=["doc_01932c5e7a2f7c3e9b1d2f3a4b5c6d7e"]), AfterValidator(_possible)
]
IfNoneMatch = Annotated[str | None, Header(max_length=1000)]
SAFE = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}
IMMUTABLE = {"Cache-Control": "private, max-age=31536000, immutable"}
_ONE_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


@router.get("/documents")
async def list_documents(
    caller: Authenticated,
    gateway: Running,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
    status: Status | None = None,
    folder: Annotated[str | None, Query(max_length=1000, description="a folder with everything below it")] = None,
    tag: Annotated[list[str] | None, Query(max_length=20, description="all of them")] = None,
    media_type: Annotated[str | None, Query(max_length=200)] = None,
) -> DocumentList:
    """Documents of the workspace, newest first."""
    filters = filters_of(status, folder, tag, media_type)
    bound_to = [caller.workspace, filters]
    after = None
    if cursor is not None:
        at, last = cursors.unseal(gateway.cursor_secret, cursor, bound_to)
        after = (datetime.fromisoformat(at), last)
    rows = await db.list_documents(gateway.pool, caller.workspace, filters, after, limit + 1)
    page = rows[:limit]
    following = None
    if len(rows) > limit:
        position = [page[-1]["created_at"].isoformat(), page[-1]["id"]]
        following = cursors.seal(gateway.cursor_secret, position, bound_to)
    return DocumentList(data=[document_of(row) for row in page], next_cursor=following)


@router.get("/documents/{document_id}", response_model=Document)
async def get_document(
    document_id: DocumentId,
    caller: Authenticated,
    gateway: Running,
    response: Response,
    if_none_match: IfNoneMatch = None,
) -> Document | Response:
    """One document, with its status, its stages and what was found out about it."""
    row = await _existing(gateway, caller.workspace, document_id)
    etag = _etag(row)
    if _known(etag, if_none_match):
        return Response(status_code=304, headers={"ETag": etag})
    response.headers["ETag"] = etag
    return document_of(row)


@router.patch("/documents/{document_id}")
async def change_document(
    document_id: DocumentId,
    change: DocumentChange,
    request: Request,
    response: Response,
    caller: Authenticated,
    gateway: Running,
    if_match: Annotated[str | None, Header(max_length=200)] = None,
) -> Document:
    """Change title, folder, tags or metadata. With `If-Match`, only where the entry is still the one that was read."""
    changes = change.model_dump(exclude_unset=True)
    empty = [FieldProblem(pointer=f"/body/{name}", detail="null") for name in changes if changes[name] is None]
    if empty or not changes:
        raise Problem(422, "invalid", "Give at least one field to change, and none as null.", errors=empty)
    if "title" in changes:
        changes["title"] = names.clean(changes["title"], 500) or names.title_of("untitled")
    if "folder" in changes:
        changes["folder"] = names.clean_folder(changes["folder"])
    if "tags" in changes:
        cleaned = (names.clean(tag, 100) for tag in changes["tags"])
        changes["tags"] = list(dict.fromkeys(tag for tag in cleaned if tag))
    if "metadata" in changes:
        check_metadata(changes["metadata"])
    async with gateway.pool.acquire() as connection, connection.transaction():
        row = await db.update_document(connection, caller.workspace, document_id, changes, _version_in(if_match))
        if row is not None:
            data = DocumentUpdatedData(revision=row["revision"], document=db.info_of(row))
            event = DocumentUpdated.new(
                workspace=caller.workspace, document=document_id, data=data,
                correlation=request.scope["quire.request_id"],
            )  # fmt: skip
            await db.publish(connection, [event])
    if row is None:
        await _existing(gateway, caller.workspace, document_id)
        raise Problem(412, "precondition_failed", "The document was changed since it was read; read it again.")
    _announce(gateway)
    response.headers["ETag"] = _etag(row)
    return document_of(row)


@router.delete("/documents/{document_id}", status_code=204)
async def delete_document(document_id: DocumentId, request: Request, caller: Authenticated, gateway: Running) -> None:
    """Delete a document with its content, its previews and its place in the index."""
    async with gateway.pool.acquire() as connection, connection.transaction():
        row = await db.delete_document(connection, caller.workspace, document_id)
        if row is None:
            raise not_found()
        event = DocumentDeleted.new(
            workspace=caller.workspace, document=document_id,
            data=DocumentDeletedData(revision=row["revision"]), correlation=request.scope["quire.request_id"],
        )  # fmt: skip
        await db.publish(connection, [event])
    _announce(gateway)


@router.get("/documents/{document_id}/timeline")
async def get_timeline(document_id: DocumentId, caller: Authenticated, gateway: Running) -> Timeline:
    """What happened to a document, when, and how long each step took."""
    await _existing(gateway, caller.workspace, document_id)
    return timeline_of(await db.timeline(gateway.pool, document_id))


@router.get("/documents/{document_id}/text", response_class=StreamingResponse)
async def get_text(document_id: DocumentId, caller: Authenticated, gateway: Running) -> Response:
    """The extracted text, UTF-8. Chunks and highlights give their offsets in its characters."""
    row = await _existing(gateway, caller.workspace, document_id)
    if row["text_key"] is None:
        raise _not_made(row, "ingest", "The text")
    return await _object(gateway, row["text_key"], {"Content-Type": "text/plain; charset=utf-8", **SAFE})


@router.get("/documents/{document_id}/content", response_class=StreamingResponse)
async def get_content(
    document_id: DocumentId,
    caller: Authenticated,
    gateway: Running,
    range_: Annotated[str | None, Header(alias="range")] = None,
    if_none_match: IfNoneMatch = None,
    disposition: Literal["attachment", "inline"] = "attachment",
) -> Response:
    """The content as it was uploaded; `Range` with one range is honoured."""
    row = await _existing(gateway, caller.workspace, document_id)
    headers = {
        "Content-Type": row["media_type"],
        "Content-Disposition": _disposition(disposition, row["filename"]),
        "Accept-Ranges": "bytes",
        "ETag": f'"{row["sha256"]}"',
        **SAFE,
        **IMMUTABLE,
    }
    if _known(headers["ETag"], if_none_match):
        return Response(status_code=304, headers={"ETag": headers["ETag"], **IMMUTABLE})
    bounds = _bounds(range_, row["size"])
    if bounds is None:
        return await _object(gateway, row["content_key"], {**headers, "Content-Length": str(row["size"])})
    start, end = bounds
    headers |= {"Content-Range": f"bytes {start}-{end - 1}/{row['size']}", "Content-Length": str(end - start)}
    return await _object(gateway, row["content_key"], headers, start, end, status=206)


@router.get("/documents/{document_id}/previews/{page}", response_class=StreamingResponse)
async def get_preview(
    document_id: DocumentId,
    page: Annotated[str, Path(pattern=r"^(thumbnail|[1-9]\d{0,5})$", description="`thumbnail`, or a page from 1")],
    caller: Authenticated,
    gateway: Running,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """A picture of a page, WebP."""
    row = await _existing(gateway, caller.workspace, document_id)
    if row["previews"] is None:
        raise _not_made(row, "preview", "The previews")
    images = [row["previews"]["thumbnail"]] if page == "thumbnail" else row["previews"]["pages"]
    image = next((one for one in images if one and page in {"thumbnail", str(one["page"])}), None)
    if image is None:
        raise Problem(404, "no_such_page", "There is no picture of that page.")
    headers = {"ETag": f'"{row["sha256"][:16]}-{page}"', **IMMUTABLE}
    if _known(headers["ETag"], if_none_match):
        return Response(status_code=304, headers=headers)
    return await _object(gateway, image["key"], {"Content-Type": "image/webp", **headers, **SAFE})


def filters_of(
    status: Status | None, folder: str | None, tags: list[str] | None, media_type: str | None
) -> dict[str, Any]:
    """What a person asks for, as the catalog writes it."""
    return {
        "status": status,
        "folder": names.clean_folder(folder) if folder else None,
        "tags": [names.clean(name, 100) for name in tags] if tags else None,
        "media_type": names.clean(media_type, 200) if media_type else None,
    }


async def _existing(gateway: Gateway, workspace: str, document_id: str) -> asyncpg.Record:
    row = await db.document(gateway.pool, workspace, document_id)
    if row is None:
        raise not_found()
    return row


def _announce(gateway: Gateway) -> None:
    gateway.relay.wake()
    gateway.feed.hint()


async def _object(
    gateway: Gateway, key: str, headers: dict[str, str], start: int = 0, end: int | None = None, status: int = 200
) -> Response:
    """An object as a response; a missing one is a problem before the first byte, not a broken body."""
    pieces = gateway.store.stream(key, start, end)
    try:
        first = await anext(pieces)
    except StopAsyncIteration:
        return Response(b"", status, headers)
    except ObjectNotFound:
        raise Problem(404, "no_such_object", "The catalog knows it, but the store does not have it.") from None

    async def body() -> Any:
        yield first
        async for piece in pieces:
            yield piece

    return StreamingResponse(body(), status, headers)


def _known(etag: str, if_none_match: str | None) -> bool:
    """Whether the client says that it has this already."""
    given = [one.strip() for one in (if_none_match or "").split(",")]
    return etag in given or f"W/{etag}" in given or given == ["*"]


def _etag(row: asyncpg.Record) -> str:
    return f'"{row["version"]}-{int(row["updated_at"].timestamp() * 1_000_000):x}"'


def _version_in(if_match: str | None) -> int | None:
    """The entry's version in an ETag of ours: progress of the stages does not stand in the way of a change."""
    if if_match is None or if_match.strip() == "*":
        return None
    found = re.fullmatch(r'"(\d{1,9})-[0-9a-f]+"', if_match.strip())
    return int(found[1]) if found else 0


def _bounds(header: str | None, size: int) -> tuple[int, int] | None:
    """Start and end of the one range that is asked for; None for the whole. Raises a 416 problem."""
    found = _ONE_RANGE.fullmatch(header.strip()) if header is not None and len(header) < 100 else None
    if found is None or found[1] == found[2] == "":
        return None
    if found[1] == "":
        start, end = max(0, size - int(found[2])), size
    else:
        start, end = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
    if start >= size or end <= start:
        detail = f"The content has {size} bytes."
        raise Problem(416, "range_not_satisfiable", detail, headers={"Content-Range": f"bytes */{size}"})
    return start, end


def _disposition(kind: str, filename: str) -> str:
    """RFC 6266 with an ASCII fallback."""
    plain = re.sub(r'[^\x20-\x7e]|["\\%]', "_", filename)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


def _not_made(row: asyncpg.Record, stage: str, what: str) -> Problem:
    if row[stage] == "pending":
        return Problem(404, "not_ready", f"{what} of this document is not made yet.", headers={"Retry-After": "1"})
    why = row["reasons"].get(stage, {}).get("detail", "")
    return Problem(404, "not_available", f"{what} of this document could not be made. {why}".strip())
