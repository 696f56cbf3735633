"""The outbox relay on a real database and a real broker: what is committed is published, whatever dies in between."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from quire_contracts import Event, Topology
from quire_runtime import outbox
from quire_runtime.outbox import Relay, running
from quire_runtime.publish import Publisher, PublishFailed
from quire_runtime.settings import ServiceSettings
from tests.support import examples
from tests.support.broker import Observer, eventually, observing


class Crash(Exception):
    """Stands for the process dying at this point."""


@pytest.fixture
async def publisher(settings: ServiceSettings) -> AsyncIterator[Publisher]:
    async with Publisher(settings, Topology(settings.broker_namespace, settings.retry_ladder)) as opened:
        await opened.ready()
        yield opened


@pytest.fixture
async def observer(publisher: Publisher, settings: ServiceSettings) -> AsyncIterator[Observer]:
    async with observing(settings) as seen:
        yield seen


async def _commit(pool: asyncpg.Pool, *events: Event) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await outbox.add(connection, events)


async def _waiting(pool: asyncpg.Pool) -> int:
    return int(await pool.fetchval("SELECT count(*) FROM outbox"))


def _dying(publisher: Publisher, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """Let the process die before or after the broker has the message."""
    sent = publisher.send

    async def send(*arguments: Any, **options: Any) -> None:
        if when == "after":
            await sent(*arguments, **options)
        raise Crash

    monkeypatch.setattr(publisher, "send", send)


async def test_what_is_committed_is_published_and_the_outbox_is_empty(
    pool: asyncpg.Pool, publisher: Publisher, observer: Observer, settings: ServiceSettings
) -> None:
    events = [examples.uploaded() for _ in range(25)]
    await _commit(pool, *events)
    assert await Relay("probe", pool, publisher, settings).relay_once() == 25
    received = await observer.received(25)
    assert {event.id for event in received} == {event.id for event in events}
    assert await _waiting(pool) == 0


async def test_what_is_rolled_back_is_never_published(
    pool: asyncpg.Pool, publisher: Publisher, observer: Observer, settings: ServiceSettings
) -> None:
    async def dying() -> None:
        async with pool.acquire() as connection, connection.transaction():
            await outbox.add(connection, [examples.uploaded()])
            raise Crash

    with pytest.raises(Crash):
        await dying()
    await _commit(pool, kept := examples.uploaded())
    await Relay("probe", pool, publisher, settings).relay_once()
    assert [event.id for event in await observer.received(1)] == [kept.id]


async def test_dying_before_the_publish_loses_nothing(
    pool: asyncpg.Pool,
    publisher: Publisher,
    observer: Observer,
    settings: ServiceSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await _commit(pool, event := examples.uploaded())
    with monkeypatch.context() as patch:
        _dying(publisher, patch, "before")
        with pytest.raises(Crash):
            await Relay("probe", pool, publisher, settings).relay_once()
    assert await _waiting(pool) == 1
    assert observer.events == []
    await Relay("probe", pool, publisher, settings).relay_once()
    assert [seen.id for seen in await observer.received(1)] == [event.id]
    assert await _waiting(pool) == 0


async def test_dying_between_publish_and_commit_publishes_the_same_event_again(
    pool: asyncpg.Pool,
    publisher: Publisher,
    observer: Observer,
    settings: ServiceSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await _commit(pool, event := examples.uploaded())
    with monkeypatch.context() as patch:
        _dying(publisher, patch, "after")
        with pytest.raises(Crash):
            await Relay("probe", pool, publisher, settings).relay_once()
    assert await _waiting(pool) == 1
    await Relay("probe", pool, publisher, settings).relay_once()
    assert [seen.id for seen in await observer.received(2)] == [event.id, event.id]
    assert await _waiting(pool) == 0


async def test_one_event_that_cannot_be_published_does_not_hold_back_the_others(
    pool: asyncpg.Pool,
    publisher: Publisher,
    observer: Observer,
    settings: ServiceSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad, *good = [examples.uploaded() for _ in range(5)]
    await _commit(pool, bad, *good)
    sent = publisher.send

    async def send(*arguments: Any, **options: Any) -> None:
        if options["message_id"] == bad.id:
            raise PublishFailed("refused")
        await sent(*arguments, **options)

    monkeypatch.setattr(publisher, "send", send)
    with pytest.raises(PublishFailed):
        await Relay("probe", pool, publisher, settings).relay_once()
    assert {event.id for event in await observer.received(4)} == {event.id for event in good}
    assert await pool.fetchval("SELECT event_id FROM outbox") == bad.id


async def test_two_relays_share_the_work_without_publishing_twice(
    pool: asyncpg.Pool, publisher: Publisher, observer: Observer, settings: ServiceSettings
) -> None:
    events = [examples.uploaded() for _ in range(60)]
    await _commit(pool, *events)
    small = settings.model_copy(update={"outbox_batch": 10})
    relays = [Relay("probe", pool, publisher, small) for _ in range(2)]

    async def drain(relay: Relay) -> None:
        while await _waiting(pool):
            await relay.relay_once()

    await asyncio.gather(*(drain(relay) for relay in relays))
    received = await observer.received(60)
    assert sorted(event.id for event in received) == sorted(event.id for event in events)


async def test_a_woken_relay_does_not_wait_for_its_next_look(
    pool: asyncpg.Pool, publisher: Publisher, observer: Observer, settings: ServiceSettings
) -> None:
    seldom = settings.model_copy(update={"outbox_poll_s": 3600.0})
    async with running(Relay("probe", pool, publisher, seldom)) as relay:
        await _commit(pool, event := examples.uploaded())
        relay.wake()
        assert [seen.id for seen in await observer.received(1)] == [event.id]


async def test_a_relay_that_nobody_wakes_finds_the_rows_all_the_same(
    pool: asyncpg.Pool, publisher: Publisher, observer: Observer, settings: ServiceSettings
) -> None:
    async with running(Relay("probe", pool, publisher, settings)):
        await _commit(pool, event := examples.uploaded())
        assert [seen.id for seen in await observer.received(1)] == [event.id]


async def test_the_relay_goes_on_after_the_broker_dropped_its_connection(
    pool: asyncpg.Pool, publisher: Publisher, observer: Observer, settings: ServiceSettings
) -> None:
    async with running(Relay("probe", pool, publisher, settings)):
        connection = publisher._connection
        assert connection is not None
        assert connection.transport is not None
        await connection.transport.connection.close(ConnectionError("cut"))
        await _commit(pool, *(events := [examples.uploaded() for _ in range(3)]))

        async def all_came() -> bool:
            return {event.id for event in events} <= {event.id for event in observer.events}

        await eventually(all_came, "the events are published on a new connection")


async def test_an_event_that_waits_already_is_not_added_twice(pool: asyncpg.Pool) -> None:
    event = examples.uploaded()
    await _commit(pool, event)
    await _commit(pool, event)
    assert await _waiting(pool) == 1


async def test_events_wait_while_the_broker_cannot_be_reached(pool: asyncpg.Pool, settings: ServiceSettings) -> None:
    away = settings.model_copy(update={"broker_url": "amqp://guest:guest@127.0.0.1:9/", "publish_timeout_s": 0.05})
    async with Publisher(away, Topology(away.broker_namespace)) as unreachable:
        await _commit(pool, examples.uploaded())
        with pytest.raises(PublishFailed):
            await Relay("probe", pool, unreachable, away).relay_once()
    assert await _waiting(pool) == 1


async def test_an_event_with_a_target_reaches_that_service_alone(
    pool: asyncpg.Pool, publisher: Publisher, observer: Observer, settings: ServiceSettings
) -> None:
    event = examples.uploaded()
    async with pool.acquire() as connection, connection.transaction():
        await outbox.add(connection, [event], "previewer")
    assert await Relay("probe", pool, publisher, settings).relay_once() == 1
    taken = await observer.take(observer.topology.work_queue("previewer"))
    assert taken.message_id == event.id
    assert await observer.depth(observer.topology.work_queue("ingest")) == 0
    assert observer.events == []
    assert await _waiting(pool) == 0
