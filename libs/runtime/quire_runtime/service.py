"""The host of a service: its ASGI app with health, readiness and metrics, what it opens, and how it stops.

On SIGTERM the server stops accepting, then the service's own context unwinds: it stops consuming, finishes what is in
hand, relays the outbox once more and closes its connections.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property
from typing import Generic, TypeVar

import asyncpg
import structlog
import uvicorn
from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse, Response
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from quire_contracts import Topology, consumer_of

from .consume import Consumption, Handlers, consumption
from .db import Initialise, open_pool
from .errors import StartupError
from .http import Observed
from .outbox import Relay, running
from .publish import Publisher
from .settings import ServiceSettings
from .storage import Store, open_store
from .telemetry import set_up_logging, set_up_tracing

log = structlog.get_logger(__name__)

S = TypeVar("S", bound=ServiceSettings)
Check = Callable[[], Awaitable[str | None]]
"""A readiness check: None where all is well, else what is wrong."""

CHECK_TIMEOUT_S = 3.0


class Service(Generic[S]):
    """What a service's context is given: its settings, its app, and the things that most services open."""

    def __init__(self, name: str, settings: S) -> None:
        self.name = name
        self.settings = settings
        self.topology = Topology(settings.broker_namespace, settings.retry_ladder)
        self.publisher = Publisher(settings, self.topology)
        self.app = FastAPI(title=f"quire {name}", docs_url=None, redoc_url=None, openapi_url=None)
        self.checks: dict[str, Check] = {}

    @cached_property
    def store(self) -> Store:
        """The object store; raises `StartupError` where it is not configured."""
        return open_store(self.settings)

    @asynccontextmanager
    async def database(self, schema: str, initialise: Initialise | None = None) -> AsyncIterator[asyncpg.Pool]:
        """A pool on `schema`; readiness fails while the database does not answer."""
        async with open_pool(self.settings, schema, initialise) as pool:

            async def answers() -> str | None:
                await pool.fetchval("SELECT 1")
                return None

            self.checks["database"] = answers
            yield pool

    def relay(self, pool: asyncpg.Pool) -> AbstractAsyncContextManager[Relay]:
        """The outbox relay of a service that owns tables."""
        return running(Relay(self.name, pool, self.publisher, self.settings))

    @asynccontextmanager
    async def consume(self, handlers: Handlers) -> AsyncIterator[Consumption]:
        """Take the service's events; readiness fails while the broker would not deliver any."""
        async with consumption(
            consumer_of(self.name), handlers, self.publisher, self.topology, self.settings
        ) as consuming:

            async def delivers() -> str | None:
                return None if await consuming.is_alive() else "no consumer on the queue"

            self.checks["broker"] = delivers
            yield consuming

    async def readiness(self) -> dict[str, str]:
        """Each check with `ok` or what is wrong."""

        async def outcome(check: Check) -> str:
            try:
                async with asyncio.timeout(CHECK_TIMEOUT_S):
                    return await check() or "ok"
            except Exception as error:
                return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__

        results = await asyncio.gather(*(outcome(check) for check in self.checks.values()))
        return dict(zip(self.checks, results, strict=True))


Context = Callable[[Service[S]], AbstractAsyncContextManager[None]]


def ops_routes(service: Service[S]) -> APIRouter:
    """`/health` (the process answers), `/readiness` (it can do its work) and `/metrics`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/health")
    async def health() -> JSONResponse:
        return JSONResponse({"status": "ok", "service": service.name})

    @router.get("/readiness")
    async def readiness() -> JSONResponse:
        checks = await service.readiness()
        ready = all(outcome == "ok" for outcome in checks.values())
        return JSONResponse({"status": "ready" if ready else "not ready", "checks": checks}, 200 if ready else 503)

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router


def build_app(service: Service[S], context: Context[S], routers: Iterable[APIRouter] = ()) -> FastAPI:
    """The service's ASGI app with its routes; its context becomes the app's lifespan."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            async with service.publisher, context(service):
                log.info("started", http=f"{service.settings.http_host}:{service.settings.http_port}")
                yield
        except StartupError as error:
            log.error("cannot start", problem=str(error))
            raise
        log.info("stopped")

    app = service.app
    app.router.lifespan_context = lifespan
    app.add_middleware(Observed, service=service.name)
    for router in (ops_routes(service), *routers):
        app.include_router(router)
    return app


def serve(service: Service[S]) -> None:
    """Serve the service's app until SIGTERM or SIGINT; exits with 1 and the reason where it cannot start."""
    settings = service.settings
    set_up_logging(service.name, settings)
    tracing: TracerProvider = set_up_tracing(service.name, settings)
    server = uvicorn.Server(
        uvicorn.Config(
            service.app,
            host=settings.http_host,
            port=settings.http_port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=int(settings.graceful_timeout_s),
            timeout_keep_alive=75,
        )
    )
    try:
        server.run()
    finally:
        tracing.shutdown()
    if not server.started:
        sys.exit(1)


def run(name: str, settings: S, context: Context[S], routers: Iterable[APIRouter] = ()) -> None:
    """The whole `main` of a service: build it and serve it."""
    service = Service(name, settings)
    build_app(service, context, routers)
    serve(service)
