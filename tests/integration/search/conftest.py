"""An index in a database of the module's own, and what asks it."""

import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest

from quire_contracts import Event
from quire_models import EmbeddingModel, open_model
from quire_runtime.db import open_pool
from quire_runtime.migrate import migrate
from quire_runtime.settings import ServiceSettings
from quire_search import codec
from quire_search.db import Index
from quire_search.engine import Answer, Engine, Request
from quire_search.query import Filters, Mode
from quire_search.spaces import Spaces
from tests.unit.search.events import changes_of


@pytest.fixture(scope="module")
def index_url(postgres_url: str) -> str:
    migrate(postgres_url, "quire_search", "search")
    return postgres_url


@pytest.fixture
async def pool(index_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with open_pool(ServiceSettings(database_url=index_url), "search", codec.register) as opened:
        yield opened


@pytest.fixture
async def model() -> AsyncIterator[EmbeddingModel]:
    opened = open_model("static")
    yield opened
    await opened.close()


@dataclass
class Catalog:
    """One workspace of an index, written and asked."""

    pool: asyncpg.Pool
    index: Index
    engine: Engine
    model: EmbeddingModel
    workspace: str = field(default_factory=lambda: f"w{uuid.uuid4().hex[:8]}")

    def document(self, name: str) -> str:
        """An id that no other test uses."""
        return f"{self.workspace}-{name}"

    def own(self, name: str) -> dict[str, Any]:
        """What the builders of events need to know of it."""
        return {"workspace": self.workspace, "document": self.document(name)}

    async def apply(self, *events: Event) -> list[bool]:
        return await self.index.apply(changes_of(events))

    async def search(self, text: str = "", mode: Mode = "hybrid", limit: int = 10, **filters: Any) -> Answer:
        return await self.engine.search(Request(self.workspace, text, mode, limit, Filters(**filters)))

    async def found(self, text: str = "", mode: Mode = "keyword", **filters: Any) -> list[str]:
        """The names of the documents found, best first."""
        answer = await self.search(text, mode, 100, **filters)
        return [hit["document_id"].removeprefix(f"{self.workspace}-") for hit in answer.hits]

    async def announced(self, document: str) -> list[dict[str, Any]]:
        """The data of every `DocumentIndexed` in the outbox, in their order."""
        rows = await self.pool.fetch(
            "SELECT body::jsonb -> 'data' AS data FROM outbox WHERE body::jsonb ->> 'subject' = $1 ORDER BY seq",
            document,
        )
        return [row["data"] for row in rows]


@pytest.fixture
async def catalog(pool: asyncpg.Pool, model: EmbeddingModel) -> Catalog:
    spaces = Spaces(pool)
    return Catalog(pool, Index(pool, spaces), Engine(pool, spaces, model), model)


async def stored(pool: asyncpg.Pool, workspace: str) -> dict[str, Sequence[Any]]:
    """Everything the index holds of a workspace, without the numbers that only count rows and commits."""
    number = await pool.fetchval("SELECT no FROM workspace WHERE id = $1", workspace)
    prefix = str(number)
    documents = await pool.fetch("SELECT * FROM document WHERE workspace = $1 ORDER BY id", number)
    numbers = [row["no"] for row in documents]
    chunks = await pool.fetch(
        'SELECT document, index, page, start, "end", text, lexemes FROM chunk WHERE document = ANY($1::bigint[])'
        " ORDER BY document, index",
        numbers,
    )
    vectors = await pool.fetch(
        "SELECT document, index, name, vector::text FROM embedding JOIN space ON space.no = space"
        " WHERE workspace = $1 ORDER BY document, name, index",
        number,
    )
    terms = await pool.fetch(
        "SELECT term, chunks FROM term WHERE term ~ ('^' || $1 || '[a-z:]') AND chunks <> 0 ORDER BY term", prefix
    )
    place = {no: at for at, no in enumerate(numbers)}

    def bare(lexeme: str) -> str:
        return lexeme.removeprefix(prefix)

    return {
        "documents": [{k: v for k, v in row.items() if k not in {"no", "id", "workspace"}} for row in documents],
        "chunks": [
            (place[row["document"]], *tuple(row)[1:-1], {bare(k): v for k, v in row["lexemes"].items()})
            for row in chunks
        ],
        "vectors": [(place[row["document"]], *tuple(row)[1:]) for row in vectors],
        "terms": [(bare(row["term"]), row["chunks"]) for row in terms],
        "total": [await pool.fetchval("SELECT chunks FROM workspace WHERE no = $1", number)],
    }
