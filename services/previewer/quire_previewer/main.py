"""The previewer: builds everything it needs and consumes until it is stopped."""

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from quire_contracts import DocumentUploaded
from quire_runtime.sandbox import Limits, Sandbox
from quire_runtime.service import Service, run

from .child import PRELOAD
from .handlers import NO_OFFICE, Handlers
from .settings import PreviewerSettings

OFFICE_FILES = ("/var/spool/libreoffice",)
"""What Debian's LibreOffice reads besides the folders of the system."""

KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(64 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}
"""glibc keeps what the pictures of one page took for those of the next, instead of the kernel clearing it each time."""

log = structlog.get_logger(__name__)


def main() -> None:
    """Run the service until SIGTERM."""
    run("previewer", PreviewerSettings.read(), previewer)


@asynccontextmanager
async def previewer(service: Service[PreviewerSettings]) -> AsyncIterator[None]:
    """The sandboxes and the consumer; only where LibreOffice is installed is there one that may start a program."""
    settings = service.settings
    soffice = shutil.which(settings.soffice)
    limits = Limits(wall_s=settings.preview_seconds)
    async with AsyncExitStack() as opened:
        sandbox = await opened.enter_async_context(
            Sandbox(PRELOAD, workers=settings.preview_workers, limits=limits, env=KEEP_MEMORY)
        )
        office = None
        if soffice is None:
            log.warning("no office documents", why=NO_OFFICE)
        else:
            office = await opened.enter_async_context(
                Sandbox(
                    PRELOAD,
                    workers=settings.preview_workers,
                    limits=limits,
                    env=KEEP_MEMORY,
                    allow_exec=True,
                    read_paths=OFFICE_FILES,
                )
            )
        handlers = Handlers(service.store, sandbox, pages=settings.preview_pages, office=office, soffice=soffice)
        async with service.consume({DocumentUploaded: handlers.on_document_uploaded}):
            yield
