"""Logs as JSON with the correlation id, and traces that follow a document through every service."""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import orjson
import structlog
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from quire_contracts import Event

from .settings import ServiceSettings

E = TypeVar("E", bound=Event)

# Got once: the SDK changes the filters of `warnings` whenever it is asked for a tracer.
_TRACER = trace.get_tracer("quire")
_PROPAGATOR = TraceContextTextMapPropagator()
_QUIET = ("aio_pika", "aiormq", "faststream", "uvicorn.access", "uvicorn.error", "httpx", "httpx2", "alembic")


def set_up_logging(service: str, settings: ServiceSettings) -> None:
    """One JSON object a line on standard output, for our own loggers and for the libraries'."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _names_of(service, settings.instance),
                structlog.processors.JSONRenderer(serializer=_line),
            ],
        )
    )
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _names_of(service: str, instance: str) -> Any:
    def add(_logger: Any, _method: str, entry: dict[str, Any]) -> dict[str, Any]:
        return {"service": service, "instance": instance, **entry}

    return add


def _line(entry: Any, **options: Any) -> str:
    return orjson.dumps(entry, default=options.get("default", str)).decode()


def set_up_tracing(service: str, settings: ServiceSettings) -> TracerProvider:
    """Spans get ids in any case, so that the trace is whole; they are exported where `otlp_endpoint` is set."""
    names = {"service.name": f"quire-{service}", "service.instance.id": settings.instance}
    provider = TracerProvider(resource=Resource.create(names))
    if settings.otlp_endpoint:
        exporter = OTLPSpanExporter(endpoint=f"{settings.otlp_endpoint.rstrip('/')}/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider


@contextmanager
def continued(
    traceparent: str | None, name: str, kind: trace.SpanKind, attributes: Mapping[str, str | int] | None = None
) -> Iterator[trace.Span]:
    """A span that goes on with the trace of `traceparent`; where there is none, a trace begins."""
    parent = _PROPAGATOR.extract({"traceparent": traceparent} if traceparent else {})
    with trace.use_span(_TRACER.start_span(name, parent, kind, attributes), end_on_exit=True) as span:
        yield span


@contextmanager
def consuming(event: Event, service: str, attempt: int) -> Iterator[trace.Span]:
    """A span for the handling of one event, child of the emitter's; log lines inside carry the event's ids."""
    bound = structlog.contextvars.bind_contextvars(
        correlation_id=event.correlationid, document_id=event.subject, event_id=event.id, event_type=event.type
    )
    attributes: dict[str, str | int] = {
        "messaging.message.id": event.id,
        "quire.document": event.subject,
        "quire.attempt": attempt,
    }
    try:
        with continued(event.traceparent, f"{service} {event.type}", trace.SpanKind.CONSUMER, attributes) as span:
            yield span
    finally:
        structlog.contextvars.reset_contextvars(**bound)


def stamp(event: E) -> E:
    """The event with the trace context of the span we are in; unchanged where we are in none."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    traceparent = carrier.get("traceparent")
    return event.model_copy(update={"traceparent": traceparent}) if traceparent else event
