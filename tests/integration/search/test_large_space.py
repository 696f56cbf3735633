import numpy as np
import pytest

from quire_search import spaces
from quire_search.engine import Engine
from quire_search.spaces import Spaces
from tests.unit.search.events import embedded, extracted

from .conftest import Catalog

COUNT = 300


async def test_a_large_space_is_indexed_and_filters_still_find_everything(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(5)
    vectors = generator.normal(size=(COUNT, 256))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    space = catalog.model.space.id
    for at in range(COUNT):
        own = catalog.own(str(at))
        await catalog.apply(
            extracted("word", tags=["rare"] if at % 50 == 0 else [], **own),
            embedded(vectors[at : at + 1], space=space, **own),
        )
    exact = await catalog.found("anything at all", "semantic")
    assert len(exact) == 100

    monkeypatch.setattr(spaces, "EXACT_BELOW", COUNT - 1)
    assert len(await Spaces(catalog.pool).index_large()) == 1
    assert await Spaces(catalog.pool).index_large() == []
    engine = Engine(catalog.pool, Spaces(catalog.pool), catalog.model)
    fresh = Catalog(catalog.pool, catalog.index, engine, catalog.model, catalog.workspace)
    statements: list[str] = []
    fetch = engine._fetch

    async def watched(sql: str, *rest: object) -> object:
        statements.append(sql)
        return await fetch(sql, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "_fetch", watched)
    assert (await fresh.found("anything at all", "semantic"))[:20] == exact[:20]
    assert "halfvec(256)" in statements[0]
    assert set(await fresh.found("anything at all", "semantic", tags=("rare",))) == {
        str(at) for at in range(0, COUNT, 50)
    }
