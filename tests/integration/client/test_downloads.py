"""Downloads: whole or not there, and resumed."""

import hashlib
import random
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response

from quire_client import Damaged, Quire, QuireError
from tests.integration.client.server import Api, Broken, document, problem

CONTENT = random.Random(7).randbytes(10_000)
SHA = hashlib.sha256(CONTENT).hexdigest()
ID = document()["id"]
GET = f"GET /documents/{ID}/content"


@pytest.fixture(autouse=True)
def known(api: Api) -> None:
    api.on(f"GET /documents/{ID}", document(sha256=SHA, size=len(CONTENT), filename="../../report.bin"))
    api.on(GET, serve)


async def serve(request: Request) -> Response:
    asked = request.headers.get("range")
    if asked is None:
        return Response(CONTENT)
    start = int(asked.removeprefix("bytes=").removesuffix("-"))
    if start >= len(CONTENT):
        return problem(416, "range_not_satisfiable", "The content has 10000 bytes.")
    return Response(CONTENT[start:], 206, {"Content-Range": f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"})


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def part(folder: Path, name: str = "got.bin") -> Path:
    return folder / f".{name}.{SHA[:16]}.part"


async def test_a_download_is_there_only_when_it_is_whole(quire: Quire, tmp_path: Path) -> None:
    target = tmp_path / "got.bin"
    seen: list[tuple[int, int | None]] = []

    def progress(received: int, total: int | None) -> None:
        assert not target.exists()
        seen.append((received, total))

    assert await quire.download(ID, target, progress) == target
    assert target.read_bytes() == CONTENT
    assert names(tmp_path) == ["got.bin"]
    assert seen[0] == (1000, 10_000)
    assert seen[-1] == (10_000, 10_000)


async def test_into_a_folder_it_takes_its_name_and_nothing_above(quire: Quire, tmp_path: Path) -> None:
    assert await quire.download(ID, tmp_path) == tmp_path / "report.bin"


async def test_a_broken_download_goes_on_where_it_was(api: Api, quire: Quire, tmp_path: Path) -> None:
    api.on(GET, Broken(CONTENT[:4000], 10_000), serve)
    await quire.download(ID, tmp_path / "got.bin")
    assert (tmp_path / "got.bin").read_bytes() == CONTENT
    assert [request.headers.get("range") for request in api.calls(GET)] == [None, "bytes=4000-"]


async def test_a_later_call_goes_on_with_what_an_earlier_one_left(api: Api, quire: Quire, tmp_path: Path) -> None:
    part(tmp_path).write_bytes(CONTENT[:2500])
    await quire.download(ID, tmp_path / "got.bin")
    assert (tmp_path / "got.bin").read_bytes() == CONTENT
    assert api.calls(GET)[0].headers["range"] == "bytes=2500-"


async def test_a_server_that_ignores_the_range_sends_the_whole(api: Api, quire: Quire, tmp_path: Path) -> None:
    api.on(GET, Response(CONTENT))
    part(tmp_path).write_bytes(b"x" * 2500)
    await quire.download(ID, tmp_path / "got.bin")
    assert (tmp_path / "got.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("left", [CONTENT, CONTENT + b"more"], ids=["complete", "too long"])
async def test_a_complete_or_overlong_rest_is_settled(quire: Quire, tmp_path: Path, left: bytes) -> None:
    part(tmp_path).write_bytes(left)
    await quire.download(ID, tmp_path / "got.bin")
    assert (tmp_path / "got.bin").read_bytes() == CONTENT


async def test_damaged_bytes_are_never_given_out(quire: Quire, tmp_path: Path) -> None:
    (tmp_path / "got.bin").write_bytes(b"older")
    part(tmp_path).write_bytes(b"x" * 2500)
    with pytest.raises(Damaged):
        await quire.download(ID, tmp_path / "got.bin")
    assert (tmp_path / "got.bin").read_bytes() == b"older"
    assert not part(tmp_path).exists()


async def test_a_refused_download_leaves_nothing(api: Api, quire: Quire, tmp_path: Path) -> None:
    api.on(GET, problem(404, "no_such_object", "The store does not have it."))
    with pytest.raises(QuireError, match="does not have it"):
        await quire.download(ID, tmp_path / "got.bin")
    assert names(tmp_path) == []
