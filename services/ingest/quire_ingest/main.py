"""The ingest service: everything it is built of."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from quire_contracts import DocumentUploaded
from quire_runtime.sandbox import Limits as SandboxLimits
from quire_runtime.sandbox import Sandbox
from quire_runtime.service import Service, run

from . import ocr
from .extract import Limits
from .handlers import Handlers, Recognition
from .settings import IngestSettings

log = structlog.get_logger(__name__)

ONE_THREAD = {"OMP_THREAD_LIMIT": "1", "TOKIO_WORKER_THREADS": "1", "RAYON_NUM_THREADS": "1"}
"""One document, one thread: the sandbox has a worker for each core."""


def main() -> None:
    """Serve until SIGTERM."""
    run("ingest", IngestSettings.read(), ingest)


@asynccontextmanager
async def ingest(service: Service[IngestSettings]) -> AsyncIterator[None]:
    """Take uploaded documents while the context is open."""
    settings = service.settings
    recognition = _recognition(settings)
    sandbox = Sandbox(
        preload=["quire_ingest.read"],
        workers=settings.ingest_workers,
        limits=SandboxLimits(
            memory_bytes=settings.ingest_memory_mib << 20,
            cpu_s=settings.ingest_timeout_s,
            wall_s=settings.ingest_timeout_s,
        ),
        env=ONE_THREAD,
        allow_exec=recognition is not None,
    )
    limits = Limits(
        characters=settings.ingest_max_characters,
        chunks=settings.ingest_max_chunks,
        pages=settings.ingest_max_pages,
        pixels=settings.ingest_max_pixels,
    )
    async with sandbox:
        handlers = Handlers(service.store, sandbox, limits, recognition)
        async with service.consume({DocumentUploaded: handlers.on_document_uploaded}):
            yield


def _recognition(settings: IngestSettings) -> Recognition | None:
    tesseract = ocr.installed(settings.ingest_ocr_languages.split("+")) if settings.ingest_ocr_max_pages else None
    if tesseract is None:
        log.warning("no OCR: scans fail as ocr_unavailable", languages=settings.ingest_ocr_languages)
        return None
    return Recognition(
        tesseract=tesseract,
        max_pages=settings.ingest_ocr_max_pages,
        page_timeout_s=settings.ingest_ocr_page_timeout_s,
        timeout_s=settings.ingest_ocr_timeout_s,
    )
