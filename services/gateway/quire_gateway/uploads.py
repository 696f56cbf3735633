"""POST /documents: one file with what its owner says of it."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect

from . import names
from .auth import Authenticated
from .models import Tags, Title, UploadedDocument, document_of
from .multipart import Parts
from .problems import RESPONSES, FieldProblem, Problem
from .receive import Content, NewDocument, new_document, too_large
from .state import Gateway, Running

router = APIRouter()

METADATA_BYTES = 4096
METADATA_DEPTH = 20
TAGS_LENGTH = 8192
_OVERHEAD = 256 * 1024
_FIELDS = ("title", "folder", "tags", "metadata")
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "title": {"type": "string", "maxLength": 500},
                        "folder": {"type": "string", "maxLength": 1000, "examples": ["/invoices/2026"]},
                        "tags": {
                            "type": "array",
                            "items": {"type": "string"},
                            "description": "repeated, or separated by commas",
                        },
                        "metadata": {"type": "string", "description": "a JSON object of at most 4 KiB"},
                    },
                }
            }
        },
    }
}  # fmt: skip


@router.post("/documents", status_code=202, response_model=UploadedDocument, responses=RESPONSES, openapi_extra=_BODY)
async def upload(request: Request, response: Response, caller: Authenticated, gateway: Running) -> UploadedDocument:
    """Upload a document. 202: it is stored and will be processed. 200: the workspace already has this content."""
    gateway.receiver.check_room()
    limit = gateway.service.settings.max_upload_bytes
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced) > limit + _OVERHEAD:
        raise too_large(limit)
    content, filename, fields = await _receive(request, caller.workspace, gateway)
    try:
        new = _new_document(caller.workspace, content, filename, fields, request.scope["quire.request_id"])
    except Problem:
        await gateway.receiver.discard(content)
        raise
    row, duplicate = await gateway.receiver.enter(new)
    response.status_code = 200 if duplicate else 202
    response.headers["Location"] = f"/api/v1/documents/{row['id']}"
    return UploadedDocument(**document_of(row).model_dump(), duplicate=duplicate)


async def _receive(request: Request, workspace: str, gateway: Gateway) -> tuple[Content, str, dict[str, list[str]]]:
    fields: dict[str, list[str]] = {}
    content: Content | None = None
    filename = ""
    body = _bounded(request.stream(), gateway.service.settings.max_upload_bytes)
    parts = Parts(request.headers.get("content-type", ""), body)
    try:
        async for part in parts:
            if part.name == "file" and part.filename is not None:
                if content is not None:
                    raise Problem(422, "several_files", "Send one `file` in a request.")
                filename = names.clean_filename(part.filename)
                content = await gateway.receiver.store(workspace, filename, part.data())
            elif part.name in _FIELDS:
                fields.setdefault(part.name, []).append(await part.text())
            else:
                async for _ in part.data():
                    pass
    except ClientDisconnect:
        if content is not None:
            await gateway.receiver.discard(content)
        raise Problem(400, "disconnected", "The client went away before the end of the body.") from None
    except BaseException:
        if content is not None:
            await gateway.receiver.discard(content)
        raise
    if content is None:
        missing = FieldProblem(pointer="/body/file", detail="a part named `file` with a filename is required")
        raise Problem(422, "invalid", "The request has no file.", errors=[missing])
    return content, filename, fields


async def _bounded(body: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    """The body; 413 where its parts together are longer than a document with its fields can be."""
    size = 0
    async for piece in body:
        size += len(piece)
        if size > limit + _OVERHEAD:
            raise too_large(limit)
        yield piece


def _new_document(
    workspace: str, content: Content, filename: str, fields: dict[str, list[str]], request_id: str
) -> NewDocument:
    title = names.clean("".join(fields.get("title", [])[-1:]), 500)
    folder = "".join(fields.get("folder", [])[-1:])
    if len(folder) > 1000:
        raise _invalid("folder", "at most 1000 characters")
    if sum(map(len, fields.get("tags", []))) > TAGS_LENGTH:
        raise _invalid("tags", f"at most {TAGS_LENGTH} characters in all")
    tags = [names.clean(tag, 1000) for value in fields.get("tags", []) for tag in value.split(",")]
    return new_document(
        workspace,
        content,
        title=_checked("title", Title, title or names.title_of(filename)),
        filename=filename,
        folder=names.clean_folder(folder),
        tags=_checked("tags", Tags, list(dict.fromkeys(tag for tag in tags if tag))),
        metadata=parse_metadata("".join(fields.get("metadata", [])[-1:])),
        correlation=request_id,
    )


def parse_metadata(text: str) -> dict[str, Any]:
    """The owner's own fields. Raises a 422 problem where it is not a JSON object of at most 4 KiB."""
    if not text.strip():
        return {}
    try:
        metadata = orjson.loads(text)
    except ValueError:
        raise _invalid("metadata", "not JSON") from None
    return check_metadata(metadata)


def check_metadata(metadata: Any) -> dict[str, Any]:
    """Metadata as it can be stored: a JSON object of at most 4 KiB without NUL characters."""
    if not isinstance(metadata, dict):
        raise _invalid("metadata", "a JSON object is wanted")
    try:
        body = orjson.dumps(metadata)
    except TypeError as error:
        raise _invalid("metadata", str(error)) from None
    if len(body) > METADATA_BYTES:
        raise _invalid("metadata", f"at most {METADATA_BYTES} bytes of JSON")
    if _depth(metadata) > METADATA_DEPTH:
        raise _invalid("metadata", f"at most {METADATA_DEPTH} levels")
    if b"\\u0000" in body:
        raise _invalid("metadata", "NUL characters cannot be stored")
    return metadata


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


def _checked(name: str, kind: Any, value: Any) -> Any:
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        raise _invalid(name, error.errors()[0]["msg"]) from None


def _invalid(name: str, detail: str) -> Problem:
    return Problem(
        422, "invalid", f"The field `{name}` is not valid: {detail}.",
        errors=[FieldProblem(pointer=f"/body/{name}", detail=detail)],
    )  # fmt: skip
