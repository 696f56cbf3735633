"""Uploads while the broker takes nothing: the outbox grows to its limit, and then the answer is 503."""

import pytest

from quire_gateway.settings import GatewaySettings
from tests.conftest import remove_topology
from tests.integration.gateway.serving import new_workspace, problem, serving
from tests.support.broker import eventually
from tests.support.proxy import Proxy

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT = 5


async def test_uploads_are_taken_until_the_outbox_is_full_and_again_when_it_is_not(
    gateway_settings: GatewaySettings,
) -> None:
    with Proxy(gateway_settings.broker_url) as broker:
        broker.refuse()
        changes = {"broker_url": broker.url, "publish_timeout_s": 0.5, "outbox_limit": LIMIT}
        settings = gateway_settings.model_copy(update=changes)
        async with serving(settings) as live, live.client(await new_workspace(live.pool)) as client:
            for _ in range(LIMIT):
                await client.uploaded()
            refused = await client.upload()
            problem(refused, 503, "busy")
            assert int(refused.headers["retry-after"]) > 0
            assert len(await client.rows()) == len(await client.objects()) == LIMIT
            assert (await client.http.get("/documents")).status_code == 200

            broker.let_pass()

            async def taken() -> bool:
                return (await client.upload()).status_code == 202

            await eventually(taken, "uploads are taken again once the outbox is empty", within_s=40)
    await remove_topology(gateway_settings)


async def test_a_gateway_that_starts_with_a_full_outbox_takes_nothing(gateway_settings: GatewaySettings) -> None:
    with Proxy(gateway_settings.broker_url) as broker:
        broker.refuse()
        settings = gateway_settings.model_copy(update={"broker_url": broker.url, "publish_timeout_s": 0.5})
        async with serving(settings) as live, live.client(await new_workspace(live.pool)) as client:
            for _ in range(LIMIT):
                await client.uploaded()
        full = settings.model_copy(update={"outbox_limit": LIMIT})
        async with serving(full) as live, live.client(await new_workspace(live.pool)) as client:

            async def refused() -> bool:
                return (await client.upload()).status_code == 503

            await eventually(refused, "the rows that an earlier gateway left are counted")
            taken = len(await client.rows())
            problem(await client.upload(), 503, "busy")
            assert len(await client.rows()) == taken
