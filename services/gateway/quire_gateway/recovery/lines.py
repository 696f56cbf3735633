"""The lines of answers that take long: newline-delimited JSON, told while the work goes on."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Literal

import structlog
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from quire_gateway.problems import Problem

log = structlog.get_logger(__name__)


class Lines(StreamingResponse):
    """An answer of JSON objects, one a line."""

    media_type = "application/x-ndjson"


class Progress(BaseModel):
    """How far it is."""

    type: Literal["progress"] = "progress"
    phase: str = Field(examples=["documents"])
    done: int
    total: int | None = Field(default=None, description="None where it cannot be known")
    rate: float | None = Field(default=None, description="So many a second")
    paused: bool = Field(default=False, description="Waits until others have taken what was given to them")


class Failed(BaseModel):
    """The last line where the work could not be finished: what was done by then is done."""

    type: Literal["error"] = "error"
    code: str
    detail: str


async def answer(lines: AsyncGenerator[BaseModel, None]) -> Lines:
    """The lines as they come. What is raised before the first one is a problem document, later it is a last line."""
    first = await anext(lines)
    return Lines(_told(first, lines), headers={"Cache-Control": "no-store"})


async def _told(first: BaseModel, lines: AsyncGenerator[BaseModel, None]) -> AsyncIterator[bytes]:
    try:
        yield _line(first)
        async for line in lines:
            yield _line(line)
    except Problem as problem:
        yield _line(Failed(code=problem.code, detail=problem.detail))
    except Exception as error:
        log.error("a long answer ended early", exc_info=error)
        yield _line(Failed(code="internal", detail=f"It could not be finished: {type(error).__name__}: {error}"))
    finally:
        await lines.aclose()


def _line(line: BaseModel) -> bytes:
    return json.dumps(line.model_dump(mode="json")).encode() + b"\n"
