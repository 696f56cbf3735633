"""A stack to break: its processes, broker, database and store, a client, a subscriber, and what the checker sees."""

import asyncio
import contextlib
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psutil

from quire_contracts import Topology
from quire_local import control, launcher, postgres, queues, rabbitmq
from quire_local.ports import PortBook
from quire_local.process import Site
from quire_local.settings import Settings
from quire_local.state import State
from tests.support import checker
from tests.support import stack as stacks
from tests.support.checker_findings import Finding
from tests.support.documents import generate
from tests.support.failpoints import Failpoints
from tests.support.proxy import Proxy
from tests.support.rabbit import QueueState, Rabbit
from tests.support.stack import Stack

from .ledger import Client, Content, Ledger
from .subscriber import QUEUE, Subscriber

T = TypeVar("T")

LADDER = ("1s", "2s", "5s", "10s", "30s", "1m")
"""Delays between attempts: they add up to more than any fault here lasts, and the last ones are seldom needed."""

ENVIRONMENT = {
    "QUIRE_RETRY_LADDER": " ".join(LADDER),
    # What is waited for in vain is given up soon, so that a short fault shows what a long one does.
    "QUIRE_DATABASE_TIMEOUT_S": "5",
    "QUIRE_PUBLISH_TIMEOUT_S": "5",
    "QUIRE_CONSUMER_CHECK_S": "1",
    "QUIRE_INGEST_TIMEOUT_S": "30",
    # Of pictures only the thumbnail: page images take more than half of a small document's time and break the same way.
    "QUIRE_PREVIEW_PAGES": "0",
    # The store is swept when a row asks for it, with nothing under way that a sweep without grace could harm.
    "QUIRE_SWEEP_EVERY_S": "3600",
    "QUIRE_CHORE_EVERY_S": "0.001",
    "QUIRE_ORPHAN_GRACE_S": "0",
}

OUTBOXES = "SELECT (SELECT count(*) FROM catalog.outbox) + (SELECT count(*) FROM search.outbox) AS n"
PROCESSING = "SELECT count(*) AS n FROM catalog.document WHERE status = 'processing' AND deleted_at IS NULL"
POLL_S = 0.1
STARTED_S = 60.0
WORKERS = ("ingest", "embedder", "enricher", "previewer")
SERVICES = ("gateway", "search", *WORKERS)


class Field:
    """Rows call what they need; everything that happened is in `ledger` and `subscriber`."""

    def __init__(self, stack: Stack, site: Site, failpoints: Failpoints, proxy: Proxy | None) -> None:
        self.stack = stack
        self.topology = Topology(ladder=LADDER)
        self.failpoints = failpoints
        self.ledger = Ledger()
        self.may_fail: frozenset[str] = frozenset()
        """Documents of all rows so far that are to end as failed."""
        self.objects = stack.home / "objects"
        self.rabbit = Rabbit(site)
        self._proxy = proxy
        self._queues: Sequence[QueueState] = ()
        admin = urlsplit(postgres.admin_url(site))
        self._database_url = urlunsplit(admin._replace(path=f"/{postgres.DATABASE}"))
        self._seed = 40_000_000
        self._workspace = str(self.sql("SELECT id FROM catalog.workspace")[0]["id"])
        self.subscriber = Subscriber(rabbitmq.url(site))

    @property
    def proxy(self) -> Proxy:
        """Between the services and the broker, where this stack has one."""
        if self._proxy is None:
            raise AssertionError("this row needs a stack whose services reach the broker through a proxy")
        return self._proxy

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        """Uploads to the gateway; every attempt goes into the ledger."""
        with self.stack.client() as http:
            yield Client(http, self._workspace, self.ledger)

    def documents(self, count: int) -> list[Content]:
        """Small texts that were never uploaded before."""
        self._seed += count
        return list(generate.documents(count, self._seed - count))

    # The processes.

    def row(self, name: str) -> dict[str, Any]:
        """What the supervisor says of a process."""
        report = launcher.ask(self.stack.home, {"do": "status"})
        found: dict[str, Any] = next(row for row in report["processes"] if row["name"] == name)
        return found

    def pid(self, name: str) -> int:
        """The main process of a service; waits until there is one."""
        return until(lambda: int(self.row(name)["pid"] or 0), f"{name} runs", STARTED_S)

    def send(self, name: str, number: signal.Signals) -> int:
        """Send a signal to a process of the stack; its pid."""
        process = psutil.Process(self.pid(name))
        process.send_signal(number)
        return process.pid

    def scale(self, name: str, count: int) -> None:
        """Run so many of a process from now on."""
        for _ in control.ask(self.stack.home, {"do": "scale", "name": name, "count": count}, timeout_s=120):
            pass

    def well(self, *names: str, within_s: float = STARTED_S) -> None:
        """Wait until these processes answer as they should; all of them when none is named."""

        def answer() -> bool:
            report = launcher.ask(self.stack.home, {"do": "status"})
            rows = [row for row in report["processes"] if not names or row["name"] in names]
            return not any(row["problem"] for row in rows)

        until(answer, f"{', '.join(names) or 'everything'} is well", within_s)

    # The database and the queues.

    def sql(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """Rows, seen by the superuser."""

        async def fetch(connection: asyncpg.Connection) -> list[asyncpg.Record]:
            return await connection.fetch(query, *arguments)

        return self._asked(fetch)

    def depths(self) -> dict[str, int]:
        """Messages that wait in each queue."""
        names = [queue.name for queue in self.topology.queues()]
        found = asyncio.run(queues.depths(self.rabbit.url, [*names, QUEUE]))
        return {depth.queue: depth.messages or 0 for depth in found}

    def waiting(self, service: str) -> int:
        """Messages that no worker of the service has taken yet."""
        queues = (self.topology.work_queue(service), f"{self.topology.work_queue(service)}.bulk")
        return sum(depth for name, depth in self.depths().items() if name in queues)

    def consumers(self) -> dict[str, int]:
        """Consumers of each service's work queue."""
        names = [self.topology.work_queue(service) for service in SERVICES]
        return {depth.queue: depth.consumers or 0 for depth in asyncio.run(queues.depths(self.rabbit.url, names))}

    def outbox(self) -> int:
        """Rows that wait for the broker."""
        return int(self.sql(OUTBOXES)[0]["n"])

    def first_ready(self, since: float) -> float | None:
        """Seconds from a moment to the first document that became ready after it; None where none did."""
        query = (
            "SELECT extract(epoch FROM min(updated_at))::float8 AS at FROM catalog.document"
            " WHERE status = 'ready' AND updated_at > to_timestamp($1)"
        )
        at = self.sql(query, since)[0]["at"]
        return None if at is None else float(at) - since

    def drain(self, within_s: float) -> None:
        """Wait until nothing is processing or waiting anywhere; returns in any case, for the checker to tell."""
        try:
            until(self._is_settled, "drained", within_s)
        except AssertionError:
            self._queues = self.rabbit.queues()

    def sweep(self) -> int:
        """Have the gateway delete what a crash left in the store; how many objects and unfinished uploads that were."""
        with self.stack.client() as http:

            def swept() -> list[int]:
                answer = http.post("/api/v1/admin/sweep")
                if answer.status_code in {409, 503}:
                    return []
                answer.raise_for_status()
                done = answer.json()
                return [int(done["objects"] or 0) + int(done["uploads"] or 0)]

            return until(swept, "the store is swept", 60)[0]

    def check(self, **expected: Any) -> list[Finding]:
        """What the checker finds wrong, with the queues as `drain` left them."""
        names = {queue.name for queue in self.topology.queues()} | {QUEUE}
        evidence = checker.Evidence(
            uploads=self.ledger.uploads,
            observed=self.subscriber.received,
            queues=[checker.Queue(*state) for state in self._queues if state[0] in names],
            objects=self.objects,
            deleted=frozenset(self.ledger.deleted),
            **expected,
        )

        async def look(connection: asyncpg.Connection) -> list[Finding]:
            return await checker.check(connection, evidence)

        return self._asked(look)

    def is_drained(self) -> bool:
        """Whether no document is processing and no message waits; one may still be in hand."""
        try:
            busy = self.sql(PROCESSING)[0]["n"] + self.outbox()
            return not busy and not any(n for name, n in self.depths().items() if not name.endswith(".parked"))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False

    def _is_settled(self) -> bool:
        """Drained, and nothing is in hand; what a message in hand may have led to is looked for afterwards."""
        if not self.is_drained():
            return False
        self._queues = self.rabbit.queues()
        return not any(ready + held for name, ready, held in self._queues if not name.endswith(".parked")) and (
            self.is_drained()
        )

    def _asked(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        async def run() -> T:
            connection = await asyncpg.connect(self._database_url, timeout=10)
            try:
                return await work(connection)
            finally:
                await connection.close()

        return asyncio.run(run())


def until(condition: Callable[[], T], what: str, within_s: float, poll_s: float = POLL_S) -> T:
    """The first true answer; fails with `what` where there is none in time."""
    deadline = time.monotonic() + within_s
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:g} s: {what}")
        time.sleep(poll_s)
    return answer


@contextlib.contextmanager
def field(proxied: bool = False, **environment: str) -> Iterator[Field]:
    """A stack of its own with everything around it; `proxied` puts a proxy between the services and the broker."""
    home = Path(tempfile.mkdtemp(prefix="quire-chaos-"))
    home.chmod(0o755)
    points = tempfile.mkdtemp(prefix="quire-failpoints-")
    failpoints = Failpoints(Path(points))
    with contextlib.ExitStack() as opened:
        opened.callback(shutil.rmtree, points, ignore_errors=True)
        settings = Settings(home=home, port=None, s3=False)
        proxy = None
        if proxied:
            port = PortBook(home).port(rabbitmq.NAME)
            proxy = opened.enter_context(Proxy(f"amqp://127.0.0.1:{port}/"))
        variables = {**ENVIRONMENT, **failpoints.environment(proxy.port if proxy else None), **environment}
        stack = stacks.start(home, QUIRE_PORT=str(_free_port()), **variables)
        opened.callback(stacks.stop, stack)
        made = Field(stack, Site(settings, PortBook(home, given=State(home).ports())), failpoints, proxy)
        opened.enter_context(made.subscriber)
        yield made


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
