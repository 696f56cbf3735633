"""Builds the enricher and runs it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from quire_contracts import TextExtracted
from quire_runtime.service import Service, run

from .handlers import Handlers
from .providers import open_provider
from .settings import EnricherSettings


@asynccontextmanager
async def enricher(service: Service[EnricherSettings]) -> AsyncIterator[None]:
    """Everything the enricher opens."""
    provider = open_provider(service.settings)
    try:
        handlers = Handlers(service.store, provider)
        async with service.consume({TextExtracted: handlers.on_text_extracted}):
            yield
    finally:
        await provider.close()


def main() -> None:
    """Run the service until it is told to stop."""
    run("enricher", EnricherSettings.read(), enricher)
