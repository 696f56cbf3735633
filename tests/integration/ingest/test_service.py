"""The ingest service as it runs, on a real broker."""

from quire_contracts import ProcessingFailed, TextExtracted
from quire_ingest.main import ingest
from quire_ingest.settings import IngestSettings
from quire_runtime.service import Service
from quire_runtime.settings import ServiceSettings
from tests.integration.ingest.uploads import uploaded
from tests.support.broker import observing
from tests.support.documents import generate, pdf
from tests.unit.ingest.reading import PDF


async def test_uploads_are_extracted_and_bad_ones_fail_with_their_reason(settings: ServiceSettings) -> None:
    service = Service("ingest", IngestSettings(**settings.model_dump()))
    async with service.publisher:
        await service.publisher.ready()
        async with observing(service.settings) as seen, ingest(service):
            good = [await uploaded(service.store, page, "text/plain") for _, page in generate.documents(40)]
            bad = await uploaded(service.store, pdf.encrypted(), PDF)
            for event in [*good, bad]:
                await service.publisher.publish(event)
            events = await seen.received(2 * (len(good) + 1))
            assert await service.readiness() == {"broker": "ok"}
    extracted = [event for event in events if isinstance(event, TextExtracted)]
    assert {event.subject for event in extracted} == {event.subject for event in good}
    assert {event.data.language for event in extracted} == {"en"}
    [failed] = [event for event in events if isinstance(event, ProcessingFailed)]
    assert (failed.subject, failed.data.stage, failed.data.reason) == (bad.subject, "ingest", "encrypted")
