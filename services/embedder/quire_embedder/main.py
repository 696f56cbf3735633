"""Builds the embedder and runs it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from quire_contracts import TextExtracted
from quire_models import open_model
from quire_runtime.service import Service, run

from .embedding import embedding_with
from .handlers import Handlers
from .settings import EmbedderSettings

CALLS_TO_A_SERVER = 4
"""A server's answer takes long and costs us nothing, so that calls overlap; a local model has no cores to spare."""


@asynccontextmanager
async def embedder(service: Service[EmbedderSettings]) -> AsyncIterator[None]:
    """Everything the embedder opens."""
    settings = service.settings
    model = open_model(settings.embedding_model, **settings.model_options())
    try:
        calls = CALLS_TO_A_SERVER if settings.embedding_model == "openai" else 1
        async with embedding_with(model, calls_at_once=calls) as embedding:
            handlers = Handlers(service.store, embedding)
            async with service.consume({TextExtracted: handlers.on_text_extracted}):
                yield
    finally:
        await model.close()


def main() -> None:
    """Run the service until it is told to stop."""
    run("embedder", EmbedderSettings.read(), embedder)
