"""The models under test, each loaded once, and a server that speaks the embeddings protocol."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from quire_models import EmbeddingModel, open_model
from tests.integration.models.embedding_server import EmbeddingServer, serve_embeddings


@pytest.fixture(scope="session")
def static() -> EmbeddingModel:
    return open_model("static")


@pytest.fixture(scope="session")
def minilm() -> EmbeddingModel:
    return open_model("minilm")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running_server() -> AsyncIterator[EmbeddingServer]:
    async with serve_embeddings() as server:
        yield server


@pytest.fixture
def server(running_server: EmbeddingServer) -> Iterator[EmbeddingServer]:
    running_server.reset()  # tests that ask the model alone leave what they asked
    yield running_server
    running_server.reset()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def remote(running_server: EmbeddingServer) -> AsyncIterator[EmbeddingModel]:
    model = open_model("openai", base_url=running_server.url, model="Acme/Words-Small", dimensions=8)
    yield model
    await model.close()


@pytest.fixture(params=["static", "minilm", "remote"])
def model(request: pytest.FixtureRequest) -> EmbeddingModel:
    found: EmbeddingModel = request.getfixturevalue(request.param)
    return found
