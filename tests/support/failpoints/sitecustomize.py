"""Loaded by a service at its start: it dies, freezes or waits at the points where that hurts most, when it is told to.

Off unless QUIRE_FAILPOINTS names a folder. A file `<service>.<point>` there holds what is to happen: `kill@3` or
`stop@3` when the service comes to the point for the third time, or `sleep@0.05` each time, for as long as the file is
there. Whoever acts on `kill` or `stop` removes the file first, so that the process that is started instead lives on.
QUIRE_FAILPOINTS_BROKER_PORT makes the service reach its broker on another port of this machine, behind which a proxy
stands.
"""

import asyncio
import functools
import os
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

SERVICES = ("gateway", "search", "ingest", "embedder", "enricher", "previewer")
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
RELAY = "outbox run"
"""Name of the task that publishes an outbox."""

_hits: Counter[str] = Counter()


def service() -> str:
    """Which service this process is; empty where it is a job, a tool or a sandbox."""
    found = [name for name in SERVICES if sys.orig_argv[-2:] == ["-m", f"quire_{name}"]]
    return found[0] if found else ""


async def pause(path: Path, seconds: float) -> None:
    """Wait, but no longer than the file is there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and os.path.exists(path):  # noqa: ASYNC110, ASYNC240, PTH110 - nothing else can tell
        await asyncio.sleep(0.1)


def reach(path: Path) -> float:
    """The process has come to the point whose file this is; seconds that it is to wait there."""
    try:
        action, _, number = path.read_text().partition("@")
    except OSError:
        return 0.0
    if action == "sleep":
        return float(number)
    _hits[path.name] += 1
    if _hits[path.name] < int(number):
        return 0.0
    _hits[path.name] = 0
    try:
        path.unlink()
    except FileNotFoundError:  # another process of the service was first
        return 0.0
    os.kill(os.getpid(), SIGNALS[action])
    return 0.0


def wrap(owner: Any, name: str, before: Callable[..., Path | None], after: Callable[..., Path | None]) -> None:
    """Have a coroutine method come to a point before it works and to another one after it."""
    whole = getattr(owner, name)

    @functools.wraps(whole)
    async def wrapped(*arguments: Any, **named: Any) -> Any:
        first, last = before(*arguments), after(*arguments)
        if first is not None and (wait_s := reach(first)):
            await pause(first, wait_s)
        result = await whole(*arguments, **named)
        if last is not None and (wait_s := reach(last)):
            await pause(last, wait_s)
        return result

    setattr(owner, name, wrapped)


def install(folder: Path, name: str) -> None:
    """Wrap what this service works with."""
    from asyncpg.transaction import Transaction
    from faststream.rabbit import RabbitMessage

    from quire_runtime.publish import Publisher
    from quire_runtime.storage import Store

    def point(called: str) -> Callable[..., Path | None]:
        return lambda *_: folder / f"{name}.{called}"

    def commit(called: str) -> Callable[..., Path | None]:
        def find(_: object, kind: object = None, *__: object) -> Path | None:
            if kind is not None:  # it is rolled back
                return None
            task = asyncio.current_task()
            whose = "relay-" if task is not None and task.get_name() == RELAY else ""
            return folder / f"{name}.{called}-{whose}commit"

        return find

    wrap(Transaction, "__aexit__", commit("before"), commit("after"))
    wrap(Publisher, "send", point("before-publish"), point("after-publish"))
    wrap(RabbitMessage, "ack", point("before-ack"), point("after-ack"))
    for writing in ("put", "upload"):
        wrap(Store, writing, point("before-store"), point("after-store"))
    if name == "embedder":
        from quire_embedder.embedding import Embedding

        wrap(Embedding, "vectors", point("before-work"), point("after-work"))


def reroute(port: str) -> None:
    """Reach the broker on another port."""
    url = urlsplit(os.environ["QUIRE_BROKER_URL"])
    credentials = url.netloc.rpartition("@")[0]
    os.environ["QUIRE_BROKER_URL"] = urlunsplit(url._replace(netloc=f"{credentials}@127.0.0.1:{port}"))


def main() -> None:
    """What Python does with this module at the start of every process that has it on its path."""
    folder, name = os.environ.get("QUIRE_FAILPOINTS"), service()
    if not folder or not name:
        return
    try:
        if port := os.environ.get("QUIRE_FAILPOINTS_BROKER_PORT"):
            reroute(port)
        install(Path(folder), name)
    except Exception:  # Python would go on without the points, and the test would prove nothing
        traceback.print_exc()
        os._exit(70)


if __name__ == "sitecustomize":
    main()
