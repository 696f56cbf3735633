"""A broker that crashes, drops its clients, runs out of memory, or cannot be reached."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from functools import partial

from quire_runtime.publish import declare

from .field import SERVICES, Field, until
from .row import Outcome, Row

CONSUMING_S = 10.0
"""How soon everything must consume again after the broker let go of it."""


def crashed(field: Field, documents: int, _patient: bool) -> Outcome:
    """kill -9 of the Erlang VM when a third of the documents were taken, and again at half."""
    due = threading.Semaphore(0)

    def taken(count: int) -> None:
        if count in (documents // 3, documents // 2):
            due.release()

    ends: list[float] = []

    def crash() -> None:
        for _ in range(2):
            due.acquire()
            field.well("rabbitmq")
            field.send("rabbitmq", signal.SIGKILL)
        field.well("rabbitmq")
        ends.append(time.time())

    crashing = threading.Thread(target=crash, daemon=True)
    crashing.start()
    with field.client() as client:
        client.all(field.documents(documents), taken=taken)
    crashing.join(300)
    assert ends, "the broker did not come back"
    return Outcome(ends[0])


def dropped(field: Field, documents: int, _patient: bool) -> Outcome:
    """Every connection is closed by the operator; then a queue's consumer is cancelled, as by a queue that is gone."""
    works = [field.topology.work_queue(service) for service in SERVICES]
    with field.client() as client:
        client.all(field.documents(documents))
        before = field.rabbit.consumers()
        field.rabbit.ctl("close_all_connections", "chaos")
        again = _consuming_again(field, before, *works)
        field.drain(120)
        # An empty queue that is deleted takes its consumer with it; nothing is published until it is there again.
        before = field.rabbit.consumers()
        # Refusals are printed like successes, and one comes where the queue has just had its consumers changed.
        until(lambda: "success" in field.rabbit.ctl("delete_queue", works[-1]), "the queue is deleted", 20)
        asyncio.run(declare(field.rabbit.url, field.topology))
        ended = time.time()
        cancelled = _consuming_again(field, before, works[-1])
        client.all(field.documents(documents))
    return Outcome(ended, note=f"consuming again within {again:.0f} s, after a cancel {cancelled:.0f} s")


def _consuming_again(field: Field, before: dict[str, set[str]], *works: str) -> float:
    """Seconds until somebody new consumes each queue; asking takes two of them."""
    began = time.monotonic()

    def fresh() -> bool:
        now = field.rabbit.consumers()
        return all(now.get(queue, set()) - before.get(queue, set()) for queue in works)

    until(fresh, f"consuming {', '.join(works)} again", CONSUMING_S)
    return time.monotonic() - began


def alarmed(field: Field, documents: int, patient: bool) -> Outcome:
    """The broker stops taking messages for lack of memory: uploads go on, and the outbox holds what they say."""
    field.rabbit.ctl("set_vm_memory_high_watermark", "absolute", "1MB")
    try:
        with field.client() as client:
            answers = [client.once(*one).status for one in field.documents(documents)]
        assert set(answers) == {202}, f"uploads were answered with {sorted(set(answers))}"
        waiting = until(field.outbox, "events wait in the outbox", 10)
        if patient:
            time.sleep(30)
            assert field.outbox() >= waiting
    finally:
        field.rabbit.ctl("set_vm_memory_high_watermark", "0.4")
    return Outcome(note=f"{waiting} events waited in the outbox")


def partitioned(cut: Callable[[Field], None], hold_s: float, field: Field, documents: int, patient: bool) -> Outcome:
    """The way to the broker is cut while documents come in, and mended."""
    with field.client() as client:
        half = field.documents(documents)
        client.all(half[: documents // 2])
        cut(field)
        try:
            began = time.monotonic()
            answers = [client.once(*one).status for one in half[documents // 2 :]]
            assert set(answers) == {202}, f"uploads were answered with {sorted(set(answers))}"
            if patient:
                until(lambda: time.monotonic() - began > hold_s, "the cut has lasted", hold_s + 1)
        finally:
            field.proxy.let_pass()
        return Outcome()


CUTS: dict[str, tuple[str, Callable[[Field], None]]] = {
    "blackhole": ("nothing passes either way", lambda field: field.proxy.blackhole()),
    "to-broker": ("nothing reaches the broker", lambda field: field.proxy.blackhole("to server")),
    "from-broker": ("nothing comes back from the broker", lambda field: field.proxy.blackhole("from server")),
    "refused": ("every connection is refused", lambda field: field.proxy.refuse()),
    "half-open": ("open connections are dead, new ones pass", lambda field: field.proxy.forget()),
}

HOLD_S = 40.0
"""Longer than it takes until both ends notice by their heartbeats."""

ROWS = [
    Row("broker-crash", "broker kill -9 at a third and at half", crashed, documents=10_000, few=None, within_s=1800),
    Row("connections", "all connections closed; a consumer cancelled", dropped, few=4),
    Row("memory-alarm", "the broker's memory alarm", alarmed, few=4),
    *(
        Row(
            f"partition-{name}",
            text,
            partial(partitioned, cut, HOLD_S),
            documents=40,
            # What is dead without a word takes two heartbeats to be noticed.
            few=4 if name in ("from-broker", "refused") else None,
            proxied=True,
        )
        for name, (text, cut) in CUTS.items()
    ),
]
