"""The soak: a steady mixture of uploads, searches and deletes, for long enough to see what grows and what complains."""

import json
import random
import re
import statistics
import time
from collections import Counter
from pathlib import Path

from tests.bench.processes import Processes

from .field import Field, field
from .ledger import Client
from .row import Outcome, Row
from .run import HEADER, Reporter, run_row

UPLOADS_PER_S = 3.0
SAMPLE_S = 10.0
WARM_S = 300.0
"""Memory is compared with what it was after these seconds, when caches and pools are filled."""
WINDOW_S = 120.0
"""Medians of the samples of so long: a process in the middle of its work has more than between two documents."""
SLACK = 1.10
SLACK_MIB = 2.0
"""Below this growth in MiB a small process may exceed its tenth: pages that are shared or not move that much."""
MIB = 2**20
Samples = list[tuple[float, dict[str, float]]]
"""Seconds since the beginning, and MiB of each process."""

OTHERS = ("postgres", "rabbitmq", "redis")
"""Servers, whose caches grow with what is stored; they are shown and not judged."""
EXPECTED = (
    r"no OCR",
    r"no office documents",
    r"not confined|missing protections|sandbox",
)
"""Warnings about what this machine lacks."""


def run(minutes: float) -> int:
    """1 where an invariant broke, a process grew by more than a tenth, or a log holds what nobody expects."""
    samples: Samples = []
    row = Row("soak", f"{minutes:g} minutes of steady load", lambda on, _, __: soak(on, minutes * 60, samples))
    print(HEADER, flush=True)
    with field() as on:
        result = run_row(on, row, 0, patient=True, reporter=Reporter())
        complaints = _complaints(on.stack.home / "logs")
    print(result, flush=True)
    for finding in result.findings:
        print(f"    {finding}", flush=True)
    grown = _show(samples)
    for line, count in complaints.most_common():
        print(f"    unexpected in a log, {count} times: {line}", flush=True)
    return bool(result.findings or grown or complaints)


def soak(on: Field, seconds: float, samples: Samples) -> Outcome:
    """Upload, search, and delete one of three documents, at a steady rate."""
    processes = Processes(on.stack)
    rng = random.Random(1)
    began = sampled = time.monotonic()
    living: list[str] = []
    count = searches = 0
    with on.client() as client:
        while (now := time.monotonic()) - began < seconds:
            living.append(client.until_taken(*on.documents(1)[0]))
            count += 1
            searches += _search(client, rng)
            if count % 3 == 0 and len(living) > 60:
                victim = living.pop(rng.randrange(len(living) - 30))
                on.ledger.deleted.add(victim)
                client.http.delete(f"/api/v1/documents/{victim}").raise_for_status()
            if now - sampled > SAMPLE_S:
                sampled = now
                samples.append((now - began, {name: held.pss / MIB for name, held in processes.memory().items()}))
            time.sleep(max(0.0, began + count / UPLOADS_PER_S - time.monotonic()))
    return Outcome(note=f"{count} uploads, {searches} searches, {len(on.ledger.deleted)} deletes")


def _search(client: Client, rng: random.Random) -> int:
    word = rng.choice(("morning", "river", "stone", "thaw", "light"))
    for mode in ("keyword", "hybrid"):
        client.http.get("/api/v1/search", params={"q": word, "mode": mode}).raise_for_status()
    return 2


def _show(samples: Samples) -> list[str]:
    """Print memory at the beginning and at the end; the processes that grew too much."""
    if not samples:
        return []
    whole = samples[-1][0]
    after = min(WARM_S, whole / 3)
    grown = []
    print(f"{'process':24} {f'after {after / 60:.0f} min':>12} {'at the end':>12}  MiB PSS", flush=True)
    for name in samples[-1][1]:
        start = _median(samples, name, after, after + WINDOW_S)
        end = _median(samples, name, whole - WINDOW_S, whole)
        judged = name not in OTHERS
        too_much = judged and end > start * SLACK and end - start > SLACK_MIB
        print(f"{name:24} {start:12.1f} {end:12.1f} {'  grew' if too_much else ''}", flush=True)
        if too_much:
            grown.append(name)
    return grown


def _median(samples: Samples, name: str, begin: float, end: float) -> float:
    return statistics.median(held[name] for at, held in samples if begin <= at <= end and name in held)


def _complaints(logs: Path) -> Counter[str]:
    """Lines above INFO that are on no list, without what differs from one to the next."""
    found: Counter[str] = Counter()
    for path in logs.glob("*.log"):
        for line in path.read_text(errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if str(entry.get("level", "info")).lower() in {"debug", "info"}:
                continue
            text = f"{path.stem}: {entry.get('event')} {entry.get('error', '')}"
            if not any(re.search(pattern, text) for pattern in EXPECTED):
                found[re.sub(r"[0-9a-f-]{8,}", "…", text)[:300]] += 1
    return found
