"""What the embedder does with a message: done, duplicate, refused, postponed, failed, empty, large, many at once."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from quire_contracts import Vectors
from quire_contracts.keys import chunks_key, vectors_key
from quire_embedder import handlers as handlers_module
from quire_embedder.embedding import SLICE, SLICES, embedding_with
from quire_embedder.handlers import LARGE_AT_ONCE, Handlers
from quire_embedder.settings import EmbedderSettings
from quire_models import ModelRefused, ModelUnavailable, RateLimited, open_model
from quire_runtime.blobs import unpack
from quire_runtime.errors import Later, Permanent
from quire_runtime.storage import ObjectNotFound, Store, open_store

from .documents import extracted, rows_of
from .fakes import NumberModel


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(EmbedderSettings.model_validate({"store_url": tmp_path.as_uri()}))


@pytest.fixture
def model() -> NumberModel:
    return NumberModel()


@pytest.fixture
async def handlers(store: Store, model: NumberModel) -> AsyncIterator[Handlers]:
    async with embedding_with(model) as embedding:
        yield Handlers(store, embedding)


def numbered(count: int, first: int = 0) -> list[str]:
    return [f"{number} chunk" for number in range(first, first + count)]


async def test_every_chunk_gets_the_vector_of_its_own_text(store: Store, handlers: Handlers) -> None:
    event = await extracted(store, numbered(5, first=7))
    done = await handlers.on_text_extracted(event)
    assert (await rows_of(store, done)).tolist() == [[7, 7], [8, 7], [9, 7], [10, 8], [11, 8]]
    assert done.data.vectors.inline is not None
    assert done.data.vectors.inline.space == "numbers-2-v1"
    assert (done.subject, done.workspaceid, done.causationid, done.data.revision) == ("doc_1", "w1", event.id, 1)


async def test_a_duplicate_gives_the_same_event(store: Store, handlers: Handlers) -> None:
    event = await extracted(store, numbered(5))
    one, other = await handlers.on_text_extracted(event), await handlers.on_text_extracted(event)
    assert (one.id, one.data) == (other.id, other.data)


async def test_two_spaces_give_two_events(store: Store) -> None:
    event = await extracted(store, numbered(2))
    ids = set()
    for dimension in (2, 3):
        model = NumberModel()
        model.space = NumberModel.space.__class__(f"numbers-{dimension}-v1", "numbers", 2, 1)
        async with embedding_with(model) as embedding:
            ids.add((await Handlers(store, embedding).on_text_extracted(event)).id)
    assert len(ids) == 2


async def test_a_document_without_chunks_gets_no_vectors_and_asks_no_model(
    store: Store, handlers: Handlers, model: NumberModel
) -> None:
    done = await handlers.on_text_extracted(await extracted(store, []))
    vectors = await unpack(store, done.data.vectors, Vectors)
    assert (vectors.count, vectors.dimensions, vectors.data) == (0, 2, "")
    assert model.calls == []


async def test_a_refused_text_fails_its_document_alone(store: Store, handlers: Handlers, model: NumberModel) -> None:
    model.refused["666 chunk"] = ModelRefused("too rude", 400)
    bad = await extracted(store, ["666 chunk"], "bad")
    good = [await extracted(store, numbered(3, first=10 * at), f"doc_{at}") for at in range(5)]
    outcomes = await asyncio.gather(
        *(handlers.on_text_extracted(event) for event in (bad, *good)), return_exceptions=True
    )
    assert isinstance(outcomes[0], Permanent)
    assert outcomes[0].reason == "model_refused"
    assert "too rude" in outcomes[0].detail
    for at, outcome in enumerate(outcomes[1:]):
        assert not isinstance(outcome, BaseException)
        assert (await rows_of(store, outcome))[:, 0].tolist() == [10 * at, 10 * at + 1, 10 * at + 2]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_is_no_document_s_fault(
    status: int, store: Store, handlers: Handlers, model: NumberModel
) -> None:
    model.failures = [ModelRefused("invalid key", status)]
    with pytest.raises(Later, match="key"):
        await handlers.on_text_extracted(await extracted(store, numbered(1)))


async def test_a_rate_limit_postpones_for_as_long_as_it_says(
    store: Store, handlers: Handlers, model: NumberModel
) -> None:
    model.failures = [RateLimited("slow down", 17)]
    event = await extracted(store, numbered(1))
    with pytest.raises(Later) as caught:
        await handlers.on_text_extracted(event)
    assert caught.value.delay_s == 17
    assert (await handlers.on_text_extracted(event)).data.vectors.inline is not None


@pytest.mark.parametrize("failure", [RateLimited("slow down", 5), ModelUnavailable("overloaded")])
async def test_a_server_in_trouble_is_not_asked_again_for_each_document(
    failure: Exception, store: Store, handlers: Handlers, model: NumberModel
) -> None:
    model.open.clear()
    events = [await extracted(store, numbered(1), f"doc_{at}") for at in range(10)]
    running = [asyncio.create_task(handlers.on_text_extracted(event)) for event in events]
    await model.called.wait()
    model.failures = [failure]
    model.open.set()
    outcomes = await asyncio.gather(*running, return_exceptions=True)
    assert len(model.calls) == 1
    wanted = Later if isinstance(failure, RateLimited) else ModelUnavailable
    assert [type(outcome) for outcome in outcomes] == [wanted] * 10


async def test_documents_share_calls_of_the_model(store: Store, handlers: Handlers, model: NumberModel) -> None:
    model.open.clear()
    events = [await extracted(store, numbered(2, first=2 * at), f"doc_{at}") for at in range(20)]
    running = [asyncio.create_task(handlers.on_text_extracted(event)) for event in events]
    await model.called.wait()
    model.open.set()
    for at, done in enumerate(await asyncio.gather(*running)):
        assert (await rows_of(store, done))[:, 0].tolist() == [2 * at, 2 * at + 1]
    assert len(model.calls) == 1


async def test_a_large_document_goes_through_in_slices_beside_small_ones(
    store: Store, handlers: Handlers, model: NumberModel
) -> None:
    texts = numbered(10_000)
    large = asyncio.create_task(handlers.on_text_extracted(await extracted(store, texts, "large")))
    small = await handlers.on_text_extracted(await extracted(store, numbered(1), "small"))
    assert not large.done()
    done = await large
    assert (await rows_of(store, small)).shape == (1, 2)
    assert (await rows_of(store, done))[:, 0].tolist() == np.arange(10_000, dtype=np.float16).tolist()
    assert max(map(len, model.calls)) <= SLICE * SLICES
    assert len(model.calls) > 10


async def test_vectors_too_large_for_the_event_are_an_object_that_a_duplicate_overwrites_with_the_same_bytes(
    store: Store, handlers: Handlers
) -> None:
    event = await extracted(store, numbered(20_000))
    assert event.data.chunks.key == chunks_key(event)
    done = await handlers.on_text_extracted(event)
    assert done.data.vectors.key == vectors_key(event, "numbers-2-v1") == "w1/doc_1/1/vectors/numbers-2-v1.json"
    assert len(done.to_json()) < 2_000
    written = await store.get(vectors_key(event, "numbers-2-v1"))
    again = await handlers.on_text_extracted(event)
    assert again.data == done.data
    assert await store.get(vectors_key(event, "numbers-2-v1")) == written


async def test_few_large_documents_are_in_memory_at_once(
    store: Store, handlers: Handlers, model: NumberModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers_module, "LARGE_WAIT_S", 0.05)
    model.open.clear()
    events = [await extracted(store, numbered(5_000), f"large_{at}") for at in range(LARGE_AT_ONCE + 2)]
    running = [asyncio.create_task(handlers.on_text_extracted(event)) for event in events]
    waited = await asyncio.gather(*running[LARGE_AT_ONCE:], return_exceptions=True)
    assert [type(outcome) for outcome in waited] == [Later, Later]
    model.open.set()
    for done in await asyncio.gather(*running[:LARGE_AT_ONCE]):
        assert (await rows_of(store, done)).shape == (5_000, 2)
    assert (await rows_of(store, await handlers.on_text_extracted(events[-1]))).shape == (5_000, 2)


async def test_chunks_that_are_gone_are_not_taken_for_none(store: Store, handlers: Handlers) -> None:
    event = await extracted(store, numbered(20_000))
    await store.delete(chunks_key(event))
    with pytest.raises(ObjectNotFound):
        await handlers.on_text_extracted(event)


class TestTheStaticModel:
    async def test_a_large_document_s_vectors_are_held_once(self, store: Store) -> None:
        count = 4_000
        model = open_model("static")
        event = await extracted(store, [f"{number} paragraphs about the sea" for number in range(count)])
        async with embedding_with(model) as embedding:
            tracemalloc.start()
            done = await Handlers(store, embedding).on_text_extracted(event)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        await model.close()
        assert (await rows_of(store, done)).shape == (count, 256)
        halves = count * 256 * 2
        # At the end: the base64 in the event's value, and the JSON that is being written.
        assert peak < 5 * halves

    async def test_its_vectors_survive_the_road(self, store: Store) -> None:
        model = open_model("static")
        texts = ["a lighthouse keeper's diary", "", "fog bells and horns"]
        async with embedding_with(model) as embedding:
            done = await Handlers(store, embedding).on_text_extracted(await extracted(store, texts))
        rows = (await rows_of(store, done)).astype(np.float32)
        np.testing.assert_allclose(rows, await model.embed_documents(texts), atol=1e-3)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-2)
        await model.close()
