"""multipart/form-data as a stream: however the bytes are cut, the same parts come out."""

from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quire_gateway.multipart import MAX_FIELD_BYTES, MAX_PARTS, Part, Parts
from quire_gateway.problems import Problem

KIND = 'multipart/form-data; boundary="a-b"'
Seen = tuple[str, str | None, str | None, bytes]

BODY = (
    b'--a-b\r\nContent-Disposition: form-data; name="title"\r\n\r\nNight log\r\n'
    b'--a-b\r\ncontent-disposition: form-data; name="file"; filename="gr\xc3\xbc\xc3\x9fe \\"1\\".txt"\r\n'
    b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
    b"\r\n--a-\r\n--a-c\r--a-b\n--a-b\r\r\n-\r\n--\r\n"
    b'\r\n--a-b\r\nContent-Disposition: form-data; name="tags"\r\n\r\n\r\n'
    b"--a-b--\r\nthe epilogue"
)
PARTS: list[Seen] = [
    ("title", None, None, b"Night log"),
    (
        "file", 'grüße "1".txt', "text/plain; charset=utf-8",
        b"\r\n--a-\r\n--a-c\r--a-b\n--a-b\r\r\n-\r\n--\r\n",
    ),
    ("tags", None, None, b""),
]  # fmt: skip


async def _sent(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def _read(body: bytes | Iterable[bytes], kind: str = KIND) -> list[Seen]:
    pieces = [body] if isinstance(body, bytes) else body
    return [
        (part.name, part.filename, part.content_type, b"".join([piece async for piece in part.data()]))
        async for part in Parts(kind, _sent(pieces))
    ]


async def _refused(body: bytes | Iterable[bytes], kind: str = KIND) -> tuple[int, str]:
    with pytest.raises(Problem) as refusal:
        await _read(body, kind)
    return refusal.value.status, refusal.value.code


def _part(content: bytes = b"x", name: str = "title", headers: bytes = b"") -> bytes:
    return b'--a-b\r\nContent-Disposition: form-data; name="%s"\r\n%s\r\n%s\r\n' % (name.encode(), headers, content)


async def test_a_body_in_one_piece() -> None:
    assert await _read(BODY) == PARTS


@pytest.mark.parametrize("cut", range(1, len(BODY)))
async def test_a_body_cut_anywhere_has_the_same_parts(cut: int) -> None:
    assert await _read([BODY[:cut], BODY[cut:]]) == PARTS


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
async def test_a_body_in_tiny_pieces_has_the_same_parts(size: int) -> None:
    assert await _read([BODY[at : at + size] for at in range(0, len(BODY), size)]) == PARTS


@given(st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--", b"a-b", b"\r\n--a-", b"\r\n--a-c", b"x"])), st.data())
async def test_data_that_looks_like_a_boundary_comes_through(words: list[bytes], data: st.DataObject) -> None:
    content = b"".join(words).replace(b"\r\n--a-b", b"")
    body = _part(content, "file") + b"--a-b--\r\n"
    if b"\r\n--a-b" in b"\r\n" + content:  # it would be one
        return
    cuts = sorted(data.draw(st.sets(st.integers(1, len(body) - 1), max_size=6)))
    pieces = [body[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert await _read(pieces) == [("file", None, None, content)]


@given(st.binary(max_size=300), st.data())
async def test_no_bytes_make_it_fail_in_an_unknown_way(junk: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(BODY)))
    try:
        await _read([BODY[:at], junk, BODY[at:]])
    except Problem as problem:
        assert problem.status in {400, 413}  # noqa: PT017 - or there is none


@pytest.mark.parametrize("end", [0, 1, 30, 60, 100, len(BODY) - len("--\r\nthe epilogue")])
async def test_a_body_that_ends_early_is_refused(end: int) -> None:
    assert await _refused(BODY[:end]) == (400, "bad_multipart")


@pytest.mark.parametrize(
    "kind",
    ["", "text/plain", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=a-b",
     "multipart/form-data; boundary=" + "x" * 71],
)  # fmt: skip
async def test_a_content_type_without_a_usable_boundary_is_refused(kind: str) -> None:
    assert await _refused(BODY, kind) == (400, "bad_multipart")


@pytest.mark.parametrize(
    "head",
    [b"", b"Content-Type: text/plain\r\n", b"Content-Disposition: form-data\r\n",
     b'Content-Disposition: attachment; name="x"\r\n', b"Content-Disposition\r\n", b": x\r\n"],
)  # fmt: skip
async def test_a_part_without_a_name_is_refused(head: bytes) -> None:
    assert await _refused(b"--a-b\r\n" + head + b"\r\nx\r\n--a-b--\r\n") == (400, "bad_multipart")


async def test_parts_of_one_name_are_all_given() -> None:
    body = _part(b"one", "tags") + _part(b"two", "tags") + b"--a-b--\r\n"
    assert [(name, content) for name, _, _, content in await _read(body)] == [("tags", b"one"), ("tags", b"two")]


async def test_a_hundred_parts_are_taken_and_one_more_is_not() -> None:
    assert len(await _read(_part() * MAX_PARTS + b"--a-b--\r\n")) == MAX_PARTS
    assert await _refused(_part() * (MAX_PARTS + 1) + b"--a-b--\r\n") == (413, "too_many_parts")


@pytest.mark.parametrize(
    "headers",
    [b"X: " + b"y" * 20_000 + b"\r\n", b"X: y\r\n" * 1000, b"X" * 20_000 + b": y\r\n"],
    ids=["long value", "many", "long name"],
)
async def test_headers_without_measure_are_refused(headers: bytes) -> None:
    assert await _refused(_part(headers=headers) + b"--a-b--\r\n") == (400, "bad_multipart")


async def test_headers_without_an_end_are_refused_while_they_arrive() -> None:
    read = 0

    def endless() -> Iterable[bytes]:
        nonlocal read
        yield b"--a-b\r\nX: "
        while True:
            read += 1
            yield b"y" * 1000

    assert await _refused(endless()) == (400, "bad_multipart")
    assert read < 10


async def test_a_long_field_is_refused_while_it_arrives() -> None:
    read = 0

    def endless() -> Iterable[bytes]:
        nonlocal read
        yield b'--a-b\r\nContent-Disposition: form-data; name="title"\r\n\r\n'
        while True:
            read += 1
            yield b"y" * 1000

    part = await _first(Parts(KIND, _sent(endless())))
    with pytest.raises(Problem, match="field_too_large"):
        await part.text()
    assert read <= MAX_FIELD_BYTES / 1000 + 3


async def test_a_field_that_is_not_utf8_is_refused() -> None:
    part = await _first(Parts(KIND, _sent([_part(b"\xff") + b"--a-b--\r\n"])))
    with pytest.raises(Problem, match="422 invalid"):
        await part.text()


async def _first(parts: Parts) -> Part:
    async for part in parts:
        return part
    raise AssertionError("there is no part")


async def test_a_part_that_nobody_reads_is_passed_over() -> None:
    assert [part.name async for part in Parts(KIND, _sent([BODY]))] == ["title", "file", "tags"]
