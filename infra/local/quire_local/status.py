"""What `status` shows: each process with its health, memory and processor use, each queue's depth, and dead letters."""

import asyncio
import contextlib
import time
from dataclasses import asdict
from typing import Any

import asyncpg
import psutil
from rich.console import Console
from rich.table import Table

from quire_contracts.topology import Topology
from quire_local import launcher, postgres, queues, rabbitmq
from quire_local.ports import PortBook
from quire_local.process import Site
from quire_local.settings import Settings
from quire_local.state import State

CPU_WINDOW_S = 0.5
CATALOG_TIMEOUT_S = 3.0
PLAIN: dict[str, Any] = {"box": None, "pad_edge": False}


def collect(settings: Settings) -> dict[str, Any]:
    """The whole state of a running stack as plain data; raises control.NotRunning."""
    trees: dict[str, list[psutil.Process]] = {}
    report = launcher.ask(settings.home, {"do": "status"})
    report["processes"].append(_supervisor_row(report))
    for row in report["processes"]:
        trees[row["name"]] = _tree(row["pid"], alone=row["name"] == "supervisor")
    before, began = {name: _cpu_seconds(tree) for name, tree in trees.items()}, time.monotonic()
    running = {row["name"] for row in report["processes"]}
    report["queues"] = _depths(settings) if rabbitmq.NAME in running else []
    report["dead_letters"] = _dead_letters(settings) if postgres.NAME in running else {}
    time.sleep(max(0.0, CPU_WINDOW_S - (time.monotonic() - began)))
    window = time.monotonic() - began
    for row in report["processes"]:
        tree = trees[row["name"]]
        row["memory_mb"] = round(sum(map(_memory, tree)) / 2**20, 1)
        row["cpu_percent"] = round(100 * max(0.0, _cpu_seconds(tree) - before[row["name"]]) / window, 1)
    return report


def all_well(report: dict[str, Any]) -> bool:
    """Everything runs and answers."""
    return report["state"] == "ready" and not any(row["problem"] for row in report["processes"])


def show(report: dict[str, Any], console: Console) -> None:
    """Two tables: the processes, and the queues of each service."""
    table = Table("process", "pid", "port", "up since", "restarts", "health", "memory", "cpu", **PLAIN)
    for column in table.columns:
        column.no_wrap = True
    for row in report["processes"]:
        health = f"[red]{row['problem']}[/]" if row["problem"] else "[green]ok[/]"
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row["since"])) if row["since"] else "-"
        table.add_row(
            row["name"], str(row["pid"] or "-"), str(row["port"] or "-"), since, str(row["restarts"]), health,
            f"{row['memory_mb']:.0f} MB", f"{row['cpu_percent']:.0f}%",
        )  # fmt: skip
    total = sum(row["memory_mb"] for row in report["processes"])
    table.add_row("", "", "", "", "", "", f"{total:.0f} MB", "")
    console.print(table)
    if not report["queues"]:
        return
    console.print()
    console.print(_queue_table(report["queues"], report["dead_letters"]))


def _queue_table(depths: list[dict[str, Any]], letters: dict[str, int]) -> Table:
    """A row for each service: what waits in its queue, as bulk, for a retry, and for a person; `-` is not declared.

    What waits for a person is in the catalog, or still in the parked queue.
    """
    topology = Topology()
    found = {depth["queue"]: depth for depth in depths}

    def cell(queue: str, field: str = "messages") -> str:
        value = found[queue][field] if queue in found else None
        return "-" if value is None else str(value)

    delays = list(dict.fromkeys(delay for row in topology.table for delay in topology.ladder(row.service)))
    headings = ("queue of", "consumers", "waiting", "bulk", *(f"in {delay}" for delay in delays), "dead letters")
    table = Table(*headings, **PLAIN)
    for row in topology.table:
        work = topology.work_queue(row.service)
        retries = (cell(topology.delay_queue(row.service, delay)) for delay in delays)
        parked = found.get(topology.parked_queue(row.service), {}).get("messages") or 0
        dead = str(parked + letters.get(row.service, 0))
        bulk = cell(topology.bulk_queue(row.service))
        table.add_row(row.service, cell(work, "consumers"), cell(work), bulk, *retries, dead)
    table.add_row("(unrouted)", "", cell(topology.unrouted))
    return table


def _supervisor_row(report: dict[str, Any]) -> dict[str, Any]:
    pid = report["supervisor"]
    since = psutil.Process(pid).create_time()
    return {
        "name": "supervisor",
        "pid": pid,
        "port": None,
        "state": "ready",
        "since": since,
        "restarts": 0,
        "problem": "",
    }


def _site(settings: Settings) -> Site:
    return Site(settings, PortBook(settings.home, given=State(settings.home).ports()))


def _dead_letters(settings: Settings) -> dict[str, int]:
    """How many wait for a person, by service; none where the catalog does not answer."""

    async def counted() -> dict[str, int]:
        connection = await asyncpg.connect(postgres.url(_site(settings)), timeout=CATALOG_TIMEOUT_S)
        try:
            rows = await connection.fetch(
                "SELECT service, count(*) AS n FROM catalog.dead_letter WHERE state = 'parked' GROUP BY service",
                timeout=CATALOG_TIMEOUT_S,
            )
        finally:
            await connection.close(timeout=CATALOG_TIMEOUT_S)
        return {row["service"]: row["n"] for row in rows}

    try:
        return asyncio.run(counted())
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return {}


def _depths(settings: Settings) -> list[dict[str, Any]]:
    names = [queue.name for queue in Topology().queues()]
    try:
        return [asdict(depth) for depth in asyncio.run(queues.depths(rabbitmq.url(_site(settings)), names))]
    except OSError:
        return []


def _tree(pid: int | None, alone: bool) -> list[psutil.Process]:
    if pid is None:
        return []
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        return [root] if alone else [root, *root.children(recursive=True)]
    return []


def _cpu_seconds(tree: list[psutil.Process]) -> float:
    total = 0.0
    for process in tree:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def _memory(process: psutil.Process) -> int:
    """Bytes: the proportional share where the system tells it, else the resident set."""
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", None) or full.uss)
    except (psutil.Error, OSError):
        with contextlib.suppress(psutil.Error):
            return int(process.memory_info().rss)
    return 0
