"""Gateways on a database, a namespace of the broker and a folder of the module's own."""

import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from quire_gateway.settings import GatewaySettings
from quire_runtime.migrate import migrate
from tests.conftest import LADDER, remove_topology
from tests.integration.gateway.serving import Client, Live, new_workspace, serving

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def catalog_url(postgres_url: str) -> str:
    """A migrated database."""
    migrate(postgres_url, "quire_gateway", "catalog")
    return postgres_url


@pytest.fixture(scope="module")
def indexed_settings(gateway_settings: GatewaySettings) -> GatewaySettings:
    """The same, for a gateway beside a search service in one database."""
    migrate(gateway_settings.database_url, "quire_search", "search")
    return gateway_settings


@pytest.fixture(scope="module")
def gateway_settings(
    catalog_url: str, broker_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> GatewaySettings:
    """Settings of the module's gateways."""
    return GatewaySettings(
        database_url=catalog_url,
        broker_url=broker_url,
        redis_url=redis_url,
        broker_namespace=f"t{uuid.uuid4().hex[:10]}",
        retry_ladder=LADDER,
        store_url=f"file://{tmp_path_factory.mktemp('objects')}",
        search_url=NOWHERE,
        max_upload_bytes=1_000_000,
        publish_timeout_s=5,
        graceful_timeout_s=5,
        consumer_check_s=0.05,
        outbox_poll_s=0.05,
        feed_poll_s=0.1,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def live(gateway_settings: GatewaySettings) -> AsyncIterator[Live]:
    """The module's gateway, consuming."""
    async with serving(gateway_settings) as running:
        await running.service.publisher.ready()
        yield running
    await remove_topology(gateway_settings)


@pytest_asyncio.fixture(loop_scope="module")
async def client(live: Live) -> AsyncIterator[Client]:
    """A client of a workspace of the test's own."""
    async with live.client(await new_workspace(live.pool)) as opened:
        yield opened
