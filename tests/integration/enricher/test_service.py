"""The enricher as it runs, on a real broker and a local AI server."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from quire_contracts import DocumentEnriched, Event, ProcessingFailed, TextExtracted
from quire_contracts.keys import text_key
from quire_enricher.main import enricher
from quire_enricher.settings import EnricherSettings
from quire_runtime.service import Service
from quire_runtime.settings import ServiceSettings
from quire_runtime.storage import open_store
from tests.support import examples
from tests.support.ai_server import AIServer, Answer, Status, Text
from tests.support.broker import Observer, observing

TEXT = (
    "The harbour froze in the winter of 1740. The harbour master wrote down how thick the ice was. The ice held carts."
)


@pytest.fixture
def ai() -> Iterator[AIServer]:
    with AIServer() as running:
        yield running


def with_ai(settings: ServiceSettings, ai: AIServer) -> EnricherSettings:
    return EnricherSettings.model_validate(
        {
            **settings.model_dump(),
            "enrichment_provider": "openai",
            "enrichment_base_url": f"{ai.url}/v1",
            "enrichment_model": "small-model",
        }
    )


@asynccontextmanager
async def running(settings: EnricherSettings) -> AsyncIterator[tuple[Service[EnricherSettings], Observer]]:
    service = Service("enricher", settings)
    async with service.publisher:
        await service.publisher.ready()
        async with observing(settings) as seen, enricher(service):
            yield service, seen


async def document(settings: ServiceSettings, name: str = "doc_1", text: str = TEXT) -> TextExtracted:
    event = examples.extracted(examples.uploaded("w1", name), text)
    event = event.model_copy(update={"data": event.data.model_copy(update={"text_key": text_key(event)})})
    await open_store(settings).put(text_key(event), text.encode())
    return event


def of_type(events: list[Event], kind: type[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


async def test_a_text_becomes_an_enrichment(settings: ServiceSettings) -> None:
    async with running(EnricherSettings(**settings.model_dump())) as (service, seen):
        event = await document(settings)
        await service.publisher.publish(event)
        done = of_type(await seen.received(2), DocumentEnriched)[0]
        assert done.causationid == event.id
        assert done.data.summary.startswith("The harbour froze in the winter of 1740.")
        assert "harbour" in done.data.tags
        assert await service.readiness() == {"broker": "ok"}
        await seen.empty(seen.topology.work_queue("enricher"))


async def test_many_documents_are_all_enriched(settings: ServiceSettings) -> None:
    async with running(EnricherSettings(**settings.model_dump())) as (service, seen):
        events = [await document(settings, f"doc_{at}", f"{TEXT} Page {at} of the log.") for at in range(60)]
        for event in events:
            await service.publisher.publish(event)
        done = of_type(await seen.received(120), DocumentEnriched)
        assert {event.subject for event in done} == {event.subject for event in events}


async def test_a_document_delivered_twice_is_paid_for_once(settings: ServiceSettings, ai: AIServer) -> None:
    async with running(with_ai(settings, ai)) as (service, seen):
        event = await document(settings)
        await service.publisher.publish(event)
        await seen.received(2)
        await service.publisher.publish(event)
        one, other = of_type(await seen.received(4), DocumentEnriched)
        assert (one.id, one.data) == (other.id, other.data)
        assert one.data.summary == Answer().summary
        assert len(ai.requests) == 1


async def test_a_document_waits_for_a_rate_limit_and_a_broken_server(settings: ServiceSettings, ai: AIServer) -> None:
    ai.script(Status(429, {"retry-after": "1"}), Status(503), Text("banana"), Answer(summary="At last."))
    async with running(with_ai(settings, ai)) as (service, seen):
        await service.publisher.publish(await document(settings))
        events = await seen.received(2)
        assert [event.data.summary for event in of_type(events, DocumentEnriched)] == ["At last."]
        assert of_type(events, ProcessingFailed) == []
        assert len(ai.requests) == 4


async def test_a_refusal_fails_the_stage_with_its_reason(settings: ServiceSettings, ai: AIServer) -> None:
    ai.script(Status(401, message="this key is not valid"))
    async with running(with_ai(settings, ai)) as (service, seen):
        await service.publisher.publish(await document(settings))
        failed = of_type(await seen.received(2), ProcessingFailed)[0]
        assert (failed.data.stage, failed.data.reason) == ("enrich", "provider_refused")
        assert "this key is not valid" in failed.data.detail
        assert len(ai.requests) == 1
        await seen.empty(seen.topology.work_queue("enricher"), seen.topology.parked_queue("enricher"))


async def test_a_server_that_stays_broken_parks_the_document(settings: ServiceSettings, ai: AIServer) -> None:
    ai.script(Status(529))
    async with running(with_ai(settings, ai)) as (service, seen):
        event = await document(settings)
        await service.publisher.publish(event)
        failed = of_type(await seen.received(2), ProcessingFailed)[0]
        assert failed.data.reason == "exhausted"
        parked = await seen.take(seen.topology.parked_queue("enricher"))
        assert parked.body == event.to_json()
        assert len(ai.requests) == 3
