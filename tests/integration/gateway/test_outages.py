"""What goes on, and what is said, while what the gateway leans on is away; and how it stops."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio

from quire_contracts import DocumentUploaded
from quire_gateway import db as gateway_db
from quire_gateway.settings import GatewaySettings
from quire_runtime.storage import Store
from tests.conftest import remove_topology
from tests.integration.gateway.serving import TEXT, Client, Live, following, new_workspace, problem, serving
from tests.support import examples
from tests.support.broker import eventually, observing
from tests.support.proxy import Proxy

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("gateway outages")]

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Cables:
    """Proxies in front of what the gateway leans on."""

    database: Proxy
    broker: Proxy
    redis: Proxy

    def mend(self) -> None:
        for proxy in (self.database, self.broker, self.redis):
            proxy.let_pass()


@pytest.fixture(scope="module")
def all_cables(gateway_settings: GatewaySettings) -> Iterator[Cables]:
    with (
        Proxy(gateway_settings.database_url) as database,
        Proxy(gateway_settings.broker_url) as broker,
        Proxy(gateway_settings.redis_url) as redis,
    ):
        yield Cables(database, broker, redis)


@pytest.fixture
def cables(all_cables: Cables) -> Iterator[Cables]:
    """Whole before and after."""
    yield all_cables
    all_cables.mend()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def live(gateway_settings: GatewaySettings, all_cables: Cables) -> AsyncIterator[Live]:
    """A gateway whose every connection goes through a proxy."""
    urls = {
        "database_url": all_cables.database.url,
        "broker_url": all_cables.broker.url,
        "redis_url": all_cables.redis.url,
        "publish_timeout_s": 1.0,
        "max_upload_bytes": 210 * MEBIBYTE,
        "key_cache_s": 60.0,
    }
    async with serving(gateway_settings.model_copy(update=urls)) as running:
        await running.service.publisher.ready()
        yield running
    await remove_topology(gateway_settings)


async def _readiness(client: Client) -> tuple[int, str, dict[str, str]]:
    answer = await client.http.get("/readiness")
    return answer.status_code, answer.json()["status"], answer.json()["checks"]


@pytest_asyncio.fixture(loop_scope="module")
async def direct(gateway_settings: GatewaySettings) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the catalog that no proxy cuts."""
    connection = await asyncpg.connect(gateway_settings.database_url, server_settings={"search_path": "catalog,public"})
    yield connection
    await connection.close()


def _unavailable(answer: httpx.Response, code: str = "unavailable") -> None:
    problem(answer, 503, code)
    assert int(answer.headers["retry-after"]) > 0


# The database


async def test_without_the_database_an_upload_is_a_503_and_keeps_its_object_and_then_all_is_well(
    client: Client, cables: Cables
) -> None:
    await client.http.get("/documents")  # the key is remembered: the upload gets as far as the catalog
    cables.database.refuse()
    _unavailable(await client.upload(TEXT))
    _unavailable(await client.http.get("/documents"))
    assert (await client.http.get("/health")).status_code == 200
    status, word, checks = await _readiness(client)
    assert (status, word) == (503, "not ready")
    assert checks["database"] != "ok"
    assert len(await client.objects()) == 1, "the commit may have happened: the object is not deleted"
    cables.database.let_pass()

    async def back() -> bool:
        return (await client.upload(TEXT)).status_code in {200, 202}

    await eventually(back, "uploads are taken again")
    assert len(await client.rows()) == 1


async def test_streams_go_on_when_the_database_is_back(
    client: Client, cables: Cables, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = 0
    really = gateway_db.feed_after

    async def feed_after(*arguments: Any) -> Any:
        nonlocal failed
        try:
            return await really(*arguments)
        except Exception:
            failed += 1
            raise

    async def noticed() -> bool:
        return failed > 1

    async with following(client) as stream:
        await client.uploaded()
        await stream.take(1)  # the stream has caught up
        monkeypatch.setattr(gateway_db, "feed_after", feed_after)
        cables.database.refuse()
        await eventually(noticed, "the event log was looked at in vain")
        cables.mend()
        document = await client.uploaded()
        assert [message.event.subject for message in await stream.take(1)] == [document["id"]]


async def test_a_database_that_is_stopped_in_the_middle_of_an_upload_is_a_503(
    client: Client, direct: asyncpg.Connection
) -> None:
    """The insert waits for another transaction with the same content; then its backend is ended."""
    first = await client.uploaded(TEXT)
    await client.http.delete(f"/documents/{first['id']}")
    async with direct.transaction():
        await direct.execute("UPDATE document SET deleted_at = NULL WHERE id = $1", first["id"])
        uploading = asyncio.create_task(client.upload(TEXT))

        async def ended() -> bool:
            await direct.execute("SELECT pg_stat_clear_snapshot()")  # else the first look is the only one
            return bool(
                await client.live.pool.fetchval(  # a transaction would see the same activity again and again
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                    " AND query LIKE '%INSERT INTO document %'"
                )
            )

        await eventually(ended, "the backend of the upload waits")
        _unavailable(await uploading)
        await direct.execute("UPDATE document SET deleted_at = now() WHERE id = $1", first["id"])
    assert (await client.uploaded(TEXT))["duplicate"] is False


async def test_a_commit_whose_answer_is_lost_makes_one_document(
    client: Client, cables: Cables, direct: asyncpg.Connection
) -> None:
    """The row is committed, the gateway does not hear of it; the client tries again and finds its document."""
    really = gateway_db.publish

    async def publish(connection: Any, events: Any) -> None:
        await really(connection, events)
        cables.database.blackhole("from server")

    async def committed() -> bool:
        return bool(await direct.fetchval("SELECT count(*) FROM document WHERE workspace_id = $1", client.workspace.id))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gateway_db, "publish", publish)
        uploading = asyncio.create_task(client.upload(TEXT))
        await eventually(committed, "the row is there")
        cables.database.refuse()
        _unavailable(await uploading)
    cables.mend()
    answer = await client.upload(TEXT)
    assert (answer.status_code, answer.json()["duplicate"]) == (200, True)
    (row,) = await client.rows()
    assert await client.objects() == [row["content_key"]]
    assert len(await client.events()) == 1


async def test_a_duplicate_that_is_deleted_in_the_same_moment_leaves_no_object(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none_found(*_: Any) -> list[Any]:
        return []

    await client.uploaded(TEXT)
    objects = await client.objects()
    monkeypatch.setattr(gateway_db, "documents_by_content", none_found)
    problem(await client.upload(TEXT), 409, "conflict")
    assert await client.objects() == objects


# The broker


@pytest.mark.parametrize("how", ["refuse", "blackhole"])
async def test_without_the_broker_uploads_are_taken_and_announced_when_it_is_back(
    client: Client, cables: Cables, gateway_settings: GatewaySettings, how: str
) -> None:
    async with observing(gateway_settings) as observer, following(client) as stream:
        getattr(cables.broker, how)()
        documents = [await client.uploaded() for _ in range(3)]
        subjects = {document["id"] for document in documents}
        assert {message.event.subject for message in await stream.take(3)} == subjects, "streams go on"
        if how == "refuse":

            async def noticed() -> bool:
                return (await _readiness(client))[1] == "degraded"

            await eventually(noticed, "readiness tells of the broker")
            assert (await _readiness(client))[0] == 200
        assert not subjects & {event.subject for event in observer.events}
        cables.mend()

        async def announced() -> bool:
            return subjects <= {event.subject for event in observer.events}

        await eventually(announced, "the uploads are announced", within_s=30)

    async def delivered() -> bool:
        return (await _readiness(client))[2]["broker"] == "ok"

    await eventually(delivered, "events are taken again", within_s=30)
    for document in documents:
        await client.live.service.publisher.publish(examples.failed(await client.cause(document)))
        await client.reaches(document, "failed")


async def test_a_gateway_that_starts_without_the_broker_takes_uploads(gateway_settings: GatewaySettings) -> None:
    with Proxy(gateway_settings.broker_url) as broker:
        broker.refuse()
        own = gateway_settings.model_copy(update={"broker_namespace": f"{gateway_settings.broker_namespace}s"})
        cut = own.model_copy(update={"broker_url": broker.url, "publish_timeout_s": 0.5})
        async with serving(cut) as live, _a_client(live) as client:
            document = await client.uploaded()
            assert (await _readiness(client))[:2] == (200, "degraded")
            broker.let_pass()
            await live.service.publisher.ready()

            async def relayed() -> bool:
                waiting = await live.pool.fetchval(
                    "SELECT count(*) FROM outbox WHERE body LIKE '%' || $1 || '%'", document["id"]
                )
                return bool(waiting == 0)

            await eventually(relayed, "the upload is announced", within_s=30)
        await remove_topology(own)


@contextlib.asynccontextmanager
async def _a_client(live: Live) -> AsyncIterator[Client]:
    async with live.client(await new_workspace(live.pool)) as client:
        yield client


# Redis


async def test_without_redis_everything_works(client: Client, cables: Cables) -> None:
    async with following(client) as stream:
        cables.redis.refuse()
        document = await client.uploaded()
        assert [message.event.subject for message in await stream.take(1)] == [document["id"]]
        status, word, checks = await _readiness(client)
        assert (status, word) == (200, "degraded")
        assert checks["redis"] != "ok"
        async with following(client, after=stream.begin) as resumed:
            assert [message.event.subject for message in await resumed.take(1)] == [document["id"]]
        cables.redis.let_pass()

        async def back() -> bool:
            return (await _readiness(client))[2]["redis"] == "ok"

        await eventually(back, "Redis is used again")


async def test_readiness_names_everything(client: Client) -> None:
    status, word, checks = await _readiness(client)
    assert set(checks) == {"database", "broker", "redis", "search"}
    assert (status, word) == (200, "degraded"), "there is no search service here"
    assert checks["search"] != "ok"
    problem(await client.http.get("/search", params={"q": "wind"}), 503, "search_unavailable")


# The store


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """A folder on a disk of one mebibyte; none where this process may not make one."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    made = (
        mount is not None
        and os.geteuid() == 0
        and subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], check=False, capture_output=True
        ).returncode
        == 0
    )
    yield tmp_path if made else None
    if made and umount is not None:
        subprocess.run([umount, str(tmp_path)], check=True)


async def test_a_full_store_is_a_507_without_row_event_or_leftover(
    gateway_settings: GatewaySettings, small_disk: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = small_disk or Path(gateway_settings.store_url.removeprefix("file://"))
    own = gateway_settings.model_copy(update={"store_url": f"file://{folder}", "max_upload_bytes": 50 * MEBIBYTE})
    if small_disk is None:

        async def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Store, "upload", full)
    async with serving(own) as live, _a_client(live) as client:
        for size in (2, 20):  # in one piece, and in several
            problem(await client.upload(b"x" * size * MEBIBYTE), 507, "store_full")
            await client.nothing_is_left()
            assert [path for path in (folder / client.workspace.id).rglob("*") if path.is_file()] == []


async def test_a_broken_store_is_a_503_without_row_or_event(client: Client) -> None:
    folder = client.live.gateway.store._folder
    assert folder is not None
    (folder / client.workspace.id).write_text("a file where a folder is wanted")
    _unavailable(await client.upload(), "store_unavailable")
    assert await client.rows() == []
    assert await client.events() == []


def _files(client: Client) -> list[Path]:
    folder = client.live.gateway.store._folder
    assert folder is not None
    return [path for path in (folder / client.workspace.id).rglob("*") if path.is_file()]


FORM = {"Content-Type": "multipart/form-data; boundary=edge"}
BEGIN = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
END = b"\r\n--edge--\r\n"


async def _body(
    size: int, begun: asyncio.Event | None = None, go_on: asyncio.Event | None = None
) -> AsyncIterator[bytes]:
    """A text of that many bytes, made on the fly; waits in the middle where told to."""
    yield BEGIN
    piece = b"a line of a very long log file\n" * 2114
    for at in range(0, size, len(piece)):
        if begun is not None and go_on is not None and not begun.is_set() and at >= size // 2:
            begun.set()
            await go_on.wait()
        yield piece[: size - at]
    yield END


async def test_a_client_that_goes_away_in_the_middle_leaves_nothing(client: Client) -> None:
    begun = asyncio.Event()
    sending = asyncio.create_task(
        client.http.post("/documents", content=_body(40 * MEBIBYTE, begun, asyncio.Event()), headers=FORM)
    )
    await begun.wait()

    async def partly_there() -> bool:
        return bool(_files(client))

    await eventually(partly_there, "a part of the content is on disk")
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)

    async def gone() -> bool:
        return not _files(client)

    await eventually(gone, "nothing of the content is on disk")
    await client.nothing_is_left()


async def test_a_content_that_turns_out_too_long_leaves_no_part_on_disk(client: Client) -> None:
    problem(
        await client.http.post("/documents", content=_body(211 * MEBIBYTE), headers=FORM, timeout=60), 413, "too_large"
    )
    assert _files(client) == []
    await client.nothing_is_left()


# The process


@dataclass(frozen=True)
class Process:
    """A gateway as a process of its own."""

    pid: int
    url: str
    output: Path
    ended: asyncio.Task[int]

    def forget_peak(self) -> None:
        """Let the peak of its memory begin anew."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    @property
    def memory(self) -> tuple[int, int]:
        """Resident bytes now, and at most since the peak was last forgotten."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return int(fields["VmRSS"].split()[0]) * 1024, int(fields["VmHWM"].split()[0]) * 1024


@contextlib.asynccontextmanager
async def _process(settings: GatewaySettings, path: Path) -> AsyncIterator[Process]:
    given = settings.model_dump(exclude_defaults=True, mode="json")
    given["retry_ladder"] = " ".join(given["retry_ladder"])
    environment = {f"QUIRE_{name.upper()}": str(value) for name, value in given.items()}
    with path.open("wb") as output:
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "quire_gateway", env={**os.environ, **environment}, stdout=output, stderr=output
        )
        url = f"http://127.0.0.1:{settings.http_port}"
        ended = asyncio.create_task(running.wait())
        try:
            async with httpx.AsyncClient(base_url=url) as http:

                async def answers() -> bool:
                    assert not ended.done(), "the gateway has ended"
                    with contextlib.suppress(httpx.TransportError):
                        return (await http.get("/health")).status_code == 200
                    return False

                await eventually(answers, "the gateway answers", within_s=60)
            yield Process(running.pid, url, path, ended)
        finally:
            if running.returncode is None:
                running.kill()
            await ended


def _free_port() -> int:
    with socket.socket() as probing:
        probing.bind(("127.0.0.1", 0))
        return int(probing.getsockname()[1])


async def test_a_long_upload_needs_little_memory_and_a_stop_loses_nothing(
    gateway_settings: GatewaySettings, live: Live, tmp_path: Path
) -> None:
    """In one process, because starting it takes the time: 200 MB are uploaded; then it is told to stop in the middle
    of an upload while a client follows the events."""
    own = gateway_settings.model_copy(
        update={"http_port": _free_port(), "max_upload_bytes": 210 * MEBIBYTE, "graceful_timeout_s": 20.0}
    )
    workspace = await new_workspace(live.pool)
    async with _process(own, tmp_path / "output") as process:
        beside = Live(live.service, process.url)
        async with beside.client(workspace) as client:
            await client.uploaded()  # everything that is needed is loaded
            before, _ = process.memory
            process.forget_peak()
            answer = await client.http.post("/documents", content=_body(200 * MEBIBYTE), headers=FORM, timeout=90)
            assert answer.status_code == 202, answer.text
            assert answer.json()["size"] == 200 * MEBIBYTE
            _, peak = process.memory
            assert peak - before < 30 * MEBIBYTE, f"the upload took {(peak - before) / MEBIBYTE:.0f} MiB"

            begun, go_on = asyncio.Event(), asyncio.Event()
            async with following(client) as stream:
                uploading = asyncio.create_task(
                    client.http.post("/documents", content=_body(12 * MEBIBYTE, begun, go_on), headers=FORM)
                )
                await begun.wait()
                os.kill(process.pid, signal.SIGTERM)
                assert await stream.rest(within_s=5) == [], "the stream ends at once"
            assert not process.ended.done(), "the upload is waited for"
            go_on.set()
            answer = await uploading
            assert answer.status_code == 202, answer.text
        async with asyncio.timeout(15):
            assert await process.ended in {0, -signal.SIGTERM}, "uvicorn ends with the signal it was sent"
        assert "stopped" in process.output.read_text().splitlines()[-1]
    row = await live.pool.fetchrow("SELECT * FROM document WHERE id = $1", answer.json()["id"])
    assert row is not None
    assert row["size"] == 12 * MEBIBYTE
    async with beside.client(workspace) as client:
        logged = [event for event in await client.events() if event.subject == row["id"]]
    assert [type(event) for event in logged] == [DocumentUploaded]
