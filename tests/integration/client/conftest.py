"""A server that speaks the API, in this process, and a client of it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from quire_client import Quire, download, events, following, transport
from tests.integration.client.server import KEY, Api, serving


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (transport, events):
        monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.001)
        monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.01)
    monkeypatch.setattr(following, "FIRST_POLL_S", 30.0)
    monkeypatch.setattr(download, "PIECE", 1000)


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving(Api()) as running:
        yield running


@pytest.fixture
async def quire(api: Api) -> AsyncIterator[Quire]:
    async with Quire(api.url, KEY, patience=10) as client:
        yield client


@pytest.fixture
def threaded_api() -> Iterator[Api]:
    """The same on a thread of its own, for commands, which run their own event loop."""
    api, started, loop = Api(), threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with serving(api):
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert started.wait(10)
    yield api
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


@pytest.fixture
def environment(threaded_api: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    """The command finds the server by its environment."""
    monkeypatch.setenv("QUIRE_URL", threaded_api.url)
    monkeypatch.setenv("QUIRE_API_KEY", KEY)
    return threaded_api
