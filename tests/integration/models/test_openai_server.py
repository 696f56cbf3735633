"""A remote server of the OpenAI protocol, spoken to over loopback."""

import asyncio
import base64
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import numpy as np
import pytest

from quire_models import EmbeddingModel, ModelRefused, ModelUnavailable, RateLimited, open_model
from tests.integration.models.embedding_server import Answer, EmbeddingServer, Payload, embeddings, vector_of

# The remote model and its server live on one event loop, as they would in a service.
pytestmark = pytest.mark.asyncio(loop_scope="session")


def failure(status: int, message: str = "no", headers: dict[str, str] | None = None) -> Callable[[Payload], Answer]:
    body = {"error": {"message": message, "type": "error", "code": None, "param": None}}
    return lambda _: Answer(body, status, headers or {})


def unit(text: str, dimensions: int = 8) -> np.ndarray:
    vector = vector_of(text, dimensions)
    return vector / np.linalg.norm(vector)


async def test_vectors_asked_for_in_base64_arrive_exactly(server: EmbeddingServer, remote: EmbeddingModel) -> None:
    vectors = await remote.embed_documents(["one", "two"])
    assert server.payloads[0]["encoding_format"] == "base64"
    assert np.allclose(vectors, [unit("one"), unit("two")], atol=1e-7)


async def test_a_server_that_answers_lists_of_numbers_is_understood(
    server: EmbeddingServer, remote: EmbeddingModel
) -> None:
    server.always(lambda payload: Answer(embeddings(payload | {"encoding_format": "float"})))
    assert np.allclose(await remote.embed_query("one"), unit("one"), atol=1e-7)


async def test_vectors_are_placed_by_their_index(server: EmbeddingServer, remote: EmbeddingModel) -> None:
    def backwards(payload: Payload) -> Answer:
        answer = embeddings(payload)
        return Answer(answer | {"data": answer["data"][::-1]})

    server.always(backwards)
    texts = ["one", "two", "three"]
    assert np.allclose(await remote.embed_documents(texts), [unit(text) for text in texts], atol=1e-7)


async def test_the_space_is_named_after_model_and_dimensions(remote: EmbeddingModel) -> None:
    assert remote.space.id == "openai-acme-words-small-8-v1"
    assert remote.space.model == "Acme/Words-Small"


async def test_dimensions_are_asked_for_only_on_request(server: EmbeddingServer, remote: EmbeddingModel) -> None:
    await remote.embed_query("one")
    assert "dimensions" not in server.payloads[-1]
    shorter = open_model("openai", base_url=server.url, model="m", dimensions=4, request_dimensions=True)
    try:
        assert np.allclose(await shorter.embed_query("one"), unit("one", 4), atol=1e-7)
    finally:
        await shorter.close()
    assert server.payloads[-1]["dimensions"] == 4


async def test_requests_hold_at_most_32_texts(server: EmbeddingServer, remote: EmbeddingModel) -> None:
    texts = [f"text {number}" for number in range(70)]
    vectors = await remote.embed_documents(texts)
    assert sorted(len(payload["input"]) for payload in server.payloads) == [6, 32, 32]
    assert np.allclose(vectors, [unit(text) for text in texts], atol=1e-7)


async def test_requests_of_long_texts_hold_fewer(server: EmbeddingServer, remote: EmbeddingModel) -> None:
    await remote.embed_documents(["é" * 16_000] * 32)
    assert sorted(len(payload["input"]) for payload in server.payloads) == [8, 12, 12]


async def test_blank_texts_are_not_sent(server: EmbeddingServer, remote: EmbeddingModel) -> None:
    vectors = await remote.embed_documents(["", "one", " \n"])
    assert server.payloads[0]["input"] == ["one"]
    assert vectors[0].tolist() == vectors[2].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert await remote.embed_query("") is not None
    assert len(server.payloads) == 1


async def test_four_requests_are_under_way_at_once_and_no_more(server: EmbeddingServer, remote: EmbeddingModel) -> None:
    held = 0
    four_came, released = asyncio.Event(), asyncio.Event()

    async def hold(payload: Payload) -> Answer:
        nonlocal held
        if payload["input"] != ["probe"]:
            held += 1
            if held == 4:
                four_came.set()
            await released.wait()
        return Answer(embeddings(payload))

    server.answer = hold
    probing = open_model("openai", base_url=server.url, model="m", dimensions=8)
    embedding = asyncio.create_task(remote.embed_documents([f"text {number}" for number in range(32 * 9)]))
    try:
        async with asyncio.timeout(10):
            await four_came.wait()
            # A fifth request would have left before these did, and so have come before they are answered.
            for _ in range(3):
                await probing.embed_query("probe")
        assert held == 4
    finally:
        released.set()
        await embedding
        await probing.close()
    assert held == 9


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [("7", 7, 7), ("0.5", 0.5, 0.5), ("-3", 0, 0), ("soon", 10, 10), (None, 10, 10)],
)
async def test_a_rate_limit_tells_how_long_to_wait(
    server: EmbeddingServer, remote: EmbeddingModel, header: str | None, low: float, high: float
) -> None:
    server.always(failure(429, "slow down", {"retry-after": header} if header else None))
    with pytest.raises(RateLimited, match="slow down") as raised:
        await remote.embed_query("one")
    assert low <= raised.value.retry_after_s <= high
    assert len(server.payloads) == 1


async def test_a_rate_limit_can_name_a_date(server: EmbeddingServer, remote: EmbeddingModel) -> None:
    until = datetime.now(UTC) + timedelta(seconds=60)
    server.always(failure(429, headers={"retry-after": format_datetime(until, usegmt=True)}))
    with pytest.raises(RateLimited) as raised:
        await remote.embed_query("one")
    assert 50 < raised.value.retry_after_s <= 60


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
async def test_a_failing_server_is_unavailable_and_not_asked_again(
    server: EmbeddingServer, remote: EmbeddingModel, status: int
) -> None:
    server.always(failure(status, "out of memory"))
    with pytest.raises(ModelUnavailable, match="out of memory"):
        await remote.embed_documents(["one"])
    assert len(server.payloads) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
async def test_a_refusal_carries_the_servers_words(
    server: EmbeddingServer, remote: EmbeddingModel, status: int
) -> None:
    server.always(failure(status, "unknown model acme"))
    with pytest.raises(ModelRefused, match="unknown model acme") as raised:
        await remote.embed_query("one")
    assert raised.value.status == status


async def test_vectors_of_another_length_are_refused(server: EmbeddingServer, remote: EmbeddingModel) -> None:
    server.always(lambda payload: Answer(embeddings(payload, dimensions=6)))
    with pytest.raises(ModelRefused, match="6 dimensions, not 8"):
        await remote.embed_query("one")


def _answer(payload: Payload, *vectors: object, indices: tuple[int, ...] | None = None) -> Answer:
    data = [
        {"object": "embedding", "index": i, "embedding": v}
        for i, v in zip(indices or range(len(vectors)), vectors, strict=True)
    ]
    return Answer(embeddings(payload) | {"data": data})


NOT_A_NUMBER = base64.b64encode(np.full(8, np.nan, np.float32).tobytes()).decode()
NONSENSE: dict[str, Callable[[Payload], Answer]] = {
    "too few": lambda payload: _answer(payload, [1.0] * 8),
    "too many": lambda payload: _answer(payload, [1.0] * 8, [1.0] * 8, [1.0] * 8),
    "one index twice": lambda payload: _answer(payload, [1.0] * 8, [1.0] * 8, indices=(0, 0)),
    "none": lambda payload: _answer(payload),
    "not a number": lambda payload: _answer(payload, NOT_A_NUMBER, NOT_A_NUMBER),
    "cut base64": lambda payload: _answer(payload, "AAAA=", "AAA"),
    "null vectors": lambda payload: _answer(payload, None, None),
    "no data": lambda _: Answer({"object": "list"}),
    "data of another shape": lambda _: Answer({"data": 7}),
    "a page": lambda _: Answer("<html>welcome</html>", headers={"content-type": "text/html"}),
    "broken json": lambda _: Answer('{"data": ['),
}


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE.keys())
async def test_an_answer_that_is_none_counts_as_unavailable(
    server: EmbeddingServer, remote: EmbeddingModel, answer: Callable[[Payload], Answer]
) -> None:
    server.always(answer)
    with pytest.raises(ModelUnavailable):
        await remote.embed_documents(["one", "two"])


async def test_a_server_that_does_not_answer_in_time_is_unavailable(server: EmbeddingServer) -> None:
    released = asyncio.Event()

    async def hang(payload: Payload) -> Answer:
        await released.wait()
        return Answer(embeddings(payload))

    server.answer = hang
    model = open_model("openai", base_url=server.url, model="m", dimensions=8, timeout_s=0.2)
    try:
        with pytest.raises(ModelUnavailable, match="timed out"):
            await model.embed_query("one")
    finally:
        released.set()
        await model.close()


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    model = open_model("openai", base_url=f"http://127.0.0.1:{port}/v1", model="m", dimensions=8)
    try:
        with pytest.raises(ModelUnavailable):
            await model.embed_query("one")
    finally:
        await model.close()


async def test_one_failed_request_of_several_fails_the_call_with_its_own_error(
    server: EmbeddingServer, remote: EmbeddingModel
) -> None:
    def last_fails(payload: Payload) -> Answer:
        return Answer(embeddings(payload)) if len(payload["input"]) == 32 else failure(503, "busy")(payload)

    server.always(last_fails)
    with pytest.raises(ModelUnavailable, match="busy"):
        await remote.embed_documents([f"text {number}" for number in range(40)])
