"""The commands `quire admin sweep`, `reconcile` and `rebuild-index`: what helps when something was lost."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from . import show
from .asking import PATIENCE_S, Json, Yes, complain, refusal
from .client import Quire
from .upkeep import Difference, Rebuilt, Reconciled, WorkProgress

Flag = Parameter(negative="")
SHOWN = 200
"""Differences that a table shows; the counts and --json have all of them."""


async def sweep(*, as_json: Json = False) -> int:
    """Look for stuck documents now and help them on, instead of within a minute.

    Parameters
    ----------
    as_json
        The answer as JSON.
    """
    async with Quire(patience=PATIENCE_S) as quire:
        done = await quire.upkeep.sweep()
    if as_json:
        print(done.model_dump_json())
        return 0
    print(f"{show.count(done.replayed, 'document')} replayed, {done.failed} failed as stuck, {done.waiting} waiting")
    if done.objects is not None:
        print(f"{show.count(done.objects, 'orphaned object')}, {done.uploads} unfinished uploads deleted")
    return 0


async def reconcile(
    *,
    repair: Annotated[bool, Flag] = False,
    checksums: Annotated[bool, Flag] = False,
    as_json: Json = False,
) -> int:
    """Compare the catalog with the index and the store; the exit code is 1 where differences are left.

    Parameters
    ----------
    repair
        Mend what can be mended.
    checksums
        Read every content and compare its SHA-256.
    as_json
        One JSON object a line: each difference, then the summary.
    """
    found: list[Difference] = []
    summary: Reconciled | None = None
    console = show.console()
    async with Quire(patience=PATIENCE_S) as quire:
        with _told(show.console(stderr=True), quiet=as_json) as tell:
            async for line in quire.upkeep.reconcile(repair=repair, checksums=checksums):
                if isinstance(line, WorkProgress):
                    tell(line)
                    continue
                if as_json:
                    print(line.model_dump_json(), flush=True)
                if isinstance(line, Reconciled):
                    summary = line
                elif len(found) < SHOWN:
                    found.append(line)
    assert summary is not None  # the client raises where there is none
    if not as_json:
        if found:
            console.print(_differences(found))
            console.print()
        _summarise(summary, len(found))
    return 1 if summary.unrepaired else 0


async def rebuild_index(*, yes: Yes = False, as_json: Json = False) -> int:
    """Empty the search index and make it anew from the event log. Queries go on, and find what is there so far.

    Parameters
    ----------
    yes
        Do not ask.
    as_json
        The summary as JSON.
    """
    refused = refusal("Empty the search index and make it anew?", yes)
    if refused is not None:
        return refused
    summary: Rebuilt | None = None
    async with Quire(patience=PATIENCE_S) as quire:
        with _told(show.console(stderr=True), quiet=as_json) as tell:
            async for line in quire.upkeep.rebuild_index():
                if isinstance(line, Rebuilt):
                    summary = line
                else:
                    tell(line)
    assert summary is not None  # the client raises where there is none
    if as_json:
        print(summary.model_dump_json())
    else:
        took = show.duration(round(summary.took_s * 1000))
        print(f"rebuilt: {show.count(summary.documents, 'document')}, {summary.events} events, in {took}")
    if summary.waiting:
        return complain(f"{summary.waiting} events wait: is the search service running?", 1)
    return 0


class _Progress:
    """The newest line of progress on a terminal; elsewhere one line for each phase that ended."""

    def __init__(self, console: Console, live: Live | None) -> None:
        self._console = console
        self._live = live
        self._last: WorkProgress | None = None

    def __call__(self, line: WorkProgress) -> None:
        if self._live is not None:
            self._live.update(_progress(line))
        elif self._last is not None and self._last.phase != line.phase:
            self._console.print(_progress(self._last))
        self._last = line


@contextmanager
def _told(console: Console, *, quiet: bool) -> "Iterator[_Progress]":
    if quiet:
        yield _Progress(Console(quiet=True), None)
    elif console.is_terminal:
        with Live(console=console, transient=True) as live:
            yield _Progress(console, live)
    else:
        yield _Progress(console, None)


def _progress(line: WorkProgress) -> Text:
    of = f" of {line.total}" if line.total is not None else ""
    rate = f", {line.rate:.0f}/s" if line.rate else ""
    paused = ", waits until the search service has taken what it was given" if line.paused else ""
    return Text(f"{line.phase}: {line.done}{of}{rate}{paused}", style="dim")


def _differences(found: list[Difference]) -> Table:
    made = show.table("Kind", "Document", "Repaired", "Detail")
    for one in found:
        made.add_row(
            Text(one.kind), Text(show.clean(one.document), no_wrap=True, overflow="fold"),
            Text("yes", style="green") if one.repaired else Text("no", style="bold red"),
            Text(show.clean(one.detail), overflow="fold"),
        )  # fmt: skip
    return made


def _summarise(summary: Reconciled, shown: int) -> None:
    counts = Counter(summary.differences)
    if counts.total() > shown:
        print(f"… and {counts.total() - shown} more; --json shows all of them")
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))
    print(f"{show.count(counts.total(), 'difference')}{f': {kinds}' if kinds else ''}")
    left = f", {summary.processing} still processing" if summary.processing else ""
    left += f", {summary.moving} changed just now" if summary.moving else ""
    print(f"{show.count(summary.documents, 'document')} compared{left}; {summary.repaired} repaired, "
          f"{summary.unrepaired} not; {show.duration(round(summary.took_s * 1000))}")  # fmt: skip
