"""The storm: documents at full speed while any service may die at any moment, and the broker once."""

import random
import signal
import threading
import time
from collections import Counter

from .field import SERVICES, Field, field
from .row import Outcome, Row
from .run import HEADER, Reporter, run_row

EVERY_S = (2.0, 5.0)
"""Seconds between two deaths."""
CLIENTS = 8


def run(documents: int) -> int:
    """1 where an invariant broke."""
    row = Row("storm", "random deaths at full speed", storm, documents=documents, within_s=1800)
    print(HEADER, flush=True)
    with field() as on:
        result = run_row(on, row, documents, patient=True, reporter=Reporter())
    print(result, flush=True)
    for finding in result.findings:
        print(f"    {finding}", flush=True)
    return bool(result.findings)


def storm(on: Field, documents: int, _patient: bool) -> Outcome:
    """Kill until everything is uploaded."""
    enough = threading.Event()
    deaths: Counter[str] = Counter()
    half = threading.Event()

    def taken(count: int) -> None:
        if count >= documents // 2:
            half.set()
        if count % 1000 == 0:
            print(f"  {count} taken, {sum(deaths.values())} deaths", flush=True)

    def kill() -> None:
        rng = random.Random(documents)
        while not enough.wait(rng.uniform(*EVERY_S)):
            broker = half.is_set() and not deaths["rabbitmq"]
            name = "rabbitmq" if broker else rng.choice(SERVICES)
            pid = on.row(name)["pid"]
            if pid is not None:
                on.send(name, signal.SIGKILL)
                deaths[name] += 1

    killing = threading.Thread(target=kill, daemon=True)
    killing.start()
    began = time.monotonic()
    with on.client() as client:
        client.all(on.documents(documents), threads=CLIENTS, taken=taken)
    enough.set()
    killing.join(60)
    ended = time.time()
    rate = documents / (time.monotonic() - began)
    on.well(within_s=120)
    told = ", ".join(f"{name} {count}" for name, count in sorted(deaths.items()))
    return Outcome(ended, note=f"{rate:.0f} documents/s; deaths: {told}")
