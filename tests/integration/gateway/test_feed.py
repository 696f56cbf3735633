"""The stream of events: complete and in order whatever runs beside it, across gateways, with and without Redis."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest
import pytest_asyncio

from quire_contracts import Event
from quire_gateway import db
from quire_gateway.settings import GatewaySettings
from tests.conftest import remove_topology
from tests.integration.gateway.serving import (
    Client,
    Live,
    following,
    new_workspace,
    problem,
    serving,
)
from tests.support import examples
from tests.support.broker import eventually
from tests.support.proxy import Proxy

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("gateway feed")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lives(gateway_settings: GatewaySettings) -> AsyncIterator[tuple[Live, Live]]:
    """Two gateways on one database; the second one hardly ever looks at the log without being told."""
    seldom = gateway_settings.model_copy(update={"feed_poll_s": 600.0})
    async with serving(gateway_settings.model_copy(update={"stream_backlog": 50})) as one, serving(seldom) as other:
        yield one, other
    await remove_topology(seldom)


@pytest.fixture
def live(lives: tuple[Live, Live]) -> Live:
    return lives[0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alone(gateway_settings: GatewaySettings) -> AsyncIterator[tuple[Live, Live]]:
    """Two gateways on the same database whose Redis is away."""
    polling = gateway_settings.model_copy(update={"redis_url": "redis://127.0.0.1:9/0", "feed_poll_s": 0.1})
    async with serving(polling) as one, serving(polling) as other:
        yield one, other


def _events(client: Client, count: int) -> list[Event]:
    return [examples.uploaded(workspace=client.workspace.id) for _ in range(count)]


async def _commit(live: Live, *events: Event) -> None:
    async with live.pool.acquire() as connection, connection.transaction():
        await db.record(connection, events)
    live.gateway.feed.hint()


@asynccontextmanager
async def _held_open(live: Live, *events: Event) -> AsyncIterator[asyncpg.transaction.Transaction]:
    """A transaction that has recorded events and is not committed yet."""
    async with live.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await db.record(connection, events)
        yield transaction
    live.gateway.feed.hint()


@asynccontextmanager
async def _busy(live: Live) -> AsyncIterator[None]:
    """A gateway that has more commits to tell of now and then, as it has when it is used."""

    async def hint() -> None:
        while True:
            live.gateway.feed.hint()
            await asyncio.sleep(0.2)

    hinting = asyncio.create_task(hint())
    try:
        yield
    finally:
        hinting.cancel()


async def test_an_event_reaches_a_client_as_the_event_that_others_get_from_the_broker(client: Client) -> None:
    async with following(client) as stream:
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        document = await client.uploaded()
        (message,) = await stream.take(1)
    assert message.event == (await client.events())[0]
    assert message.type == "quire.document.uploaded.v1"
    assert message.event.subject == document["id"]


async def test_an_event_recorded_by_one_gateway_reaches_a_client_of_another_through_redis(
    lives: tuple[Live, Live], client: Client
) -> None:
    one, other = lives
    async with other.client(client.workspace) as far, following(far) as stream, _busy(one):
        for event in _events(client, 3):
            await _commit(one, event)
            assert (await stream.take(1))[0].event == event


async def test_an_event_recorded_by_one_gateway_reaches_a_client_of_another_without_redis(
    alone: tuple[Live, Live], client: Client
) -> None:
    one, other = alone
    async with other.client(client.workspace) as far, following(far) as stream:
        for event in _events(client, 3):
            await _commit(one, event)
            assert (await stream.take(1))[0].event == event
    async with one.client(client.workspace) as near:
        assert (await near.http.get("/readiness")).json()["status"] == "degraded"
        assert (await near.upload()).status_code == 202


async def test_resuming_gives_every_later_event_once(client: Client) -> None:
    events = _events(client, 30)
    async with following(client) as stream:
        begin = stream.begin
        for event in events[:20]:
            await _commit(client.live, event)
        seen = await stream.take(20)
    assert [message.event for message in seen] == events[:20]
    for at in (0, 7, 19):
        async with following(client, after=seen[at].id) as again:
            if at == 19:
                await _commit(client.live, *events[20:])
            missing = await again.take(19 - at + (10 if at == 19 else 0))
            assert [message.event.id for message in missing] == [event.id for event in sorted_by_log(events, at)]
    async with following(client, after=begin) as whole:
        assert len({message.event.id for message in await whole.take(30)}) == 30


def sorted_by_log(events: list[Event], at: int) -> list[Event]:
    """What comes after the event at a place; the last ten were recorded together, in the order of their ids."""
    return events[at + 1 : 20] if at < 19 else sorted(events[20:], key=lambda event: event.id)


async def test_transactions_follow_each_other_as_numbers_not_as_words(client: Client) -> None:
    """The number of a transaction grows by a digit now and then."""
    events = _events(client, 4)
    await _commit(client.live, *events)
    for txid, event in zip(("9", "10", "99", "100"), events, strict=True):
        await client.live.pool.execute("UPDATE event SET txid = $1::text::xid8 WHERE id = $2", txid, event.id)
    async with following(client, after="8-0") as stream:
        assert [message.event for message in await stream.take(4)] == events


async def test_more_than_a_page_of_missed_events_comes_completely(client: Client) -> None:
    async with following(client) as stream:
        begin = stream.begin
    events = _events(client, 1203)
    for start in range(0, len(events), 401):
        await _commit(client.live, *events[start : start + 401])
    async with following(client, after=begin) as stream:
        seen = await stream.take(len(events))
    assert [message.event.id for message in seen] == [message.event.id for message in sorted(seen, key=_place)]
    assert {message.event.id for message in seen} == {event.id for event in events}


def _place(message: object) -> tuple[int, ...]:
    return tuple(int(part) for part in str(getattr(message, "id", "")).split("-"))


async def test_a_transaction_that_is_open_while_others_commit_is_not_missed(client: Client) -> None:
    slow, *quick = _events(client, 6)
    async with following(client) as stream:
        async with _held_open(client.live, slow) as transaction:
            await _commit(client.live, *quick[:3])
            late = asyncio.create_task(stream.take(6))
            async with following(client, after=stream.begin) as resumed:
                await _commit(client.live, *quick[3:])
                resumed_take = asyncio.create_task(resumed.take(6))
                await transaction.commit()
                client.live.gateway.feed.hint()
                for messages in (await late, await resumed_take):
                    assert messages[0].event.id == slow.id
                    assert sorted(message.event.id for message in messages) == sorted(e.id for e in (slow, *quick))
        last = _events(client, 1)[0]
        await _commit(client.live, last)
        assert [message.event for message in await stream.take(1)] == [last], "nothing came twice"


async def test_a_resumed_stream_while_events_are_committed_has_no_gap_and_no_double(client: Client) -> None:
    events = _events(client, 200)
    async with following(client) as stream:
        begin = stream.begin

    async def commit_all() -> None:
        for event in events:
            await _commit(client.live, event)

    committing = asyncio.create_task(commit_all())
    seen: list[str] = []
    after = begin
    while len(seen) < len(events):
        async with following(client, after=after) as stream:
            messages = await stream.take(min(23, len(events) - len(seen)))
        seen += [message.event.id for message in messages]
        after = messages[-1].id
    await committing
    assert seen == [event.id for event in events]


async def test_many_streams_that_begin_at_once_all_get_everything_once(client: Client) -> None:
    """None is told twice of what another one, that began a little earlier, has been told already."""
    events = _events(client, 40)
    async with AsyncExitStack() as stack:

        async def commit_all() -> None:
            for event in events:
                await _commit(client.live, event)

        committing = asyncio.create_task(commit_all())
        streams = await asyncio.gather(*(stack.enter_async_context(following(client)) for _ in range(8)))
        await committing
        last = _events(client, 1)[0]
        await _commit(client.live, last)
        order = [event.id for event in (*events, last)]
        for stream in streams:
            seen: list[str] = []
            while last.id not in seen:
                seen += [message.event.id for message in await stream.take(1)]
            assert seen == order[len(order) - len(seen) :]


async def test_a_slow_client_is_dropped_misses_nothing_and_disturbs_nobody(client: Client) -> None:
    """The backlog of these gateways is 50 events; a client that does not read fills it once the socket is full."""
    events = [event.model_copy(update={"source": "x" * 60_000}) for event in _events(client, 250)]
    async with following(client) as slow, following(client) as quick:
        for event in events:
            await _commit(client.live, event)
            assert (await quick.take(1))[0].event.id == event.id
        first = await slow.rest()
    assert len(first) < len(events)
    assert [message.event.id for message in first] == [event.id for event in events[: len(first)]]
    async with following(client, after=first[-1].id) as back:
        rest = await back.take(len(events) - len(first))
    assert [message.event.id for message in rest] == [event.id for event in events[len(first) :]]


async def test_filters_by_document_and_by_type(client: Client) -> None:
    cause, other = examples.uploaded(workspace=client.workspace.id), examples.uploaded(workspace=client.workspace.id)
    text, preview = examples.extracted(cause), examples.previewed(cause)
    kinds = [text.type, preview.type]
    async with (
        following(client, document=cause.subject) as of_document,
        following(client, type=kinds) as of_types,
        following(client, document=other.subject, type=kinds) as of_both,
    ):
        for event in (cause, other, text, preview, last := examples.extracted(other)):
            await _commit(client.live, event)
        assert [message.event for message in await of_document.take(3)] == [cause, text, preview]
        assert [message.event for message in await of_types.take(3)] == [text, preview, last]
        assert [message.event for message in await of_both.take(1)] == [last]


async def test_a_workspace_sees_only_its_own_events(client: Client) -> None:
    stranger = await new_workspace(client.live.pool)
    async with client.live.client(stranger) as other, following(other) as stream:
        await client.uploaded()
        mine = await other.uploaded()
        assert [message.event.subject for message in await stream.take(1)] == [mine["id"]]


async def test_without_a_key_there_is_no_stream(client: Client) -> None:
    async with client.live.client(client.workspace, key="qk_wrong") as nobody:
        answer = await nobody.http.get("/events")
    problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("cursor", ["nonsense", "1-2-3", f"{2**64}-1", f"1-{2**63}", "9" * 40, "-"])
async def test_a_place_that_is_not_ours_is_refused_before_the_stream(client: Client, cursor: str) -> None:
    problem(await client.http.get("/events", headers={"Last-Event-ID": cursor}), 400, "bad_cursor")


async def test_a_client_that_leaves_is_forgotten(client: Client) -> None:
    feed = client.live.gateway.feed

    async def forgotten() -> bool:
        return not feed._streams

    await eventually(forgotten, "the streams of earlier tests are forgotten")
    async with following(client) as stream:
        await client.uploaded()
        await stream.take(1)
        assert len(feed._streams) == 1
    await eventually(forgotten, "the stream is forgotten")


async def test_the_feed_goes_on_after_the_database_was_restarted(client: Client) -> None:
    async with following(client) as stream:
        await _commit(client.live, *(first := _events(client, 1)))
        assert [message.event for message in await stream.take(1)] == first
        assert await _terminate_backends(client.live) > 0
        second = _events(client, 1)[0]

        async def committed() -> bool:
            try:
                await _commit(client.live, second)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
                return False
            return True

        await eventually(committed, "the database is used again")
        later = _events(client, 40)
        seen: list[str] = []
        for event in later:
            await _commit(client.live, event)
        while later[-1].id not in seen:
            seen += [message.event.id for message in await stream.take(1)]
    assert seen == [second.id, *(event.id for event in later)]


async def _terminate_backends(live: Live) -> int:
    """End every other connection to the module's database, as a restart does."""
    connection = await asyncpg.connect(live.service.settings.database_url)
    try:
        ended = await connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return len(ended)
    finally:
        await connection.close()


async def test_hints_are_sent_again_after_redis_fell_silent(
    gateway_settings: GatewaySettings, lives: tuple[Live, Live], client: Client
) -> None:
    """A connection that is dead without being closed is not waited for."""
    with Proxy(gateway_settings.redis_url) as proxy:
        cut = gateway_settings.model_copy(update={"redis_url": proxy.url})
        async with (
            serving(cut) as behind,
            lives[1].client(client.workspace) as far,
            following(far) as stream,
            _busy(behind),
        ):
            for event in _events(client, 2):
                await _commit(behind, event)
                assert [message.event for message in await stream.take(1)] == [event]
                proxy.forget()


async def test_the_body_of_a_message_is_one_line_of_json(client: Client) -> None:
    event = examples.uploaded(workspace=client.workspace.id, title="two\nlines \u2028 and a separator")
    async with following(client) as stream:
        await _commit(client.live, event)
        (message,) = await stream.take(1)
    assert message.event == event
    assert json.loads(event.to_json())["data"]["document"]["title"] == event.data.document.title
