"""The whole of Quire as processes on this machine, and a client's view of it."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from quire_contracts import TABLE, Topology
from quire_gateway.bootstrap import bootstrap
from quire_gateway.settings import GatewaySettings
from quire_local import credentials
from quire_local.ports import PortBook
from quire_local.process import Site
from quire_local.settings import Settings
from quire_local.stack import urls
from quire_local.state import State
from quire_local.status import collect
from tests.support.rabbit import Rabbit


@dataclass(frozen=True)
class Stack:
    """A running stack."""

    home: Path

    @property
    def credentials(self) -> dict[str, str]:
        """What clients need."""
        return credentials.read(self.home)

    @property
    def site(self) -> Site:
        """Where its servers listen."""
        settings = Settings(home=self.home, port=None, s3=False)
        return Site(settings, PortBook(self.home, given=State(self.home).ports()))

    @property
    def database_url(self) -> str:
        """For what only a database connection can do."""
        return urls(self.site)["QUIRE_DATABASE_URL"]

    @property
    def environment(self) -> dict[str, str]:
        """For programs that talk to this stack."""
        return {**os.environ, "QUIRE_HOME": str(self.home), **self.credentials}

    @contextlib.contextmanager
    def client(self, key: str | None = None) -> Iterator[httpx.Client]:
        """An HTTP client; `key=""` has none."""
        own = self.credentials["QUIRE_API_KEY"] if key is None else key
        headers = {"X-API-Key": own} if own else {}
        with httpx.Client(base_url=self.credentials["QUIRE_URL"], headers=headers, timeout=60) as client:
            yield client

    def new_workspace(self) -> str:
        """The key of one more workspace."""
        settings = GatewaySettings(database_url=self.database_url)
        made = json.loads(asyncio.run(bootstrap(settings, "another", f"{uuid.uuid4().hex}@example.org")))
        return str(made["api_key"])

    def status(self) -> dict[str, Any]:
        """What `make status` shows."""
        return collect(Settings(home=self.home, port=None, s3=False))

    def pids(self, name: str) -> list[int]:
        """The main processes of a service."""
        return [row["pid"] for row in self.status()["processes"] if row["name"].split("-")[0] == name and row["pid"]]

    def kill(self, name: str) -> None:
        """kill -9 a service, as a crash would."""
        for pid in self.pids(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def depths(self) -> dict[str, int]:
        """Messages in each queue."""
        return {queue["queue"]: queue["messages"] for queue in self.status()["queues"]}


def start(home: Path, **environment: str) -> Stack:
    """A whole stack in a folder; raises with what `up` printed where it does not come up."""
    done = subprocess.run(
        [sys.executable, "-m", "quire_local", "up"],
        env={**os.environ, "QUIRE_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )
    if done.returncode:
        raise AssertionError(f"the stack did not start:\n{done.stdout}\n{done.stderr}")
    return Stack(home)


def stop(stack: Stack) -> None:
    """Stop a stack; its state goes with it."""
    subprocess.run(
        [sys.executable, "-m", "quire_local", "down"],
        env={**os.environ, "QUIRE_HOME": str(stack.home)},
        capture_output=True,
        timeout=120,
        check=True,
    )
    shutil.rmtree(stack.home, ignore_errors=True)


@contextlib.contextmanager
def running(**environment: str) -> Iterator[Stack]:
    """A stack in a folder of its own for as long as the context lasts."""
    home = Path(tempfile.mkdtemp(prefix="quire-e2e-"))
    home.chmod(0o755)
    free = _free_port()
    stack = start(home, QUIRE_PORT=str(free), **environment)
    try:
        yield stack
    finally:
        stop(stack)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def upload(client: httpx.Client, name: str, content: bytes, **fields: Any) -> dict[str, Any]:
    """Upload a document; fails where it is not accepted."""
    answer = client.post("/api/v1/documents", files={"file": (name, content)}, data=fields)
    assert answer.status_code in {200, 202}, answer.text
    document: dict[str, Any] = answer.json()
    return document


def finished(client: httpx.Client, ids: list[str], within_s: float = 90) -> dict[str, dict[str, Any]]:
    """Wait until all of these documents are ready or failed; by id. Fails with what is stuck in which stage."""
    deadline = time.monotonic() + within_s
    waiting, done = list(ids), {}
    while waiting:
        for document_id in list(waiting):
            answer = client.get(f"/api/v1/documents/{document_id}")
            if answer.status_code == 200 and answer.json()["status"] != "processing":
                done[document_id] = answer.json()
                waiting.remove(document_id)
        if waiting and time.monotonic() > deadline:
            stuck = [client.get(f"/api/v1/documents/{one}").json() for one in waiting]
            raise AssertionError(
                "stuck: " + json.dumps([{d.get("filename"): d.get("stages")} for d in stuck], indent=1)[:3000]
            )
        if waiting:
            time.sleep(0.05)
    return done


def leftovers(stack: Stack) -> dict[str, int]:
    """What should be gone when all is done: messages of any queue, those in a worker's hand too, and outbox rows."""
    topology = Topology()
    names = {queue.name for queue in topology.queues()}
    assert len(TABLE) * 2 < len(names)
    waiting = {name: depth for name, depth in stack.depths().items() if name in names and depth}
    if waiting:
        return waiting
    # From here on the broker is asked by its own command, which takes two seconds.
    held = {name: held for name, _, held in Rabbit(stack.site).queues() if name in names and held}
    return held or asyncio.run(_outboxes(stack)) or {k: n for k, n in stack.depths().items() if k in names and n}


async def _outboxes(stack: Stack) -> dict[str, int]:
    connection = await asyncpg.connect(stack.database_url)
    try:
        rows = {
            f"{schema}.outbox": await connection.fetchval(f"SELECT count(*) FROM {schema}.outbox")
            for schema in ("catalog", "search")
        }
    finally:
        await connection.close()
    return {name: count for name, count in rows.items() if count}
