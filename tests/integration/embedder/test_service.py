"""The embedder as it runs, on a real broker."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from quire_contracts import Embedded, Event, ProcessingFailed
from quire_embedder.main import embedder
from quire_embedder.settings import EmbedderSettings
from quire_models import open_model
from quire_runtime.service import Service
from quire_runtime.settings import ServiceSettings
from quire_runtime.storage import open_store
from tests.integration.embedder.documents import extracted, rows_of
from tests.support.ai_server import AIServer, Answer, Status
from tests.support.broker import Observer, observing


@pytest.fixture
def ai() -> Iterator[AIServer]:
    with AIServer() as running:
        yield running


@asynccontextmanager
async def running(settings: EmbedderSettings) -> AsyncIterator[tuple[Service[EmbedderSettings], Observer]]:
    service = Service("embedder", settings)
    async with service.publisher:
        await service.publisher.ready()
        async with observing(settings) as seen, embedder(service):
            yield service, seen


def of_type(events: list[Event], kind: type[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


async def test_documents_of_every_size_are_embedded(settings: ServiceSettings) -> None:
    store = open_store(settings)
    texts = {f"doc_{at}": [f"page {page} of log {at}" for page in range(at % 4)] for at in range(60)}
    texts["large"] = [f"entry {at} of the keeper's diary" for at in range(3_000)]
    async with running(EmbedderSettings(**settings.model_dump())) as (service, seen):
        for name, chunks in texts.items():
            await service.publisher.publish(await extracted(store, chunks, name))
        done = {event.subject: event for event in of_type(await seen.received(2 * len(texts)), Embedded)}
        assert set(done) == set(texts)
        model = open_model("static")
        for name, chunks in texts.items():
            event = done[name]
            assert isinstance(event, Embedded)
            rows = await rows_of(store, event)
            np.testing.assert_allclose(rows.astype(np.float32), await model.embed_documents(chunks), atol=1e-3)
        await model.close()
        assert done["large"].data.vectors.key is not None
        assert await service.readiness() == {"broker": "ok"}


async def test_a_server_s_troubles_end_in_their_outcomes(settings: ServiceSettings, ai: AIServer) -> None:
    ai.script(Status(429, {"retry-after": "1"}), Status(503), Answer())
    own = {"embedding_model": "openai", "embedding_base_url": f"{ai.url}/v1", "embedding_dimensions": 4}
    async with running(EmbedderSettings.model_validate({**settings.model_dump(), **own})) as (service, seen):
        await service.publisher.publish(await extracted(service.store, ["sea"], "patient"))
        done = of_type(await seen.received(2), Embedded)
        assert [event.subject for event in done] == ["patient"]
        assert len(ai.requests) == 3

        ai.script(Status(400, message="the text is too rude"))
        await service.publisher.publish(await extracted(service.store, ["sea"], "refused"))
        failed = of_type(await seen.received(4), ProcessingFailed)[0]
        assert (failed.subject, failed.data.stage, failed.data.reason) == ("refused", "embed", "model_refused")
        assert "too rude" in failed.data.detail
