"""A database, an object store or a cache that is full, slow or gone."""

import contextlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from .field import Field, until
from .ledger import Client
from .row import Outcome, Row

STALL_S = 30.0
STORE_MIB = 4


def database_restarted(field: Field, documents: int, _patient: bool) -> Outcome:
    """An immediate shutdown of PostgreSQL (SIGQUIT), which recovers from its log, while documents come in."""
    mark = len(field.ledger.uploads)
    with _uploading(field, documents):
        until(lambda: len(field.ledger.since(mark)) > documents // 4, "uploads", 60, poll_s=0.01)
        field.send("postgres", signal.SIGQUIT)
        until(lambda: any(one.status != 202 for one in field.ledger.since(mark)), "a refusal", 30, poll_s=0.01)
        field.well("postgres")
        ended = time.time()
    return Outcome(ended, note=_answers(field, mark))


def database_stalled(field: Field, documents: int, patient: bool) -> Outcome:
    """Every backend stands still: what they hold stays locked, what is asked of them is not answered."""
    mark = len(field.ledger.uploads)
    with _uploading(field, documents):
        until(lambda: len(field.ledger.since(mark)) > documents // 4, "uploads", 60, poll_s=0.01)
        backends = _backends(field)
        for backend in backends:
            backend.suspend()
        try:
            began = time.monotonic()
            until(lambda: any(one.status == 503 for one in field.ledger.since(mark)), "an answer 503", 30)
            until(lambda: not patient or time.monotonic() - began > STALL_S, "the stall", STALL_S + 1)
        finally:
            for backend in backends:
                with contextlib.suppress(psutil.NoSuchProcess):
                    backend.resume()
        ended = time.time()
    return Outcome(ended, note=f"{len(backends)} backends; {_answers(field, mark)}")


def store_full(field: Field, documents: int, _patient: bool) -> Outcome:
    """The store is a file system of 4 MiB, filled to the last byte: 507, no row, no event, no object."""
    with _small_store(field.objects), field.client() as client:
        client.all(field.documents(documents // 2))
        field.drain(60)
        with _ballast(field.objects):
            before = _counts(field)
            answers = [client.once(*one) for one in field.documents(documents // 2)]
            assert {one.status for one in answers} == {507}, f"answered with {sorted({one.status for one in answers})}"
            assert _counts(field) == before, "a refused upload left a row, an event or an object"
        ended = time.time()
        client.all(field.documents(2))
        field.drain(60)
    return Outcome(ended)


def store_fills_up(field: Field, documents: int, _patient: bool) -> Outcome:
    """The store fills up while workers write to it: they try again, and finish once there is room."""
    with _small_store(field.objects), field.client() as client:
        field.failpoints.arm("ingest", "before-store", "sleep@0.5")
        client.all(field.documents(documents // 2), threads=8)
        with _ballast(field.objects):
            field.failpoints.disarm()
            waiting = "SELECT 1 FROM catalog.document WHERE status = 'processing'"
            until(lambda: not field.sql(waiting) or _retrying(field), "a worker met the full store", 30)
        ended = time.time()
        field.drain(120)
    return Outcome(ended)


def cache_gone(field: Field, documents: int, _patient: bool) -> Outcome:
    """Redis is stopped: uploads, reads and searches work, and documents become ready."""
    field.scale("redis", 0)
    try:
        with field.client() as client:
            mine = client.all(field.documents(documents))
            until(lambda: field.sql(PENDING, list(mine))[0]["n"] == 0, "ready without Redis", 60)
            for path in ("/api/v1/documents", f"/api/v1/documents/{mine[0]}", "/api/v1/search?q=morning"):
                answer = client.http.get(path)
                assert answer.status_code == 200, f"{path} was answered with {answer.status_code}"
    finally:
        field.scale("redis", 1)
    return Outcome()


PENDING = "SELECT count(*) AS n FROM catalog.document WHERE id = ANY($1::text[]) AND status <> 'ready'"


@contextlib.contextmanager
def _uploading(field: Field, documents: int) -> Iterator[None]:
    """Clients upload all the time, and finish afterwards what was refused; 503 must say when to come again."""
    missing = field.ledger.retry_after_missing
    failures: list[BaseException] = []

    def work(client: Client) -> None:
        try:
            client.all(field.documents(documents))
            while not enough.is_set():
                client.all(field.documents(2))
        except BaseException as error:
            failures.append(error)

    enough = threading.Event()
    with field.client() as client:
        thread = threading.Thread(target=work, args=(client,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            enough.set()
            thread.join(300)
    if failures:
        raise failures[0]
    assert field.ledger.retry_after_missing == missing, "a 503 without Retry-After"


def _answers(field: Field, mark: int) -> str:
    statuses = [one.status for one in field.ledger.since(mark)]
    odd = set(statuses) - {200, 202, 503}
    assert not odd, f"uploads were answered with {sorted(odd)}"
    assert 503 in statuses, "no upload met the fault"
    return f"{statuses.count(503)} of {len(statuses)} answers were 503"


def _backends(field: Field) -> list[psutil.Process]:
    pids = field.sql(
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'quire-%' AND pid <> pg_backend_pid()"
    )
    return [psutil.Process(row["pid"]) for row in pids]


def _retrying(field: Field) -> int:
    return sum(n for name, n in field.depths().items() if ".retry." in name)


def _counts(field: Field) -> tuple[int, int, int]:
    row = field.sql("SELECT (SELECT count(*) FROM catalog.document) AS d, (SELECT count(*) FROM catalog.event) AS e")[0]
    files = sum(1 for path in field.objects.rglob("*") if path.is_file())
    return int(row["d"]), int(row["e"]), files


@contextlib.contextmanager
def _small_store(objects: Path) -> Iterator[None]:
    """A file system of its own over the store's folder; what was written there is in the store afterwards."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={STORE_MIB}m", "tmpfs", str(objects)], check=True)
    kept = Path(tempfile.mkdtemp(prefix="quire-kept-"))
    try:
        yield
    finally:
        shutil.copytree(objects, kept, dirs_exist_ok=True)
        subprocess.run(["umount", "--lazy", str(objects)], check=True)
        shutil.copytree(kept, objects, dirs_exist_ok=True)
        shutil.rmtree(kept)


@contextlib.contextmanager
def _ballast(folder: Path) -> Iterator[None]:
    """A file that leaves no room for another byte."""
    path = folder / "ballast"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        path.unlink()


ROWS = [
    Row("store-full", "object store full", store_full, documents=100, few=8),
    Row("store-fills", "object store fills up under the workers", store_fills_up, documents=60, few=8),
    Row("database-restart", "database restarted (immediate)", database_restarted, documents=200, few=6),
    Row("database-stall", "database backends stopped for 30 s", database_stalled, documents=200, few=6),
    Row("redis-gone", "Redis stopped", cache_gone, documents=100, few=4),
]
