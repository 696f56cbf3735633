"""The whole service on a real broker, as `main` builds it."""

from quire_contracts import DocumentUploaded, PreviewReady, ProcessingFailed, Topology
from quire_previewer.main import previewer
from quire_previewer.settings import PreviewerSettings
from quire_runtime.publish import Publisher
from quire_runtime.service import Service
from quire_runtime.settings import ServiceSettings
from quire_runtime.storage import open_store
from tests.support import examples
from tests.support.broker import observing
from tests.support.documents import pdf


async def test_uploads_are_answered_with_pictures_or_with_why_there_are_none(settings: ServiceSettings) -> None:
    own = PreviewerSettings(**settings.model_dump(), preview_pages=1, soffice="no-such-program")
    topology = Topology(own.broker_namespace, own.retry_ladder)
    store = open_store(own)
    good = examples.uploaded(media_type="application/pdf")
    bad = examples.uploaded(media_type="application/pdf")
    await store.put(good.data.content_key, pdf.pages(["One.", "Two."]))
    await store.put(bad.data.content_key, pdf.encrypted())
    service = Service("previewer", own)
    async with Publisher(own, topology) as publisher:
        await publisher.ready()
        async with observing(own) as observer:
            for event in (good, bad, good):
                await publisher.publish(event)
            async with service.publisher, previewer(service):
                events = await observer.received(6)
                assert await service.readiness() == {"broker": "ok"}
            assert await observer.depth(topology.work_queue("previewer")) == 0
    ready = [event for event in events if isinstance(event, PreviewReady)]
    failed = [event for event in events if isinstance(event, ProcessingFailed)]
    assert len([event for event in events if isinstance(event, DocumentUploaded)]) == 3
    assert [event.subject for event in ready] == [good.subject] * 2
    assert ready[0].id == ready[1].id
    assert (ready[0].data.page_count, len(ready[0].data.pages)) == (2, 1)
    assert [(event.subject, event.data.stage, event.data.reason) for event in failed] == [
        (bad.subject, "preview", "encrypted")
    ]
