"""The profile: where the CPU time of a burst goes, by function in each service and by statement in PostgreSQL.

py-spy looks at each service ten times a second from outside; a child process of a service counts as the service. It
sees Python's threads alone, and takes a thread that waits for the disk for a busy one. It slows the road down, so rates
belong to `throughput`, and shares to this.
"""

import asyncio
import contextlib
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg

from quire_local import postgres
from quire_local.ports import PortBook
from quire_local.process import Site
from quire_local.settings import Settings
from quire_local.state import State
from tests.support import stack as stacks
from tests.support.stack import Stack

from .processes import Processes
from .results import Measurement, show
from .throughput import CONNECTIONS, burst

PER_SECOND = 10
TOP = 10
SERVICES = ("gateway", "search", "ingest", "embedder", "enricher", "previewer")
STATEMENTS = """
SELECT left(regexp_replace(query, '\\s+', ' ', 'g'), 160) AS query, calls, total_exec_time AS ms, rows
FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid
WHERE datname = $1 ORDER BY total_exec_time DESC LIMIT 15
"""


def measure(documents: int) -> None:
    """Run it on a stack of its own, print and save."""
    measurement = Measurement("profile", documents=documents, connections=CONNECTIONS, per_second=PER_SECOND)
    with tempfile.TemporaryDirectory(prefix="quire-profile-") as folder, stacks.running() as stack:
        asyncio.run(_reset_statements(stack))
        figures = burst(stack, documents, lambda _, processes: _recording(processes, Path(folder)))
        statements = asyncio.run(_statements(stack))
        profiles = {name: _profile(Path(folder) / f"{name}.txt") for name in SERVICES}
    for name, profile in profiles.items():
        cpu = sum(figures["cpu_s"].get(part, 0.0) for part in (name, f"{name} sandbox"))
        for kind, what in (("packages", "package, own"), ("own", "function, own"), ("inclusive", "function of ours")):
            rows = [[function, f"{share:.1%}"] for function, share in profile[kind].items()]
            show(f"{name}: {cpu:.1f} s of CPU", [what, "share"], rows)
    each = [[row["query"][:90], row["calls"], row["ms"], row["ms"] / documents] for row in statements]
    show("PostgreSQL", ["statement", "calls", "ms", "ms a document"], each)
    measurement.save({"cpu_s": figures["cpu_s"], "services": profiles, "statements": statements})


@contextlib.contextmanager
def _recording(processes: Processes, folder: Path) -> Iterator[None]:
    py_spy = Path(sys.executable).with_name("py-spy")
    spies = [
        subprocess.Popen(
            [py_spy, "record", "--pid", str(processes.roots[name]), "--subprocesses", "--nonblocking", "--function",
             "--rate", str(PER_SECOND), "--format", "raw", "--duration", "unlimited", "--output",
             str(folder / f"{name}.txt")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for name in SERVICES
    ]  # fmt: skip
    try:
        yield
    finally:
        for spy in spies:
            spy.send_signal(signal.SIGINT)  # it then writes what it saw
        for spy in spies:
            spy.wait(60)


def _profile(path: Path) -> dict[str, Any]:
    """Shares of the samples: by package and by function at the top of the stack, and by function of ours on it."""
    packages: Counter[str] = Counter()
    own: Counter[str] = Counter()
    inclusive: Counter[str] = Counter()
    total = 0
    for line in path.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [frame for frame in stack.split(";") if not frame.startswith("process ")]
        if not frames or not count.isdigit():
            continue
        total += int(count)
        packages[_package(frames[-1])] += int(count)
        own[frames[-1]] += int(count)
        inclusive.update(dict.fromkeys((frame for frame in frames if _is_telling(frame)), int(count)))
    return {
        "samples": total,
        **{
            name: {what: count / total for what, count in counter.most_common(TOP)}
            for name, counter in (("packages", packages), ("own", own), ("inclusive", inclusive))
        },
    }


def _package(frame: str) -> str:
    """`write (asyncio/streams.py:342)` belongs to `asyncio`."""
    return frame.rpartition("(")[2].partition("/")[0].partition(".py")[0].strip("<>)")


def _is_telling(frame: str) -> bool:
    """Ours, and not what every stack begins with."""
    return "(quire_" in frame and not any(
        part in frame for part in ("__main__.py", "/main.py", "/service.py", "/zygote.py", "serve (", "_answer (")
    )


async def _reset_statements(stack: Stack) -> None:
    await _as_admin(stack, "SELECT pg_stat_statements_reset()::text")


async def _statements(stack: Stack) -> list[dict[str, Any]]:
    return [dict(row) for row in await _as_admin(stack, STATEMENTS, postgres.DATABASE)]


async def _as_admin(stack: Stack, statement: str, *arguments: Any) -> list[asyncpg.Record]:
    site = Site(Settings(home=stack.home, port=None, s3=False), PortBook(stack.home, given=State(stack.home).ports()))
    connection = await asyncpg.connect(postgres.admin_url(site), database=postgres.DATABASE)
    try:
        return await connection.fetch(statement, *arguments)
    finally:
        await connection.close()
