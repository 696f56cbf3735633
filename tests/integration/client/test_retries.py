"""What is tried again, and what is not."""

import asyncio
import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from quire_client import Quire, QuireError, Unreachable
from quire_client.transport import retry_after
from tests.integration.client.server import KEY, Api, Broken, document, problem, serving

ID = document()["id"]
GET, PATCH, DELETE = (f"{method} /documents/{ID}" for method in ("GET", "PATCH", "DELETE"))
BUSY = problem(503, "unavailable", "The catalog cannot be reached now; try again.")


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_server_is_asked_again(api: Api, quire: Quire, status: int) -> None:
    api.on(GET, problem(status, "busy", "later"), problem(status, "busy", "later"), document())
    assert (await quire.document(ID)).id == ID
    assert len(api.calls(GET)) == 3


@pytest.mark.parametrize("status", [400, 404, 409, 422, 500])
async def test_other_errors_are_final(api: Api, quire: Quire, status: int) -> None:
    api.on(GET, problem(status, "no", "no"), document())
    with pytest.raises(QuireError):
        await quire.document(ID)
    assert len(api.calls(GET)) == 1


async def test_a_wait_that_the_server_asks_for_and_patience_forbids_ends_it_at_once(api: Api) -> None:
    api.on(GET, problem(503, "unavailable", "later", {"Retry-After": "60"}), document())
    began = time.monotonic()
    async with Quire(api.url, KEY, patience=5) as quire:
        with pytest.raises(QuireError):
            await quire.document(ID)
    assert time.monotonic() - began < 4
    assert len(api.calls(GET)) == 1


async def test_the_wait_that_the_server_asks_for_is_kept(api: Api, quire: Quire) -> None:
    api.on(GET, problem(429, "busy", "later", {"Retry-After": "1"}), document())
    began = time.monotonic()
    await quire.document(ID)
    assert time.monotonic() - began >= 1


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    assert retry_after("7") == 7
    assert 50 < retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)) <= 60
    assert retry_after("soon") == 0
    assert retry_after("") == 0


async def test_patience_ends(api: Api) -> None:
    api.on(GET, BUSY)
    async with Quire(api.url, KEY, patience=0.1) as quire:
        with pytest.raises(QuireError, match="cannot be reached"):
            await quire.document(ID)
    assert len(api.calls(GET)) > 1


async def test_a_read_whose_connection_broke_is_tried_again(api: Api, quire: Quire) -> None:
    api.on(GET, Broken(b'{"id":', 1000), document())
    assert (await quire.document(ID)).id == ID


async def test_a_change_whose_connection_broke_is_not_made_twice(api: Api, quire: Quire) -> None:
    api.on(PATCH, Broken(b'{"id":', 1000), document())
    with pytest.raises(Unreachable):
        await quire.change(ID, title="new")
    assert len(api.calls(PATCH)) == 1


async def test_a_delete_that_an_earlier_try_carried_out_is_done(api: Api, quire: Quire) -> None:
    api.on(DELETE, Broken(b"x", 1000), problem(404, "not_found", "There is no such document."))
    await quire.delete(ID)
    assert len(api.calls(DELETE)) == 2


async def test_deleting_what_is_not_there_is_an_error(api: Api, quire: Quire) -> None:
    with pytest.raises(QuireError) as caught:
        await quire.delete(ID)
    assert caught.value.status == 404


async def test_even_a_change_waits_for_a_server_that_is_about_to_start() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    listener.close()
    async with Quire(f"http://127.0.0.1:{address[1]}", KEY, patience=20) as quire:
        asked = asyncio.create_task(quire.change(ID, title="new"))
        done, _ = await asyncio.wait([asked], timeout=0.1)
        assert not done
        api = Api()
        api.on(PATCH, document(title="new"))
        async with serving(api, socket.create_server(address)):
            assert (await asked).title == "new"


async def test_nobody_at_the_address_is_told_with_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with Quire(url, KEY, patience=0.05) as quire:
        with pytest.raises(Unreachable, match=url) as caught:
            await quire.document(ID)
    assert (caught.value.status, caught.value.code) == (0, "unreachable")
