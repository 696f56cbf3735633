"""DocumentUploaded → TextExtracted.

A redelivered event is simply read again, which gives the same objects and the same event. Only what was read by OCR is
too expensive for that: its event is kept beside the text as `extraction.json`, and answers for the same cause. A new
cause, for example a request to process the document again, is read anew.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from typing import BinaryIO, cast

import structlog
from pydantic import TypeAdapter

from quire_contracts import Blob, Chunk, DocumentUploaded, TextExtracted, TextExtractedData, parse_event
from quire_contracts.keys import chunks_key, revision_prefix, text_key
from quire_runtime.sandbox import Job, Sandbox, SandboxError, SandboxStopped, as_permanent
from quire_runtime.storage import STREAM_BYTES, ObjectNotFound, Store

from .extract import FAMILIES, Limits
from .ocr import Tesseract
from .read import CHUNKS, CONTENT, TEXT, Outcome

log = structlog.get_logger(__name__)

_chunks = TypeAdapter(list[Chunk])


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognition:
    """How scanned pages are read, and how much of that one document may cost."""

    tesseract: Tesseract
    max_pages: int = 200
    page_timeout_s: float = 60
    timeout_s: float = 900


class Handlers:
    """The ingest service's one handler, on a store, a sandbox that has `quire_ingest.read` and, perhaps, OCR."""

    def __init__(self, store: Store, sandbox: Sandbox, limits: Limits, recognition: Recognition | None) -> None:
        self._store = store
        self._sandbox = sandbox
        self._limits = asdict(limits)
        self._recognition = recognition

    async def on_document_uploaded(self, event: DocumentUploaded) -> TextExtracted:
        """Reads the document. Raises `Permanent` where it cannot be read, and the store's error where that fails."""
        if (earlier := await self._earlier(event)) is not None:
            return earlier
        async with self._sandbox.job() as job:
            await self._store.download(event.data.content_key, job.path / CONTENT)
            try:
                outcome = await self._read(job, event.data.document.media_type)
            except SandboxStopped as stopped:
                raise as_permanent(stopped) from stopped
            if "text" not in outcome:
                await self._keep(job, TEXT, text_key(event))
                chunks = Blob[list[Chunk]](key=chunks_key(event), size=await self._keep(job, CHUNKS, chunks_key(event)))
        if "text" in outcome:
            await self._store.put(text_key(event), outcome["text"].encode())
            chunks = Blob[list[Chunk]](
                inline=_chunks.validate_json(outcome["chunks"]), size=len(outcome["chunks"].encode())
            )
        extracted = TextExtracted.follow(
            event,
            TextExtractedData(
                revision=event.data.revision,
                document=event.data.document,
                language=outcome["language"],
                page_count=outcome["page_count"],
                characters=outcome["characters"],
                truncated=outcome["truncated"],
                ocr=outcome["ocr"],
                text_key=text_key(event),
                chunks=chunks,
            ),
        )
        if extracted.data.ocr:
            await self._store.put(_extraction_key(event), extracted.to_json())
        return extracted

    async def _earlier(self, event: DocumentUploaded) -> TextExtracted | None:
        family = FAMILIES.get(event.data.document.media_type)
        if family is None or family.picture is None:
            return None
        try:
            earlier = parse_event(await self._store.get(_extraction_key(event)))
        except ObjectNotFound:
            return None
        return earlier if isinstance(earlier, TextExtracted) and earlier.causationid == event.id else None

    async def _read(self, job: Job, media_type: str) -> Outcome:
        document = {"media_type": media_type, "limits": self._limits}
        outcome = await job.call("quire_ingest.read:begin", {**document, "ocr": self._recognition is not None})
        if outcome["scanned"] and self._recognition is not None:
            await self._recognise(job, document, outcome["scanned"], self._recognition)
            outcome = await job.call("quire_ingest.read:finish", {"limits": self._limits})
        return cast(Outcome, outcome)

    async def _recognise(
        self, job: Job, document: Mapping[str, object], scanned: list[int], recognition: Recognition
    ) -> None:
        """Reads scanned pages one by one while there is time. One that cannot be read is left out, unless all are."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + recognition.timeout_s
        read, failure = 0, None
        for number in scanned[: recognition.max_pages]:
            if (left := deadline - clock()) <= 0:
                break
            arguments = {**document, "number": number, "tesseract": asdict(recognition.tesseract)}
            try:
                await job.call("quire_ingest.read:read_page", arguments, wall_s=min(recognition.page_timeout_s, left))
                read += 1
            except (SandboxStopped, SandboxError) as error:
                failure = error
                log.warning("page not recognised", page=number, error=str(error))
        if failure is not None and not read:
            raise failure

    async def _keep(self, job: Job, name: str, key: str) -> int:
        """Writes a file that a call left to the store, in pieces; returns its length in bytes."""
        with job.open(name) as file:
            await self._store.upload(key, _pieces(file))
            return file.tell()


def _extraction_key(event: DocumentUploaded) -> str:
    return f"{revision_prefix(event)}extraction.json"


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    while piece := file.read(STREAM_BYTES):
        yield piece
