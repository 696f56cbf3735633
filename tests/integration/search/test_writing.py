import asyncio
import random
from collections import Counter
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest

from quire_contracts import Event
from quire_runtime.batch import Batcher
from quire_runtime.errors import Refused
from quire_search.state import Change
from tests.unit.search.events import (
    change_of,
    changes_of,
    deleted,
    embedded,
    enriched,
    extracted,
    updated,
)

from .conftest import Catalog, stored

NEWER = 2


def story(kind: str, workspace: str, document: str) -> list[Event]:
    """Five events of one document."""
    own: dict[str, Any] = {"workspace": workspace, "document": document}
    if kind == "deleted":
        return [
            extracted("the lamp burns", "and the sea", **own), embedded([[1, 0], [0, 1]], **own), enriched(**own),
            updated(title="The lamp", **own), deleted(**own),
        ]  # fmt: skip
    return [
        extracted("the lamp burns", "and the sea", **own), embedded([[1, 0], [0, 1]], **own), enriched(**own),
        updated(title="Der Leuchtturm", **own),
        extracted("das Feuer brennt", revision=NEWER, language="de", version=3, seconds=4, **own),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["deleted", "revised"])
async def test_every_order_of_events_ends_in_the_same_state(catalog: Catalog, kind: str) -> None:
    orders = list(permutations(range(5)))
    stories = [
        story(kind, f"{catalog.workspace}-{at}", f"{catalog.workspace}-{kind}-{at}") for at in range(len(orders))
    ]
    for step in range(5):
        batch = [events[order[step]] for events, order in zip(stories, orders, strict=True)]
        assert all(await catalog.apply(*batch))
    states = [await stored(catalog.pool, f"{catalog.workspace}-{at}") for at in range(len(orders))]
    assert all(state == states[0] for state in states)
    (document,) = states[0]["documents"]
    if kind == "deleted":
        assert document["deleted"]
        assert states[0]["chunks"] == states[0]["vectors"] == states[0]["terms"] == []
        assert states[0]["total"] == [0]
    else:
        assert (document["revision"], document["version"], document["language"]) == (NEWER, 3, "de")
        assert [row[1] for row in states[0]["chunks"]] == [-1, 0]
        assert ("de:feu", 1) in states[0]["terms"]


async def test_all_events_in_one_batch_end_in_that_state_too(catalog: Catalog) -> None:
    for at, kind in enumerate(["deleted", "revised"]):
        apart, together = (f"{catalog.workspace}-{at}-{name}" for name in ("apart", "together"))
        for event in story(kind, apart, apart):
            await catalog.apply(event)
        await catalog.apply(*story(kind, together, together))
        assert await stored(catalog.pool, together) == await stored(catalog.pool, apart)


async def test_a_duplicate_changes_nothing_and_announces_nothing(catalog: Catalog) -> None:
    document = catalog.document("d")
    events = story("revised", catalog.workspace, document)
    assert await catalog.apply(*events, *events) == [True] * 10
    state, announced = await stored(catalog.pool, catalog.workspace), await catalog.announced(document)
    version = await catalog.pool.fetchval("SELECT version FROM workspace WHERE id = $1", catalog.workspace)
    assert await catalog.apply(*reversed(events)) == [False] * 5
    assert await stored(catalog.pool, catalog.workspace) == state
    assert await catalog.announced(document) == announced
    assert version == await catalog.pool.fetchval("SELECT version FROM workspace WHERE id = $1", catalog.workspace)


async def test_the_document_is_announced_when_a_leg_is_there(catalog: Catalog) -> None:
    own = catalog.own("a")
    text, vectors = extracted("one", "two", **own), embedded([[1, 0], [0, 1]], space="s", **own)
    await catalog.apply(text)
    assert await catalog.announced(own["document"]) == [{"revision": 1, "legs": ["keyword"], "chunks": 2}]
    await catalog.apply(vectors)
    both = {"revision": 1, "legs": ["keyword", "vector"], "chunks": 2, "space": "s"}
    assert (await catalog.announced(own["document"]))[1:] == [both]
    causes = await catalog.pool.fetch(
        "SELECT body::jsonb ->> 'causationid' AS cause FROM outbox WHERE body::jsonb ->> 'subject' = $1 ORDER BY seq",
        own["document"],
    )
    assert [row["cause"] for row in causes] == [text.id, vectors.id]


async def test_vectors_before_text_are_announced_with_the_text(catalog: Catalog) -> None:
    own = catalog.own("a")
    await catalog.apply(embedded([[1, 0]], **own))
    assert await catalog.announced(own["document"]) == []
    await catalog.apply(extracted("one", **own))
    assert [data["legs"] for data in await catalog.announced(own["document"])] == [["keyword", "vector"]]


async def test_a_document_without_chunks_is_indexed_on_both_legs(catalog: Catalog) -> None:
    own = catalog.own("empty")
    await catalog.apply(extracted(**own), embedded([], **own))
    (data,) = await catalog.announced(own["document"])
    assert (data["legs"], data["chunks"]) == (["keyword", "vector"], 0)
    assert await catalog.found("lighthouse") == ["empty"]


async def test_a_document_that_is_written_in_parts_is_whole(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quire_search.db.COPIED_AT_ONCE", 2)
    own = catalog.own("long")
    await catalog.apply(extracted("lamp", "sea", "oil", "rock", "gull", **own), embedded([[1, 0]] * 5, **own))
    state = await stored(catalog.pool, catalog.workspace)
    assert [row[1] for row in state["chunks"]] == [-1, 0, 1, 2, 3, 4]
    vectors = "SELECT count(*) FROM embedding WHERE document = (SELECT no FROM document WHERE id = $1)"
    assert await catalog.pool.fetchval(vectors, own["document"]) == 5
    assert await catalog.found("gull") == ["long"]


async def test_frequencies_are_those_of_the_chunks_that_are_there(catalog: Catalog) -> None:
    generator = random.Random(7)
    words = ["lamp", "sea", "oil", "rock", "gull"]
    for at in range(40):
        own = catalog.own(str(at % 15))
        texts = [" ".join(generator.choices(words, k=4)) for _ in range(generator.randrange(4))]
        await catalog.apply(extracted(*texts, revision=1 + at // 15, seconds=at, **own))
        if at % 7 == 0:
            await catalog.apply(deleted(**own))
    state = await stored(catalog.pool, catalog.workspace)
    naive = Counter(lexeme for row in state["chunks"] if row[1] >= 0 for lexeme in row[-1])
    assert dict(state["terms"]) == naive
    assert state["total"] == [sum(row[1] >= 0 for row in state["chunks"])]


async def test_workers_with_the_same_documents_do_not_deadlock(catalog: Catalog) -> None:
    names = [catalog.document(str(at)) for at in range(12)]
    kinds: list[Callable[[dict[str, Any], int], Event]] = [
        lambda own, step: extracted(f"lamp {step}", "sea oil rock", seconds=step, **own),
        lambda own, step: embedded([[1, 0], [0, 1]], seconds=step, **own),
        lambda own, step: updated(step + 2, title=f"Title {step}", **own),
        lambda own, step: enriched(seconds=step, **own),
    ]
    events = [
        kind({"workspace": catalog.workspace, "document": name}, step)
        for step in range(6) for name in names for kind in kinds
    ]  # fmt: skip

    async def worker(seed: int) -> None:
        mine = random.Random(seed).sample(events, len(events))
        for start in range(0, len(mine), 24):
            await catalog.apply(*mine[start : start + 24])

    await asyncio.gather(*(worker(seed) for seed in range(8)))
    state = await stored(catalog.pool, catalog.workspace)
    assert [row["version"] for row in state["documents"]] == [7] * len(names)
    assert dict(state["terms"])["en:5"] == len(names)
    assert state["total"] == [2 * len(names)]


async def test_a_poisoned_event_fails_alone(catalog: Catalog) -> None:
    good = [extracted("lamp", **catalog.own(str(at))) for at in range(5)]
    poison = extracted("lamp", **catalog.own("poison"))
    bad = change_of(poison)
    object.__setattr__(bad, "passages", [])  # as many passages as chunks is what every change promises
    async with Batcher[Change, bool](catalog.index.apply, max_items=10) as batch:
        outcomes = await asyncio.gather(
            *(batch.add(change) for change in [*changes_of(good[:3]), bad, *changes_of(good[3:])]),
            return_exceptions=True,
        )
    assert [outcome for outcome in outcomes if outcome is True] == [True] * 5
    assert isinstance(outcomes[3], ValueError)
    assert sorted(await catalog.found("lamp")) == ["0", "1", "2", "3", "4"]


async def test_a_document_cannot_be_moved_by_an_event_of_another_workspace(catalog: Catalog) -> None:
    document = catalog.document("a")
    await catalog.apply(extracted("lamp", workspace=catalog.workspace, document=document))
    with pytest.raises(Refused, match="not in workspace"):
        await catalog.apply(deleted(workspace="thief", document=document))
    assert await catalog.found("lamp") == ["a"]


async def test_nul_and_long_words_in_a_text_are_no_harm(catalog: Catalog) -> None:
    own = catalog.own("a")
    await catalog.apply(
        extracted("lamp\0light " + "x" * 5000, title="NUL\0", metadata={"k\0": ["\0"]}, tags=["t\0"], **own)
    )
    answer = await catalog.search("light", "keyword")
    assert answer.hits[0]["highlights"][0]["start"] == 0
    assert answer.hits[0]["title"] == "NUL "
