"""What every HTTP request gets: an id, a span and a metric. Pure ASGI, so that streams stay streams."""

import re
import time
from typing import Any

import structlog
from opentelemetry import trace
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quire_contracts import uuid7

from .metrics import HTTP_SECONDS
from .telemetry import continued

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_QUIET = ("/health", "/readiness", "/metrics")


class Observed:
    """Wraps an app. The request's id is in the scope as `quire.request_id` and in the answer as `X-Request-Id`."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["path"] in _QUIET:
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        given = headers.get(b"x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else str(uuid7())
        scope["quire.request_id"] = request_id
        status = 500
        started = time.perf_counter()

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        traceparent = headers.get(b"traceparent")
        try:
            with (
                structlog.contextvars.bound_contextvars(correlation_id=request_id),
                continued(traceparent, f"{scope['method']} {scope['path']}", trace.SpanKind.SERVER) as span,
            ):
                try:
                    await self._app(scope, receive, observed_send)
                finally:
                    span.set_attribute("http.response.status_code", status)
        finally:
            # FastAPI's own note of the route keeps the prefixes under which a router was included
            found: Any = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
            path = getattr(found, "path", "unmatched")
            HTTP_SECONDS.labels(self._service, scope["method"], path, str(status)).observe(
                time.perf_counter() - started
            )
