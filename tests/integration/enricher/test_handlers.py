"""What the enricher does with a message: done, duplicate, refused, postponed, failed, empty, large."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from quire_contracts import TextExtracted
from quire_contracts.keys import enrichment_key, text_key
from quire_enricher.enrichment import Enrichment, Provider
from quire_enricher.handlers import Handlers
from quire_enricher.providers import open_provider
from quire_enricher.providers.prompt import MalformedAnswer
from quire_enricher.settings import EnricherSettings
from quire_runtime.errors import Later, Permanent
from quire_runtime.storage import ObjectNotFound, Store, open_store
from tests.support import examples
from tests.support.ai_server import AIServer, Answer, Status, Text

from .texts import LIGHTHOUSE


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(EnricherSettings.model_validate({"store_url": tmp_path.as_uri()}))


@pytest.fixture
def server() -> Iterator[AIServer]:
    with AIServer() as running:
        yield running


@pytest.fixture
async def paid(server: AIServer) -> AsyncIterator[Provider]:
    provider = open_provider(settings_for(server))
    yield provider
    await provider.close()


def settings_for(server: AIServer, model: str = "small-model") -> EnricherSettings:
    return EnricherSettings.model_validate(
        {"enrichment_provider": "anthropic", "enrichment_base_url": server.url, "enrichment_model": model}
    )


@pytest.fixture
def local() -> Provider:
    return open_provider(EnricherSettings())


async def extracted(store: Store, text: str = LIGHTHOUSE) -> TextExtracted:
    """The event of a document whose text lies in the store."""
    event = examples.extracted(examples.uploaded("w1", "doc_1"))
    told = {"text_key": text_key(event), "characters": len(text), "language": "en"}
    event = event.model_copy(update={"data": event.data.model_copy(update=told)})
    await store.put(text_key(event), text.encode())
    return event


async def objects(store: Store) -> dict[str, bytes]:
    return {key: await store.get(key) async for key in store.list("w1/")}


async def test_a_document_is_enriched(store: Store, local: Provider) -> None:
    event = await extracted(store)
    done = await Handlers(store, local).on_text_extracted(event)
    assert "lighthouse" in done.data.summary
    assert done.data.keywords
    assert "lighthouse" in done.data.tags
    assert (done.data.provider, done.data.model, done.data.revision) == ("local", None, 1)
    assert (done.subject, done.workspaceid, done.causationid) == ("doc_1", "w1", event.id)


async def test_a_duplicate_gives_the_same_event_and_the_same_objects(store: Store, paid: Provider) -> None:
    event, handlers = await extracted(store), Handlers(store, paid)
    one = await handlers.on_text_extracted(event)
    kept = await objects(store)
    other = await handlers.on_text_extracted(event)
    assert (one.id, one.data) == (other.id, other.data)
    assert await objects(store) == kept


async def test_what_was_paid_for_is_never_paid_for_again(store: Store, paid: Provider, server: AIServer) -> None:
    event = await extracted(store)
    server.script(Answer(summary="Paid once."), Answer(summary="Paid twice."))
    await Handlers(store, paid).on_text_extracted(event)
    again = await Handlers(store, paid).on_text_extracted(event)
    assert again.data.summary == "Paid once."
    assert len(server.requests) == 1


async def test_an_answer_of_another_model_is_not_taken_for_this_one_s(
    store: Store, paid: Provider, server: AIServer
) -> None:
    event = await extracted(store)
    await Handlers(store, paid).on_text_extracted(event)
    other = open_provider(settings_for(server, "large-model"))
    done = await Handlers(store, other).on_text_extracted(event)
    await other.close()
    assert done.data.model == "large-model"
    assert len(server.requests) == 2


async def test_a_kept_answer_that_cannot_be_read_is_asked_for_again(
    store: Store, paid: Provider, server: AIServer
) -> None:
    event = await extracted(store)
    await store.put(enrichment_key(event, "anthropic"), b'{"half')
    done = await Handlers(store, paid).on_text_extracted(event)
    assert done.data.summary == Answer().summary
    kept = Enrichment.model_validate_json(await store.get(enrichment_key(event, "anthropic")))
    assert kept.summary == Answer().summary


async def test_a_refusal_is_permanent_and_leaves_nothing(store: Store, paid: Provider, server: AIServer) -> None:
    event = await extracted(store)
    server.script(Status(401, message="invalid key"))
    with pytest.raises(Permanent, match="provider_refused"):
        await Handlers(store, paid).on_text_extracted(event)
    assert set(await objects(store)) == {text_key(event)}


async def test_a_rate_limit_postpones_the_document(store: Store, paid: Provider, server: AIServer) -> None:
    server.script(Status(429, {"retry-after": "20"}), Answer())
    event = await extracted(store)
    with pytest.raises(Later) as caught:
        await Handlers(store, paid).on_text_extracted(event)
    assert caught.value.delay_s == 20
    assert (await Handlers(store, paid).on_text_extracted(event)).data.summary == Answer().summary


async def test_a_malformed_answer_is_not_kept(store: Store, paid: Provider, server: AIServer) -> None:
    server.script(Text("banana"), Answer())
    event = await extracted(store)
    with pytest.raises(MalformedAnswer):
        await Handlers(store, paid).on_text_extracted(event)
    assert set(await objects(store)) == {text_key(event)}
    assert (await Handlers(store, paid).on_text_extracted(event)).data.summary == Answer().summary


@pytest.mark.parametrize("text", ["", "  \n\t \n"])
async def test_a_document_without_text_is_enriched_with_nothing(
    text: str, store: Store, paid: Provider, server: AIServer
) -> None:
    done = await Handlers(store, paid).on_text_extracted(await extracted(store, text))
    assert (done.data.summary, done.data.keywords, done.data.tags) == ("", [], [])
    assert server.requests == []


async def test_of_a_large_document_only_the_beginning_is_read(store: Store, local: Provider) -> None:
    read = 0

    class Counting(Store):
        async def stream(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
            nonlocal read
            async for piece in store.stream(key, start, end):
                read += len(piece)
                yield piece

    event = await extracted(store, (LIGHTHOUSE + "\n\n") * 20_000)
    handlers = Handlers(Counting.__new__(Counting), local)
    assert "lighthouse" in (await handlers.on_text_extracted(event)).data.summary
    assert read == local.characters * 4


async def test_a_character_of_several_bytes_is_not_cut(store: Store, local: Provider) -> None:
    text = "€" * local.characters * 3
    done = await Handlers(store, local).on_text_extracted(await extracted(store, text))
    assert set(done.data.summary.rstrip("…")) == {"€"}


async def test_a_text_that_is_gone_is_not_taken_for_an_empty_one(store: Store, local: Provider) -> None:
    event = await extracted(store)
    await store.delete(text_key(event))
    with pytest.raises(ObjectNotFound):
        await Handlers(store, local).on_text_extracted(event)
