"""Every metric of the runtime, declared once with its meaning."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

MESSAGES = Counter("quire_messages", "Messages settled, by outcome (done, permanent, retry, later, parked)",
                   ["service", "type", "outcome"])  # fmt: skip
HANDLER_SECONDS = Histogram("quire_handler_seconds", "Time from taking a message to settling it",
                            ["service", "type"], buckets=_SECONDS)  # fmt: skip
IN_HAND = Gauge("quire_messages_in_hand", "Messages a worker holds now", ["service"])
CONSUMING = Gauge("quire_consuming", "1 while the worker's consumer is alive on the broker", ["service"])
PUBLISHED = Counter("quire_published", "Events the broker confirmed", ["type"])
PUBLISH_FAILURES = Counter("quire_publish_failures", "Publishes that failed or were not confirmed in time", ["type"])
OUTBOX_PENDING = Gauge("quire_outbox_pending", "Events committed and not yet confirmed by the broker", ["service"])
EVENT_AGE_SECONDS = Histogram("quire_event_age_seconds", "Age of an event when its handling begins",
                              ["service", "type"], buckets=_SECONDS)  # fmt: skip
HTTP_SECONDS = Histogram("quire_http_request_seconds", "Time to answer a request, up to the end of the body",
                         ["service", "method", "route", "status"], buckets=_SECONDS)  # fmt: skip
