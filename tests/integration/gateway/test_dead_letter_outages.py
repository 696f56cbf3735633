"""No parked message is lost, whatever is away, and whoever dies in between."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from quire_gateway.dead_letters import collecting, letters_db
from quire_gateway.settings import GatewaySettings
from quire_runtime.publish import RECONNECT_S
from tests.conftest import remove_topology
from tests.integration.gateway.letters import Office, event
from tests.integration.gateway.serving import new_operator, serving
from tests.support.broker import eventually, observing
from tests.support.proxy import Proxy

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("gateway dead letter outages")]


@dataclass(frozen=True)
class Remote:
    """An office whose gateway reaches its servers through proxies."""

    office: Office
    database: Proxy
    broker: Proxy


@pytest_asyncio.fixture(loop_scope="module")
async def remote(gateway_settings: GatewaySettings) -> AsyncIterator[Remote]:
    with Proxy(gateway_settings.database_url) as database, Proxy(gateway_settings.broker_url) as broker:
        urls = {"database_url": database.url, "broker_url": broker.url, "database_timeout_s": 2.0}
        direct = await asyncpg.create_pool(
            gateway_settings.database_url, min_size=1, max_size=2, server_settings={"search_path": "catalog"}
        )
        async with serving(gateway_settings.model_copy(update=urls)) as live:
            await live.service.publisher.ready()
            async with (
                live.client(await new_operator(live.pool)) as operator,
                observing(gateway_settings) as observer,
            ):
                yield Remote(_Direct(operator, observer, direct), database, broker)
            database.let_pass()
            broker.let_pass()
        await direct.close()
    await remove_topology(gateway_settings)


@dataclass(frozen=True)
class _Direct(Office):
    """Looks at the database past the proxy."""

    direct: asyncpg.Pool

    @property
    def pool(self) -> asyncpg.Pool:
        return self.direct


async def _all_kept(office: Office, letters: list[str]) -> None:
    for letter in letters:
        await office.until(letter)
    await office.observer.empty(office.observer.topology.parked_queue("ingest"))


async def _park(office: Office, count: int) -> list[str]:
    return [await office.park("ingest", event().to_json()) for _ in range(count)]


@pytest.mark.parametrize("how", ["refuse", "blackhole"])
async def test_messages_stay_on_the_broker_while_the_database_is_away(
    remote: Remote, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await remote.office.parked()
    tries, really = 0, letters_db.keep

    async def counted(*arguments: Any) -> None:
        nonlocal tries
        tries += 1
        await really(*arguments)

    monkeypatch.setattr(letters_db, "keep", counted)
    getattr(remote.database, how)()
    began = time.monotonic()
    letters = await _park(remote.office, 4 * collecting.IN_HAND)

    async def tried() -> bool:
        return tries >= 2

    await eventually(tried, "it tries")
    parked = remote.office.observer.topology.parked_queue("ingest")
    assert await remote.office.observer.depth(parked) == 3 * collecting.IN_HAND, "no more are taken than are in hand"
    assert await remote.office.pool.fetchval("SELECT count(*) FROM dead_letter WHERE id = ANY($1)", letters) == 0
    away = time.monotonic() - began
    assert tries <= collecting.IN_HAND * (1 + away / RECONNECT_S), "it does not spin"
    remote.database.let_pass()
    await _all_kept(remote.office, letters)
    assert {await remote.office.times(letter) for letter in letters} == {1}


@pytest.mark.parametrize("how", ["refuse", pytest.param("forget", marks=pytest.mark.slow)])
async def test_collecting_goes_on_when_the_broker_is_back(remote: Remote, how: str) -> None:
    await remote.office.parked()
    getattr(remote.broker, how)()
    letters = await _park(remote.office, 5)
    remote.broker.let_pass()
    await _all_kept(remote.office, letters)


async def test_a_connection_that_breaks_between_commit_and_acknowledgement_makes_no_second_row(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, cut = letters_db.keep, asyncio.Event()

    async def keep(*arguments: Any) -> None:
        await really(*arguments)
        if not cut.is_set():
            cut.set()
            remote.broker.refuse()

    monkeypatch.setattr(letters_db, "keep", keep)
    given = event()
    letter = await remote.office.park("ingest", given.to_json())
    await asyncio.wait_for(cut.wait(), 20)
    await remote.office.until(letter)
    remote.broker.let_pass()
    await remote.office.until(letter, 2)
    await _all_kept(remote.office, [letter])
    rows = await remote.office.pool.fetch("SELECT state FROM dead_letter WHERE event_id = $1", given.id)
    assert [row["state"] for row in rows] == ["parked"]


async def test_a_gateway_that_dies_with_messages_in_hand_leaves_them_to_the_next(
    remote: Remote, gateway_settings: GatewaySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = asyncio.Event()
    really, in_hand = letters_db.keep, 0

    async def hang(*arguments: Any) -> None:
        nonlocal in_hand
        in_hand += 1
        await never.wait()

    monkeypatch.setattr(letters_db, "keep", hang)
    letters = await _park(remote.office, 3)

    async def taken() -> bool:
        return in_hand > 0

    await eventually(taken, "the gateway has them in hand")
    monkeypatch.setattr(letters_db, "keep", really)
    remote.broker.refuse()
    async with serving(gateway_settings):
        await _all_kept(remote.office, letters)
    remote.broker.let_pass()


async def test_a_queue_that_was_deleted_is_taken_from_again_when_it_is_back(remote: Remote) -> None:
    observer, topology = remote.office.observer, remote.office.observer.topology
    (parked,) = (queue for queue in topology.queues() if queue.name == topology.parked_queue("ingest"))
    await remote.office.parked()
    async with await observer._connection.channel() as channel:
        await channel.queue_delete(parked.name)

        async def noticed() -> bool:
            other = await channel.declare_queue(topology.parked_queue("search"), passive=True)
            return other.declaration_result.consumer_count == 0

        await eventually(noticed, "the collector has noticed and begins anew")
        declared = await channel.declare_queue(parked.name, durable=True, arguments=dict(parked.arguments))
        await declared.bind(topology.dead_letters, topology.work_queue("ingest"))
    await _all_kept(remote.office, await _park(remote.office, 2))
