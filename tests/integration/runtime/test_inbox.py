"""The inbox on a real database: one effect for each event and consumer."""

import asyncio

import asyncpg

from quire_runtime import inbox


async def _apply(pool: asyncpg.Pool, consumer: str, *ids: str) -> set[str]:
    async with pool.acquire() as connection, connection.transaction():
        fresh = await inbox.claim(connection, consumer, ids)
        await connection.executemany("INSERT INTO effect (id) VALUES ($1)", [(one,) for one in fresh])
        return fresh


async def _effects(pool: asyncpg.Pool) -> list[str]:
    return [row["id"] for row in await pool.fetch("SELECT id FROM effect ORDER BY id")]


async def test_an_event_is_new_once_for_each_consumer(pool: asyncpg.Pool) -> None:
    assert await _apply(pool, "one", "a", "b", "a") == {"a", "b"}
    assert await _apply(pool, "one", "b", "c") == {"c"}
    assert await _apply(pool, "two", "a") == {"a"}
    assert await _effects(pool) == ["a", "a", "b", "c"]


async def test_an_event_whose_transaction_failed_is_new_again(pool: asyncpg.Pool) -> None:
    try:
        async with pool.acquire() as connection, connection.transaction():
            await inbox.claim(connection, "one", ["a"])
            raise ConnectionError
    except ConnectionError:
        pass
    assert await _apply(pool, "one", "a") == {"a"}


async def test_five_concurrent_deliveries_have_one_effect(pool: asyncpg.Pool) -> None:
    ids = [f"event-{number:02}" for number in range(20)]
    orders = [ids, ids[::-1], ids[10:] + ids[:10], ids[5:] + ids[:5], ids]
    await asyncio.gather(*(_apply(pool, "one", *order) for order in orders))
    assert await _effects(pool) == ids
