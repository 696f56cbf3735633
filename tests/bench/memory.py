"""Memory: what everything holds while it is idle, after the start and after some documents."""

import time
from typing import Any

from tests.support import stack as stacks
from tests.support.documents import generate, pdf
from tests.support.stack import Stack

from .processes import Memory, Processes
from .results import Measurement, show

SETTLE_S = 5.0
MIB = 2**20


def measure(documents: int) -> None:
    """Run it on a stack of its own, print and save."""
    measurement = Measurement("memory", documents=documents, settle_s=SETTLE_S)
    with stacks.running() as stack:
        processes = Processes(stack)
        moments = {"after the start": _settled(processes)}
        _process(stack, documents)
        moments[f"after {documents} documents"] = _settled(processes)
    rows = [
        [name, *(size / MIB for found in moments.values() for size in _sizes(found.get(name)))]
        for name in next(reversed(moments.values()))
    ]
    totals = [sum(column) for column in zip(*(row[1:] for row in rows), strict=True)]
    columns = ["process", *(f"{kind} {moment}" for moment in moments for kind in ("PSS", "RSS"))]
    show("memory in MiB; PSS shares out what processes have in common", columns, [*rows, ["sum", *totals]])
    measurement.save({
        moment: {
            "pss_mib": {name: memory.pss / MIB for name, memory in found.items()},
            "rss_mib": {name: memory.rss / MIB for name, memory in found.items()},
            "sum_pss_mib": sum(memory.pss for memory in found.values()) / MIB,
            "sum_rss_mib": sum(memory.rss for memory in found.values()) / MIB,
        }
        for moment, found in moments.items()
    })  # fmt: skip


def _settled(processes: Processes) -> dict[str, Memory]:
    time.sleep(SETTLE_S)  # what is measured is an idle stack
    return processes.memory()


def _sizes(memory: Memory | None) -> tuple[int, int]:
    return (memory.pss, memory.rss) if memory else (0, 0)


def _process(stack: Stack, documents: int) -> None:
    """Half texts, half PDFs."""
    with stack.client() as client:
        ids: list[Any] = []
        for number, (name, content) in enumerate(generate.documents(documents, 20_000_000)):
            made = (name.replace(".txt", ".pdf"), pdf.pages([content.decode()])) if number % 2 else (name, content)
            ids.append(stacks.upload(client, *made)["id"])
        stacks.finished(client, ids, within_s=180)
