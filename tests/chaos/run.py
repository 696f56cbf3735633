"""Running rows one after the other, each followed by a drain and the checker, and telling what came of it."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.support.checker_findings import Finding

from . import rows_broker, rows_load, rows_order, rows_processes, rows_stores
from .field import Field, field
from .row import Outcome, Row

# The broker's come last: they leave ten thousand documents, which every check after them reads again.
MODULES = (rows_processes, rows_stores, rows_order, rows_load, rows_broker)
ROWS: dict[str, Row] = {row.name: row for module in MODULES for row in module.ROWS}

HEADER = (
    f"{'fault':42} {'docs':>6} {'lost':>5} {'dupl.':>5} {'unexp.':>6} {'first s':>8} {'all s':>7} {'run s':>6}  note"
)
"""`first s`: from the end of the fault to the first document that became ready; `all s`: until all was drained."""


@dataclass(frozen=True)
class Result:
    """What a row came to."""

    row: Row
    documents: int
    findings: Sequence[Finding]
    first_s: float | None
    all_s: float
    took_s: float
    note: str

    def __str__(self) -> str:
        kinds = Counter(dict.fromkeys(("lost", "duplicated", "unexpected"), 0))
        for finding in self.findings:
            kinds[finding.kind] += max(1, len(finding.evidence))
        first = "-" if self.first_s is None else f"{self.first_s:.1f}"
        return (
            f"{self.row.fault[:42]:42} {self.documents:6} {kinds['lost']:5} {kinds['duplicated']:5} "
            f"{kinds['unexpected']:6} {first:>8} {self.all_s:7.1f} {self.took_s:6.1f}  {self.note}"
        )


class Reporter:
    """Tells each new finding once: what a row left broken is not the next row's."""

    def __init__(self) -> None:
        self._known: set[tuple[str, str, str]] = set()

    def fresh(self, findings: Iterable[Finding]) -> list[Finding]:
        """The findings without the evidence that was told before."""
        new = []
        for finding in findings:
            keys = {one: (finding.invariant, finding.text, one) for one in finding.evidence or [finding.text]}
            evidence = [one for one, key in keys.items() if key not in self._known]
            self._known.update(keys.values())
            if evidence:
                new.append(Finding(finding.invariant, finding.kind, finding.text, evidence))
        return new


def run_row(on: Field, row: Row, documents: int, patient: bool, reporter: Reporter) -> Result:
    """The fault, the drain and the check. Whatever the fault left armed is disarmed."""
    began, mark = time.monotonic(), len(on.ledger.uploads)
    findings: list[Finding] = []
    try:
        outcome = row.run(on, documents, patient)
    except Exception as error:  # a row that cannot go on says so, and what it left is checked all the same
        outcome = Outcome(note="failed")
        findings.append(Finding("row", "unexpected", f"{type(error).__name__}: {error}"))
    on.failpoints.disarm()
    on.drain(row.within_s)
    drained = time.time()
    swept = on.sweep()
    on.may_fail |= outcome.may_fail
    findings += reporter.fresh(on.check(may_fail=on.may_fail, parked=outcome.parked))
    taken = len({one.document for one in on.ledger.since(mark) if one.document})
    return Result(
        row, taken, findings, on.first_ready(outcome.ended), max(0.0, drained - outcome.ended),
        time.monotonic() - began, f"{outcome.note}; {swept} objects swept" if swept else outcome.note,
    )  # fmt: skip


def run(rows: Sequence[Row], documents: int | None) -> int:
    """Every row in the long form, on one stack for those that need no proxy and one for those that do."""
    print(HEADER, flush=True)
    broken = 0
    for proxied in (False, True):
        chosen = [row for row in rows if row.proxied == proxied]
        if not chosen:
            continue
        with field(proxied) as on:
            reporter = Reporter()
            for row in chosen:
                result = run_row(on, row, documents or row.documents, patient=True, reporter=reporter)
                print(result, flush=True)
                for finding in result.findings:
                    print(f"    {finding}", flush=True)
                broken += bool(result.findings)
    print(f"{len(rows) - broken} of {len(rows)} rows hold", flush=True)
    return broken
