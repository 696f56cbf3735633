"""Builds the search service and runs it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import structlog
from fastapi import APIRouter

from quire_contracts import DocumentDeleted, DocumentEnriched, DocumentUpdated, Embedded, TextExtracted
from quire_models import open_model
from quire_runtime import inbox
from quire_runtime.batch import Batcher
from quire_runtime.service import Service, run

from . import api, codec, empty, inventory
from .db import Index
from .engine import Engine
from .handlers import Handlers
from .settings import SearchSettings
from .spaces import Spaces

log = structlog.get_logger(__name__)

SCHEMA = "search"
INDEX_CHECK_S = 300.0
"""How often it is looked whether an embedding space has grown large enough for an index of its own."""
PRUNE_S = 24 * 3600.0
"""How often the inbox is rid of what is too old to come again."""


class Search:
    """The running service."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._pool: asyncpg.Pool | None = None

    def routes(self) -> list[APIRouter]:
        """Everything that is answered over HTTP."""
        return [api.routes(self.engine), inventory.routes(self.pool), empty.routes(self.pool)]

    def pool(self) -> asyncpg.Pool:
        """The database, while the service runs."""
        assert self._pool is not None
        return self._pool

    def engine(self) -> Engine:
        """The read side, while the service runs."""
        assert self._engine is not None  # requests come only after the start
        return self._engine

    @asynccontextmanager
    async def run(self, service: Service[SearchSettings]) -> AsyncIterator[None]:
        """Open everything, take events and answer queries until the end."""
        settings = service.settings
        model = open_model(settings.embedding_model, **settings.model_options())
        try:
            async with service.database(SCHEMA, codec.register) as pool, service.relay(pool) as relay:
                spaces = Spaces(pool)
                index = Index(pool, spaces)
                self._engine, self._pool = Engine(pool, spaces, model), pool
                batcher = Batcher(index.apply, max_items=settings.batch_items, concurrency=settings.batches)
                async with batcher as batch:
                    handlers = Handlers(service.store, batch, relay.wake)
                    keeping = [
                        asyncio.create_task(_keep_indexes(spaces), name="embedding indexes"),
                        asyncio.create_task(_prune(pool, settings.inbox_days), name="inbox"),
                    ]
                    async with service.consume({
                        TextExtracted: handlers.on_text_extracted,
                        Embedded: handlers.on_embedded,
                        DocumentEnriched: handlers.on_document_enriched,
                        DocumentUpdated: handlers.on_document_updated,
                        DocumentDeleted: handlers.on_document_deleted,
                    }):  # fmt: skip
                        yield
                    for task in keeping:
                        task.cancel()
        finally:
            await model.close()


async def _keep_indexes(spaces: Spaces) -> None:
    while True:
        try:
            for name in await spaces.index_large():
                log.info("an embedding space has its index", index=name)
        except Exception as error:  # exact search answers meanwhile
            log.warning("an embedding index could not be made", error=f"{type(error).__name__}: {error}")
        await asyncio.sleep(INDEX_CHECK_S)


async def _prune(pool: asyncpg.Pool, days: float) -> None:
    while True:
        try:
            if gone := await inbox.prune(pool, timedelta(days=days)):
                log.info("the inbox was pruned", rows=gone)
        except Exception as error:  # it only grows meanwhile
            log.warning("the inbox could not be pruned", error=f"{type(error).__name__}: {error}")
        await asyncio.sleep(PRUNE_S)


def main() -> None:
    """Serve until told to stop."""
    search = Search()
    run("search", SearchSettings.read(), search.run, search.routes())
