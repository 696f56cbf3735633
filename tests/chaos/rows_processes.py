"""Processes of Quire that are killed at the worst moment, or told to stop in the middle of the work."""

import signal
import time
from functools import partial

import psutil

from .field import POLL_S, SERVICES, WORKERS, Field, until
from .row import Outcome, Row

WORKER_POINTS = ("before-publish", "after-publish", "before-ack")
KEEPER_POINTS = (
    "before-commit", "after-commit", "before-publish", "after-publish", "before-relay-commit", "after-relay-commit",
    "before-ack",
)  # fmt: skip
POINTS = {name: WORKER_POINTS if name in WORKERS else KEEPER_POINTS for name in SERVICES}
FIRED_S = 90.0
LONG_QUEUE = 24
"""More documents than ingest takes at once."""
WAVES = (
    {"gateway": "before-ack", "search": "before-commit", **dict.fromkeys(WORKERS, "after-publish")},
    {"gateway": "before-commit", "search": "before-relay-commit", **dict.fromkeys(WORKERS, "before-publish")},
)
"""The row that kills all services at once: each dies once in a wave."""


def killed(service: str, point: str, field: Field, documents: int, _patient: bool) -> Outcome:
    """The service dies when it comes to the point for the third time, while documents come in."""
    field.failpoints.arm(service, point, "kill@3")
    with field.client() as client:
        client.all(field.documents(documents))
    return _after_death(field)


def killed_together(field: Field, documents: int, _patient: bool) -> Outcome:
    """Every service dies at one of its points, and then at another; the documents are in the catalog by then."""
    outcome = Outcome()
    for wave in WAVES:
        # Nobody is done with the documents before everybody is to die, and the gateway takes no upload to its death.
        field.failpoints.arm("embedder", "before-work", "sleep@1")
        with field.client() as client:
            client.all(field.documents(documents))
        for service, point in wave.items():
            field.failpoints.arm(service, point, "kill@1")
        outcome = _after_death(field)
    return outcome


def stopped(field: Field, documents: int, _patient: bool) -> Outcome:
    """SIGTERM to each service, to ingest while its queue holds more than it takes at once."""
    took, waiting = [], 0
    for service in SERVICES:
        with field.client() as client:
            if service == "ingest":
                field.failpoints.arm("ingest", "before-store", "sleep@1")
                client.all(field.documents(max(documents, LONG_QUEUE)), threads=8)
                waiting = until(lambda: field.waiting("ingest"), "work waits", 20)
                field.failpoints.disarm()
            else:
                client.all(field.documents(2))
        before = len(_ends(field, service))
        began = time.monotonic()
        psutil.Process(field.send(service, signal.SIGTERM)).wait(60)
        took.append(time.monotonic() - began)
        ends = until(lambda named=service, known=before: _ends(field, named)[known:], f"{service} has ended", 10)  # type: ignore[misc]
        # Where it was SIGTERM that ended it, it had finished first: the HTTP server then raises the signal once more.
        assert "exited with code 0" in ends[0] or "killed by SIGTERM" in ends[0], ends[0]
        assert _said_goodbye(field, service), f"{service} did not stop in order"
    field.well()
    return Outcome(note=f"{waiting} waited beyond the prefetch; each stopped within {max(took):.1f} s")


def _ends(field: Field, service: str) -> list[str]:
    """What the supervisor said of each end of the service."""
    log = (field.stack.home / "logs" / "supervisor.log").read_text()
    return [line for line in log.splitlines() if f" {service}: " in line and "starting again" in line]


def _said_goodbye(field: Field, service: str) -> bool:
    return '"event":"stopped"' in (field.stack.home / "logs" / f"{service}.log").read_text()


def _after_death(field: Field) -> Outcome:
    """Every failpoint was reached and whoever died of it is back; a few more documents come in where work ran out."""
    deadline = time.monotonic() + FIRED_S
    with field.client() as client:
        while waiting := field.failpoints.waiting("kill"):
            assert time.monotonic() < deadline, f"never reached: {waiting}"
            if field.is_drained():
                client.all(field.documents(2))
            time.sleep(POLL_S)
    ended = time.time()
    field.well()
    return Outcome(ended)


ROWS = [
    *(
        Row(f"killed-{service}-{point}", f"{service} killed {point}", partial(killed, service, point), few=None)
        for service in SERVICES
        for point in POINTS[service]
    ),
    Row("killed", "every service killed, twice", killed_together, documents=40, few=4),
    Row("stopped", "SIGTERM, more in flight than prefetch", stopped, documents=200, few=24),
]
