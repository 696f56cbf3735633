"""The embedder's settings, and the models they open."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from quire_embedder.embedding import embedding_with
from quire_embedder.handlers import Handlers
from quire_embedder.settings import EmbedderSettings
from quire_models import ModelUnavailable, open_model
from quire_runtime.errors import Later, Permanent
from quire_runtime.storage import open_store
from tests.support.ai_server import AIServer, Answer, Status

from .documents import extracted, rows_of


@pytest.fixture
def server() -> Iterator[AIServer]:
    with AIServer() as running:
        yield running


def test_the_static_model_is_the_default() -> None:
    settings = EmbedderSettings()
    assert settings.embedding_model == "static"
    assert settings.model_options() == {"threads": 1}


def test_openai_without_a_key_or_a_server_does_not_start() -> None:
    with pytest.raises(ValueError, match="QUIRE_EMBEDDING_API_KEY"):
        EmbedderSettings.model_validate({"embedding_model": "openai"})


def test_a_server_of_one_s_own_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUIRE_EMBEDDING_MODEL", "openai")
    monkeypatch.setenv("QUIRE_EMBEDDING_BASE_URL", "http://tei:8080/v1")
    monkeypatch.setenv("QUIRE_EMBEDDING_DIMENSIONS", "384")
    model = open_model("openai", **EmbedderSettings().model_options())
    assert model.space.dimensions == 384


def test_an_unknown_model_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUIRE_EMBEDDING_MODEL", "word2vec")
    with pytest.raises(ValueError, match="static"):
        EmbedderSettings()


async def test_a_document_is_embedded_by_a_server(server: AIServer, tmp_path: Path) -> None:
    settings = EmbedderSettings.model_validate(
        {
            "embedding_model": "openai", "embedding_base_url": f"{server.url}/v1", "embedding_dimensions": 4,
            "embedding_api_key": "sk-embed", "store_url": tmp_path.as_uri(),
        }
    )  # fmt: skip
    store = open_store(settings)
    model = open_model(settings.embedding_model, **settings.model_options())
    async with embedding_with(model) as embedding:
        handlers = Handlers(store, embedding)
        event = await extracted(store, ["sea", "lighthouse"])
        rows = await rows_of(store, await handlers.on_text_extracted(event))
        assert rows.shape == (2, 4)
        assert rows[1, 0] > rows[0, 0] > rows[0, 1] > 0
        assert server.requests[0].headers["authorization"] == "Bearer sk-embed"
        assert server.requests[0].body["dimensions"] == 4

        server.script(Status(429, {"retry-after": "3"}), Status(503), Status(400), Status(401), Answer())
        for outcome in (Later, ModelUnavailable, Permanent, Later):
            with pytest.raises(outcome):
                await handlers.on_text_extracted(event)
        assert (await rows_of(store, await handlers.on_text_extracted(event))).tolist() == rows.tolist()
    await model.close()
