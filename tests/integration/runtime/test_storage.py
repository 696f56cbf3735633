"""One set of promises for every kind of store: a local folder and an S3 server."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aioboto3  # type: ignore[import-untyped]
import pytest

from quire_contracts import Blob, Chunk
from quire_contracts.blob import INLINE_LIMIT
from quire_runtime.blobs import pack, unpack
from quire_runtime.errors import StartupError
from quire_runtime.settings import ServiceSettings
from quire_runtime.storage import ObjectNotFound, Store, open_store
from tests.support.servers import Provision

MIB = 1024 * 1024
BUCKET = "quire-test"


@pytest.fixture(params=["folder", "s3"])
async def store(request: pytest.FixtureRequest, settings: ServiceSettings, provision: Provision) -> Store:
    if request.param == "folder":
        return open_store(settings)
    server = provision.server("s3")
    session = aioboto3.Session(server.access_key, server.secret_key, region_name="us-east-1")
    async with session.client("s3", endpoint_url=server.url) as s3:
        with suppress(s3.exceptions.BucketAlreadyOwnedByYou):  # by another test, maybe in another process
            await s3.create_bucket(Bucket=BUCKET)
    return open_store(
        ServiceSettings(
            store_url=f"s3://{BUCKET}/{settings.broker_namespace}",
            s3_endpoint=server.url,
            s3_access_key_id=server.access_key,
            s3_secret_access_key=server.secret_key,
        )
    )


async def _pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_what_was_put_is_there(store: Store) -> None:
    await store.put("ws/doc/1/text", b"one")
    assert await store.get("ws/doc/1/text") == b"one"
    assert await store.size("ws/doc/1/text") == 3
    assert await store.exists("ws/doc/1/text")


async def test_putting_again_replaces(store: Store) -> None:
    await store.put("ws/doc/1/text", b"one")
    await store.put("ws/doc/1/text", b"two, longer")
    assert await store.get("ws/doc/1/text") == b"two, longer"


async def test_an_empty_object_is_an_object(store: Store) -> None:
    await store.put("ws/doc/1/text", b"")
    assert await store.get("ws/doc/1/text") == b""
    assert [piece async for piece in store.stream("ws/doc/1/text")] in ([], [b""])


async def test_what_is_not_there_is_said_to_be_missing(store: Store, tmp_path: Path) -> None:
    assert not await store.exists("ws/none")
    with pytest.raises(ObjectNotFound):
        await store.get("ws/none")
    with pytest.raises(ObjectNotFound):
        await store.size("ws/none")
    with pytest.raises(ObjectNotFound):
        await anext(store.stream("ws/none"))
    with pytest.raises(ObjectNotFound):
        await store.download("ws/none", tmp_path / "none")


async def test_a_stream_of_many_parts_arrives_whole(store: Store, tmp_path: Path) -> None:
    pieces = [os.urandom(MIB) for _ in range(12)]
    await store.upload("ws/doc/1/content", _pieces(*pieces))
    await store.download("ws/doc/1/content", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"".join(pieces)


async def test_a_stream_that_breaks_leaves_nothing(store: Store) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield os.urandom(7 * MIB)
        raise ConnectionResetError("the client went away")

    with pytest.raises(ConnectionResetError):
        await store.upload("ws/doc/1/content", broken())
    assert not await store.exists("ws/doc/1/content")
    assert [key async for key in store.list("ws/")] == []


async def test_a_part_of_an_object_can_be_read(store: Store) -> None:
    await store.put("ws/doc/1/content", bytes(range(100)))

    async def part(start: int, end: int | None = None) -> bytes:
        return b"".join([piece async for piece in store.stream("ws/doc/1/content", start, end)])

    assert await part(10, 20) == bytes(range(10, 20))
    assert await part(90) == bytes(range(90, 100))
    assert await part(0, 1) == b"\0"
    assert await part(5, 5) == b""


async def test_deleting_a_prefix_spares_its_neighbours(store: Store) -> None:
    for key in ("ws/doc/1/content", "ws/doc/1/previews/1.webp", "ws/doc2/1/content"):
        await store.put(key, b"x")
    assert await store.delete_prefix("ws/doc/") == 2
    assert [key async for key in store.list("ws/")] == ["ws/doc2/1/content"]
    assert await store.delete_prefix("ws/doc/") == 0


async def test_deleting_twice_is_harmless(store: Store) -> None:
    await store.put("ws/doc/1/content", b"x")
    await store.delete("ws/doc/1/content")
    await store.delete("ws/doc/1/content")
    assert not await store.exists("ws/doc/1/content")


async def test_a_payload_rides_in_the_event_while_it_is_small_and_beside_it_when_it_is_not(store: Store) -> None:
    small = [Chunk(index=0, text="short", start=0, end=5)]
    large = [Chunk(index=0, text="x" * INLINE_LIMIT, start=0, end=INLINE_LIMIT)]
    inline = await pack(store, "ws/doc/1/chunks.json", small, list[Chunk])
    assert inline.inline == small
    assert not await store.exists("ws/doc/1/chunks.json")
    checked = await pack(store, "ws/doc/1/chunks.json", large, list[Chunk])
    assert checked.inline is None
    assert checked.size == await store.size("ws/doc/1/chunks.json")
    assert await unpack(store, inline, list[Chunk]) == small
    assert await unpack(store, checked, list[Chunk]) == large
    assert await unpack(store, Blob[list[Chunk]].model_validate_json(checked.model_dump_json()), list[Chunk]) == large


@pytest.mark.parametrize("url", ["", "ftp://x/y", "s3://", "/var/objects"])
def test_a_store_of_no_known_kind_is_a_start_up_problem(url: str) -> None:
    with pytest.raises(StartupError, match="QUIRE_STORE_URL"):
        open_store(ServiceSettings(store_url=url))


def test_a_folder_that_cannot_be_made_is_a_start_up_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StartupError, match="cannot be made"):
        open_store(ServiceSettings(store_url=f"file://{tmp_path / 'file' / 'objects'}"))


async def test_entries_tell_length_and_age_of_everything_below_a_prefix(store: Store) -> None:
    await store.put("ws/doc/1/text", b"one")
    await store.put("ws/doc/1/chunks.json", b"")
    await store.put("ws/document/1/text", b"of another")
    found = {entry.key: entry async for entry in store.entries("ws/doc/")}
    assert {key: entry.size for key, entry in found.items()} == {"ws/doc/1/text": 3, "ws/doc/1/chunks.json": 0}
    age = datetime.now(UTC) - found["ws/doc/1/text"].modified
    assert abs(age) < timedelta(minutes=5)
    assert {entry.key async for entry in store.entries("")} == {*found, "ws/document/1/text"}


async def test_an_upload_that_never_ended_is_discarded_when_it_is_old_enough(store: Store) -> None:
    await store.put("ws/doc/1/text", b"one")
    waits = asyncio.Event()

    async def content() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield os.urandom(MIB)
        waits.set()
        await asyncio.sleep(3600)

    upload = asyncio.create_task(store.upload("ws/doc/1/content", content()))
    await waits.wait()
    now = datetime.now(UTC)
    assert await store.discard_unfinished(now - timedelta(hours=1)) == 0
    assert await store.discard_unfinished(now + timedelta(hours=1)) == 1
    assert await store.discard_unfinished(now + timedelta(hours=1)) == 0
    upload.cancel()
    await asyncio.gather(upload, return_exceptions=True)
    assert not await store.exists("ws/doc/1/content")
    assert await store.get("ws/doc/1/text") == b"one"
