"""The processes of a running stack: the CPU time each has used and the memory each holds, by name.

A service that reads documents in confined child processes has two names: its own and `<service> sandbox`.
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from tests.support.stack import Stack

SANDBOXED = ("ingest", "previewer")


@dataclass(frozen=True)
class Memory:
    """Bytes. `pss` counts a page that n processes share as 1/n in each; `rss` counts it whole in each."""

    pss: int
    rss: int


class Processes:
    """Knows the main process of everything in the stack; children are looked up at each question."""

    def __init__(self, stack: Stack) -> None:
        report = stack.status()
        self.roots = {row["name"]: int(row["pid"]) for row in report["processes"] if row["pid"]}
        self.ports = {row["name"]: int(row["port"]) for row in report["processes"] if row["port"]}

    def cpu_s(self) -> dict[str, float]:
        """Seconds of CPU time used since each started, children that have ended included."""
        found: dict[str, float] = defaultdict(float)
        for name, process in self._all():
            with contextlib.suppress(psutil.Error):
                used = process.cpu_times()
                found[name] += used.user + used.system
                if name != "supervisor":  # its children are the others
                    found[name] += used.children_user + used.children_system
        return dict(found)

    def memory(self) -> dict[str, Memory]:
        """What each holds now."""
        pss: dict[str, int] = defaultdict(int)
        rss: dict[str, int] = defaultdict(int)
        for name, process in self._all():
            with contextlib.suppress(psutil.Error):
                full = process.memory_full_info()
                pss[name] += int(getattr(full, "pss", full.uss))
                rss[name] += int(full.rss)
        return {name: Memory(pss[name], rss[name]) for name in pss}

    def _all(self) -> Iterator[tuple[str, psutil.Process]]:
        for name, pid in self.roots.items():
            try:
                root = psutil.Process(pid)
                children = root.children(recursive=True) if name != "supervisor" else []
            except psutil.NoSuchProcess:
                continue
            yield name, root
            for child in children:
                yield f"{name} sandbox" if name in SANDBOXED else name, child


def used(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """CPU seconds between two answers of `Processes.cpu_s`, the largest first."""
    spent = {name: after[name] - before.get(name, 0.0) for name in after}
    return dict(sorted(spent.items(), key=lambda item: -item[1]))
