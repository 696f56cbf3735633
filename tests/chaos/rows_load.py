"""Documents that attack whoever reads them, and more documents than one stage can take."""

import contextlib
import time
from collections.abc import Callable

import psutil

from tests.support.documents import office, pdf

from .field import Field, until
from .row import Outcome, Row

MIB = 2**20
GROWTH_MIB = 150
"""How much an embedder may grow while thousands of documents wait for it: what it holds is bounded by its prefetch."""

HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "encrypted.pdf": (pdf.encrypted, "encrypted"),
    "truncated.pdf": (pdf.truncated, "corrupt"),
    "bomb.pdf": (pdf.flate_bomb, "limit"),
    "pages.pdf": (pdf.page_tree, "limit"),
    "swollen.docx": (office.swollen_docx, "limit"),
}


def poisoned(field: Field, documents: int, _patient: bool) -> Outcome:
    """Documents made to exhaust their parser, between ordinary ones: they fail with a reason, the others do not."""
    before = field.pid("ingest")
    half = field.documents(documents)
    with field.client() as client:
        client.all(half[: documents // 2])
        poison = {client.until_taken(name, make()): name for name, (make, _) in HOSTILE.items()}
        client.all(half[documents // 2 :])
        field.drain(180)
    rows = field.sql("SELECT id, reasons->'ingest'->>'reason' AS why FROM catalog.document WHERE id = ANY($1)",
                     list(poison))  # fmt: skip
    reasons = {poison[row["id"]]: row["why"] for row in rows}
    assert reasons == {name: why for name, (_, why) in HOSTILE.items()}, reasons
    assert field.pid("ingest") == before, "the service died of its documents"
    return Outcome(may_fail=frozenset(poison), note=", ".join(f"{name} {why}" for name, why in reasons.items()))


def flooded(field: Field, documents: int, patient: bool) -> Outcome:
    """The embedder is slowed: its memory is bounded, and every other stage finishes meanwhile."""
    embedder = psutil.Process(field.pid("embedder"))
    with field.client() as client:
        client.all(field.documents(4))
        field.drain(60)
        start = most = embedder.memory_info().rss
        field.failpoints.arm("embedder", "before-work", f"sleep@{5 if patient else 60}")
        mine = list(client.all(field.documents(documents), threads=8))
        deadline = time.monotonic() + 600
        while others := field.sql(OTHERS, mine)[0]["n"]:
            most = max(most, embedder.memory_info().rss)
            assert time.monotonic() < deadline, f"{others} documents wait for other stages than the slow one"
        waiting = int(field.sql(SLOW, mine)[0]["n"])
    field.failpoints.disarm()
    ended = time.time()
    assert waiting, "the embedder was not slow enough to show anything"
    grown = (most - start) / MIB
    assert grown < GROWTH_MIB, f"the embedder grew by {grown:.0f} MiB"
    return Outcome(ended, note=f"{waiting} documents waited for the embedder, which grew by {grown:.0f} MiB")


OTHERS = """
SELECT count(*) AS n FROM catalog.document
WHERE id = ANY($1) AND 'pending' IN (ingest, preview, enrich) OR id = ANY($1) AND NOT searchable @> '{keyword}'
"""
SLOW = "SELECT count(*) AS n FROM catalog.document WHERE id = ANY($1) AND embed = 'pending'"


def hung(field: Field, documents: int, _patient: bool) -> Outcome:
    """A parser stands still in the middle of a document, and another one is killed: both documents end as failed."""
    with field.client() as client:
        victims = []
        for number, halt in enumerate((psutil.Process.suspend, psutil.Process.kill)):
            field.drain(60)  # so that whoever works next works on the victim
            text = b"".join(content for _, content in field.documents(1)) * 8000
            victims.append(client.until_taken(f"long-{number}.txt", text))
            parser = until(lambda: _busy_parser(field), "a parser works", 30, poll_s=0.01)
            assert parser is not None
            halt(parser)
            client.all(field.documents(documents // 2))
        ended = time.time()
        field.drain(180)
    rows = field.sql("SELECT status, reasons->'ingest'->>'reason' AS why FROM catalog.document WHERE id = ANY($1)",
                     victims)  # fmt: skip
    return Outcome(ended, frozenset(victims), note=", ".join(str(row["why"]) for row in rows))


def _busy_parser(field: Field) -> psutil.Process | None:
    """The sandboxed child of ingest that computes now."""
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(field.pid("ingest")).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                # The zygote waits all the time; its children use the processor only with a document.
                if child.status() == psutil.STATUS_RUNNING and child.cpu_times().user > 0.05:
                    return child
    return None


ROWS = [
    Row("poison", "documents that attack their parser", poisoned, documents=40, few=2),
    Row("hung-parser", "a parser hangs, another one exits", hung, documents=20, few=None),
    Row("burst", "burst on a slow embedder", flooded, documents=1000, few=12, within_s=900),
]
