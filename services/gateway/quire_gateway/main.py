"""The gateway as a process: serve, migrate, or bootstrap the first workspace."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
from fastapi import APIRouter
from redis.asyncio import Redis

from quire_contracts import (
    DocumentDeleted,
    DocumentEnriched,
    DocumentIndexed,
    Embedded,
    PreviewReady,
    ProcessingFailed,
    StageRetried,
    TextExtracted,
)
from quire_runtime.service import Check, Service, build_app, serve

from . import audit, db, documents, events, health, openapi, problems, search, uploads
from .auth import Keys
from .dead_letters import collecting
from .dead_letters import routes as dead_letters
from .feed import Feed
from .handlers import Handlers
from .limits import SmallBodies
from .receive import Receiver
from .recovery import retries, sweep, upkeep
from .recovery.waiting import Pace, Waiting
from .settings import GatewaySettings
from .state import Gateway
from .stopping import told_to_stop

SCHEMA = "catalog"


@asynccontextmanager
async def gateway(service: Service[GatewaySettings]) -> AsyncIterator[None]:
    """Everything the gateway opens, closed in reverse order."""
    settings = service.settings
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(service.database(SCHEMA))
        relay = await stack.enter_async_context(service.relay(pool))
        redis: Redis = Redis.from_url(settings.redis_url, socket_connect_timeout=1, health_check_interval=30)
        stack.push_async_callback(redis.aclose)
        service.checks["redis"] = _redis_check(redis)
        client = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=settings.search_url,
                timeout=settings.search_timeout_s,
                limits=httpx.Limits(max_connections=100, max_keepalive_connections=50),
            )
        )
        service.checks["search"] = _search_check(client)
        feed = await stack.enter_async_context(Feed(pool, redis, settings).running())
        stack.enter_context(told_to_stop(feed.end_streams))
        receiver = Receiver(pool, service.store, relay, feed, settings.max_upload_bytes)
        await stack.enter_async_context(receiver.running())
        handlers = Handlers(pool, service.store, feed)
        await stack.enter_async_context(handlers.running())
        waiting = Waiting(settings, service.topology)
        stack.push_async_callback(waiting.close)
        sweeper = sweep.Sweeper(pool, service.store, relay, waiting, settings)
        service.app.state.keys = Keys(pool, settings.key_cache_s)
        service.app.state.gateway = Gateway(
            service, pool, service.store, relay, feed, receiver, client, sweeper, Pace(pool, waiting),
            await db.signing_secret(pool, "cursor"),
        )  # fmt: skip
        progress = (
            TextExtracted, Embedded, DocumentIndexed, DocumentEnriched, PreviewReady, StageRetried, ProcessingFailed,
        )  # fmt: skip
        collector = collecting.Collector(pool, service.publisher, service.topology, settings)
        await stack.enter_async_context(collecting.running(collector))
        await stack.enter_async_context(sweep.running(sweeper))
        async with service.consume(
            {**dict.fromkeys(progress, handlers.on_progress), DocumentDeleted: handlers.on_document_deleted}
        ):
            yield


def _redis_check(redis: Redis) -> Check:
    async def check() -> str | None:
        await redis.ping()
        return None

    return check


def _search_check(client: httpx.AsyncClient) -> Check:
    async def check() -> str | None:
        answer = await client.get("/health")
        return None if answer.status_code == 200 else f"status {answer.status_code}"

    return check


def build(settings: GatewaySettings) -> Service[GatewaySettings]:
    """The gateway, ready to be served."""
    service = Service("gateway", settings)
    api = APIRouter(prefix="/api/v1")
    for module in (uploads, documents, retries, search, events, dead_letters, audit, upkeep, health):
        api.include_router(module.router)
    service.app.add_middleware(SmallBodies)
    build_app(service, gateway, [api])
    problems.install(service.app)
    openapi.install(service.app)
    return service


def main() -> None:
    """Serve until SIGTERM."""
    serve(build(GatewaySettings.read()))
