"""The index in numbers, and emptying it while it is written and asked."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import orjson
import pytest

from quire_contracts import Event
from quire_runtime import inbox
from quire_search import empty as emptying
from quire_search.empty import Busy, empty
from quire_search.inventory import Entry, inventory
from tests.support.broker import eventually
from tests.unit.search.events import deleted, embedded, enriched, extracted, updated

from .conftest import Catalog, stored

TIES = 6


@pytest.fixture(autouse=True)
async def alone(pool: asyncpg.Pool) -> None:
    """Emptying takes everything: each test begins with nothing."""
    await pool.execute("TRUNCATE document, chunk, embedding, term, workspace, inbox, outbox")


async def story(catalog: Catalog, name: str, seconds: float = 0, text: str = "the lamp burns") -> list[Event]:
    own = {**catalog.own(name), "seconds": seconds}
    texts = [text, "no boat can land in a storm"]
    return [
        extracted(*texts, **own),
        embedded(await catalog.model.embed_documents(texts), space=catalog.model.space.id, **own),
        enriched(**own),
        updated(title=f"Number {name}", **catalog.own(name)),
    ]


async def entries(catalog: Catalog, after: str = "", until: str | None = None, limit: int = 100) -> list[Entry]:
    return (await inventory(catalog.pool, after, until, limit)).data


async def answers(catalog: Catalog) -> bytes:
    """What is answered to several queries, as it goes over the wire."""
    found: list[Any] = []
    for text in ("lamp", "storms and boats", "", '"the lamp" -nothing'):
        answer = await catalog.search(text, limit=100)
        found.append([answer.hits, answer.facets])
    for one in found:
        for hit in one[0]:
            hit.pop("no", None)
    return orjson.dumps(found)


async def test_the_inventory_counts_what_is_stored_of_each_document(catalog: Catalog) -> None:
    await catalog.apply(*await story(catalog, "a"), *await story(catalog, "b"), updated(5, **catalog.own("c")))
    await catalog.apply(*await story(catalog, "d"), deleted(**catalog.own("d")))
    await catalog.pool.execute(
        "DELETE FROM chunk WHERE index = 1 AND document = (SELECT no FROM document WHERE id = $1)",
        catalog.document("b"),
    )
    space = catalog.model.space.id
    own = {"workspace": catalog.workspace, "deleted": False, "revision": 1, "version": 2, "title_rows": 1, "chunks": 2}
    whole = Entry(**own, id=catalog.document("a"), chunk_rows=2, vectors={space: 2})
    torn = Entry(**own, id=catalog.document("b"), chunk_rows=1, vectors={space: 2})
    named = Entry(
        **{**own, "version": 5, "revision": 0, "chunks": None}, id=catalog.document("c"), chunk_rows=0, vectors={}
    )
    gone = Entry(
        **{**own, "version": 0, "revision": 0, "deleted": True, "chunks": None, "title_rows": 0},
        id=catalog.document("d"), chunk_rows=0, vectors={},
    )  # fmt: skip
    assert await entries(catalog) == [whole, torn, named, gone]
    assert await entries(catalog, after=whole.id, until=named.id) == [torn, named]
    assert await entries(catalog, after=torn.id, limit=1) == [named]


async def test_vectors_that_are_gone_count_as_none(catalog: Catalog) -> None:
    await catalog.apply(*await story(catalog, "a"))
    await catalog.pool.execute("DELETE FROM embedding")
    (entry,) = await entries(catalog)
    assert entry.vectors == {catalog.model.space.id: 0}


async def test_what_is_made_anew_after_emptying_answers_byte_for_byte_as_before(catalog: Catalog) -> None:
    # Several documents that differ in nothing but their number: the order of equals must stay.
    stories = [await story(catalog, str(number)) for number in range(TIES)]
    for events in stories:
        await catalog.apply(*events)
    before, rows = await answers(catalog), await stored(catalog.pool, catalog.workspace)
    assert (await empty(catalog.pool)).documents == TIES
    emptied = await stored(catalog.pool, catalog.workspace)
    assert emptied["chunks"] == emptied["vectors"] == emptied["terms"] == []
    assert emptied["total"] == [0]
    assert orjson.loads(await answers(catalog))[0][0] == []
    for events in reversed(stories):
        await catalog.apply(*(event.replay() for event in events))
    assert await answers(catalog) == before
    after = await stored(catalog.pool, catalog.workspace)
    assert {part: after[part] for part in after if part != "documents"} == {
        part: rows[part] for part in rows if part != "documents"
    }


async def test_a_deleted_document_does_not_come_back_after_emptying(catalog: Catalog) -> None:
    events = await story(catalog, "gone")
    await catalog.apply(*events, deleted(**catalog.own("gone")))
    await empty(catalog.pool)
    await catalog.apply(*(event.replay() for event in events))
    assert await catalog.found("lamp") == []


async def test_queries_and_writers_never_fail_while_the_index_is_emptied(catalog: Catalog) -> None:
    stories = [await story(catalog, str(number), text=f"the lamp burns {number}") for number in range(30)]
    for events in stories:
        await catalog.apply(*events)
    before, asked, stop = await answers(catalog), 0, asyncio.Event()

    async def ask() -> None:
        nonlocal asked
        while not stop.is_set():
            await answers(catalog)
            asked += 1

    async def write(part: list[list[Event]]) -> None:
        while not stop.is_set():
            for events in part:
                await catalog.apply(*(event.replay() for event in events))

    async def work() -> None:
        for _ in range(5):
            seen = asked
            await empty(catalog.pool)

            async def more(least: int = seen + 2) -> bool:
                return asked >= least

            await eventually(more, "queries are answered")
        stop.set()

    async with asyncio.TaskGroup() as tasks:
        for job in (ask(), ask(), write(stories[:15]), write(stories[15:]), work()):
            tasks.create_task(job)
    for events in stories:
        await catalog.apply(*(event.replay() for event in events))
    assert await answers(catalog) == before


async def test_emptying_gives_up_where_the_tables_are_never_free(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emptying, "BUSY_S", 0.3)
    await catalog.apply(*await story(catalog, "a"))
    before = await answers(catalog)
    async with catalog.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT count(*) FROM embedding")
        with pytest.raises(Busy):
            await empty(catalog.pool)
    assert await answers(catalog) == before


async def test_the_inbox_forgets_only_what_is_old(catalog: Catalog, pool: asyncpg.Pool) -> None:
    events = await story(catalog, "a")
    await catalog.apply(*events)
    await pool.execute("UPDATE inbox SET seen_at = now() - interval '8 days' WHERE event_id = $1", events[0].id)
    assert await inbox.prune(pool, timedelta(days=7)) == 1
    left = {row["event_id"] for row in await pool.fetch("SELECT event_id FROM inbox")}
    assert left == {event.id for event in events[1:]}
    assert await inbox.prune(pool, timedelta(days=7)) == 0
