"""Ending processes with everything they started, and finding those a killed supervisor left behind."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from quire_local.identity import Identity, identify
from quire_local.state import read_json, write_atomically

MARKER = "QUIRE_LOCAL_STACK"
"""Environment variable by which a process of a stack is known: the stack's home."""


@dataclass(frozen=True)
class Record:
    """One started process, as `run/processes.json` keeps it for whoever must clean up."""

    name: str
    pid: int
    started: float
    stop_signal: int
    grace: float
    layer: int
    """Depth in the order of dependence: the highest is stopped first."""

    @property
    def identity(self) -> Identity:
        return Identity(self.pid, self.started)


def write_records(home: Path, records: Iterable[Record]) -> None:
    write_atomically(
        _records_path(home), json.dumps([asdict(record) for record in records]).join(('{"processes":', "}"))
    )


def read_records(home: Path) -> list[Record]:
    return [Record(**entry) for entry in read_json(_records_path(home)).get("processes", [])]


def descendants(pid: int) -> list[psutil.Process]:
    """Everything below the process, itself not included; empty when it is gone."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill(processes: Iterable[psutil.Process], patience: float = 3.0) -> None:
    """SIGKILL; psutil refuses a recycled pid. Returns when they have ended."""
    targets = list(processes)
    for process in targets:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    wait_ended(targets, patience)


def wait_ended(processes: Iterable[psutil.Process], patience: float) -> bool:
    """Wait until none runs; one that ended and only awaits its parent's notice counts as ended, unlike in psutil."""
    deadline = time.monotonic() + patience
    while any(_runs(process) for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill_group(group: int) -> None:
    """SIGKILL for what is left of a process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def left_behind(home: Path) -> list[psutil.Process]:
    """Every process that carries the stack's marker, as far as the system lets us read environments."""
    me = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid not in me and process.environ().get(MARKER) == str(home):
                found.append(process)
    return found


def sweep(home: Path) -> list[str]:
    """End all that a supervisor which died left running, in the order of dependence; returns the names it ended."""
    found = [(record, record.identity.process()) for record in read_records(home)]
    alive = [(record, process) for record, process in found if process is not None]
    for layer in sorted({record.layer for record, _ in alive}, reverse=True):
        together = [(record, process) for record, process in alive if record.layer == layer]
        below = [child for record, _ in together for child in descendants(record.pid)]
        for record, process in together:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(record.stop_signal)
        wait_ended([process for _, process in together], max(record.grace for record, _ in together))
        kill([*(process for _, process in together), *below])
    strays = left_behind(home)
    kill(strays)
    _records_path(home).unlink(missing_ok=True)
    return [record.name for record, _ in alive] + [f"pid {process.pid}" for process in strays]


def record_of(name: str, pid: int, stop_signal: int, grace: float, layer: int) -> Record | None:
    """The record of a process just started, or None when it is gone already."""
    identity = identify(pid)
    return None if identity is None else Record(name, pid, identity.started, stop_signal, grace, layer)


def _records_path(home: Path) -> Path:
    return home / "run" / "processes.json"
