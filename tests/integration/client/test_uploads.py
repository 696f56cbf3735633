"""Uploads: streamed from where they come from, with what is said of them."""

import io
import re
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from quire_client import Quire, QuireError
from tests.integration.client.server import Api, Broken, Upload, document, problem

POST = "POST /documents"


@pytest.fixture(autouse=True)
def accepting(api: Api) -> None:
    api.on(POST, document() | {"duplicate": False})


def parts(upload: Upload) -> list[tuple[str, bytes]]:
    """The parts of a small multipart body: header lines and content."""
    boundary = upload.head.split(b"\r\n", 1)[0]
    pieces = upload.head.removesuffix(boundary + b"--\r\n").split(boundary + b"\r\n")[1:]
    split = (piece.removesuffix(b"\r\n").split(b"\r\n\r\n", 1) for piece in pieces)
    return [(head.decode(), content) for head, content in split]


async def test_a_file_arrives_whole_with_what_is_said_of_it(api: Api, quire: Quire, tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_bytes(b"line\r\n--line")
    uploaded = await quire.upload(path, title="Ein Brief", folder="/a/b", tags=["x", "y"], metadata={"n": 1})
    assert uploaded.id == document()["id"]
    assert not uploaded.duplicate
    found = {(re.findall('name="([^"]*)"', head)[0], content) for head, content in parts(api.uploads[0])}
    assert found == {
        ("title", b"Ein Brief"), ("folder", b"/a/b"), ("tags", b"x"), ("tags", b"y"), ("metadata", b'{"n": 1}'),
        ("file", b"line\r\n--line"),
    }  # fmt: skip
    assert 'filename="note.txt"' in parts(api.uploads[0])[-1][0]
    assert api.uploads[0].content_length == str(api.uploads[0].size)


async def test_a_large_file_is_never_held_in_memory(api: Api, quire: Quire, tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    size = 48 * 1024 * 1024
    with path.open("wb") as file:
        file.truncate(size)
    await quire.upload(b"warm up")
    tracemalloc.start()
    try:
        await quire.upload(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert api.uploads[1].size > size
    assert peak < 8 * 1024 * 1024


async def test_progress_counts_the_bytes_of_the_content(quire: Quire, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(bytes(700_000))
    seen: list[tuple[int, int | None]] = []
    await quire.upload(path, progress=lambda sent, total: seen.append((sent, total)))
    assert [sent for sent, _ in seen] == [262_144, 524_288, 700_000]
    assert {total for _, total in seen} == {700_000}


async def test_an_open_file_is_sent_from_where_it_stands(api: Api, quire: Quire) -> None:
    file = io.BytesIO(b"skipped|the rest")
    file.seek(8)
    await quire.upload(file, filename="part.txt")
    assert parts(api.uploads[0])[-1][1] == b"the rest"


async def test_a_stream_without_a_known_size_is_sent_in_chunks(api: Api, quire: Quire) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    seen: list[tuple[int, int | None]] = []
    await quire.upload(pieces(), filename="s.txt", progress=lambda sent, total: seen.append((sent, total)))
    assert api.uploads[0].content_length is None
    assert parts(api.uploads[0])[-1][1] == b"one two"
    assert seen == [(4, None), (7, None)]


async def test_a_file_name_cannot_leave_its_header(api: Api, quire: Quire) -> None:
    await quire.upload(b"x", filename='a"b\r\nX-Evil: 1\r\n\r\nü.txt')
    head, content = parts(api.uploads[0])[-1]
    assert 'filename="a%22b%0D%0AX-Evil: 1%0D%0A%0D%0Aü.txt"' in head
    assert content == b"x"


async def test_a_file_that_shrinks_while_it_is_sent_is_an_error(quire: Quire, tmp_path: Path) -> None:
    path = tmp_path / "shrinking.bin"
    path.write_bytes(bytes(900_000))

    def shrink(sent: int, total: int | None) -> None:
        path.write_bytes(b"")

    with pytest.raises(OSError, match=r"shrinking\.bin changed while it was being sent"):
        await quire.upload(path, progress=shrink)


async def test_a_missing_file_is_an_error_and_no_request(api: Api, quire: Quire, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await quire.upload(tmp_path / "missing")
    assert api.requests == []


async def test_a_busy_server_gets_the_whole_content_again(api: Api, quire: Quire) -> None:
    api.on(POST, problem(503, "unavailable", "later"), problem(429, "slow", "later"), document() | {"duplicate": False})
    await quire.upload(io.BytesIO(b"again and again"))
    assert [parts(upload)[-1][1] for upload in api.uploads] == [b"again and again"] * 3


async def test_an_upload_whose_connection_broke_is_sent_again(api: Api, quire: Quire) -> None:
    api.on(POST, Broken(b"{", 100), document() | {"duplicate": True})
    uploaded = await quire.upload(b"kept once")
    assert uploaded.duplicate
    assert len(api.uploads) == 2


async def test_what_can_be_read_once_is_sent_once(api: Api, quire: Quire) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"once"

    api.on(POST, problem(503, "unavailable", "later"), document() | {"duplicate": False})
    with pytest.raises(QuireError) as caught:
        await quire.upload(pieces())
    assert caught.value.code == "unavailable"
    assert len(api.uploads) == 1
