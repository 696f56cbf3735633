"""A pool that knows the targets, and waiting for what the kernel does in its own time."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from quire_runtime.sandbox import Limits, Sandbox

HERE = Path(__file__).parent
OpenPool = Callable[..., AbstractAsyncContextManager[Sandbox]]


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A directory that other users can enter, unlike pytest's own: a worker started by root is another user."""
    with tempfile.TemporaryDirectory(prefix="quire-test-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


@pytest.fixture
def pool(tmp_path: Path) -> OpenPool:
    """Opens a pool of targets under `tmp_path/pool`; keywords as of Sandbox, and those of Limits."""

    @asynccontextmanager
    async def open_pool(**options: Any) -> AsyncIterator[Sandbox]:
        limits = {name: options.pop(name) for name in Limits.__slots__ if name in options}
        settings: dict[str, Any] = {"preload": ["targets"], "paths": [HERE]} | options
        directory = tmp_path / "pool"
        directory.mkdir(exist_ok=True)
        async with Sandbox(limits=Limits(**({"wall_s": 20} | limits)), directory=directory, **settings) as sandbox:
            yield sandbox

    return open_pool


@pytest.fixture
async def sandbox(pool: OpenPool) -> AsyncIterator[Sandbox]:
    async with pool() as opened:
        yield opened


def need(sandbox: Sandbox, *protections: str) -> None:
    """Skips a test of something that the kernel of this machine does not offer."""
    lacking = {name: why for name, why in sandbox.protections.missing.items() if name in protections}
    if lacking:
        pytest.skip(f"not on this machine: {lacking}")


async def call(sandbox: Sandbox, function: str, *, wall_s: float | None = None, **arguments: Any) -> Any:
    """The result of one call in a job of its own."""
    async with sandbox.job() as job:
        return await job.call(f"targets:{function}", arguments, wall_s=wall_s)


async def until(condition: Callable[[], bool], within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - the kernel sends no event
            await asyncio.sleep(0.002)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def is_empty(directory: Path) -> bool:
    return not any(directory.iterdir())
