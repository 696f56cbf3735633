"""Headers of a download: Range, Content-Disposition, and the ETags of an entry."""

from datetime import UTC, datetime
from email.message import Message
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quire_gateway.documents import _bounds, _disposition, _etag, _version_in
from quire_gateway.names import clean_filename
from quire_gateway.problems import Problem

SIZE = 1000


@pytest.mark.parametrize(
    ("header", "bounds"),
    [
        ("bytes=0-0", (0, 1)), ("bytes=0-", (0, 1000)), ("bytes=10-19", (10, 20)), ("bytes=999-", (999, 1000)),
        ("bytes=-1", (999, 1000)), ("bytes=-5000", (0, 1000)), ("bytes=0-5000", (0, 1000)), (" bytes=5-9 ", (5, 10)),
        (None, None), ("", None), ("bytes=-", None), ("bytes=0-1,5-6", None), ("lines=1-2", None), ("bytes=a-b", None),
        ("bytes=0-1," * 10_000, None), ("bytes=-1-2", None), ("bytes=" + "9" * 40 + "-", None),
    ],
)  # fmt: skip
def test_one_range_is_understood_and_everything_else_is_the_whole(
    header: str | None, bounds: tuple[int, int] | None
) -> None:
    assert _bounds(header, SIZE) == bounds


@pytest.mark.parametrize(
    "header", ["bytes=1000-", "bytes=5000-6000", "bytes=9-5", "bytes=-0", "bytes=" + "9" * 19 + "-"]
)
def test_a_range_outside_the_content_is_a_416_that_names_the_size(header: str) -> None:
    with pytest.raises(Problem, match="416") as refusal:
        _bounds(header, SIZE)
    assert refusal.value.headers["Content-Range"] == "bytes */1000"


@given(st.text(max_size=60) | st.from_regex(r"bytes=\d{0,25}-\d{0,25}", fullmatch=True), st.integers(1, 10**12))
def test_whatever_is_asked_for_lies_inside_the_content(header: str, size: int) -> None:
    try:
        bounds = _bounds(header, size)
    except Problem as problem:
        assert problem.status == 416  # noqa: PT017 - or there is none
    else:
        assert bounds is None or 0 <= bounds[0] < bounds[1] <= size


def _read_by_a_client(header: str) -> tuple[str, str]:
    """The plain and the extended file name of a Content-Disposition."""
    message = Message()
    plain, _, extended = header.partition("; filename*=UTF-8''")
    message["Content-Disposition"] = plain
    return str(message.get_param("filename", header="content-disposition")), unquote(extended)


@pytest.mark.parametrize("kind", ["attachment", "inline"])
@pytest.mark.parametrize(
    ("filename", "plain"),
    [
        ("report.pdf", "report.pdf"), ("Grüße 日本.txt", "Gr__e __.txt"),
        ('a"; filename="evil.exe', "a__ filename=_evil.exe"),
        ("100%.txt", "100_.txt"), ("a'b;c=d.txt", "a'b;c=d.txt"),
    ],
)  # fmt: skip
def test_a_file_name_comes_through_for_old_and_new_clients(kind: str, filename: str, plain: str) -> None:
    header = _disposition(kind, filename)
    assert header.startswith(f"{kind}; ")
    shown, whole = _read_by_a_client(header)
    assert whole == filename
    if ";" not in filename or '"' not in filename:
        assert shown == plain


@given(st.text(max_size=100))
def test_no_file_name_breaks_out_of_its_header(name: str) -> None:
    filename = clean_filename(name)
    header = _disposition("attachment", filename)
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
    assert _read_by_a_client(header)[1] == filename


def test_the_etag_of_an_entry_names_its_version() -> None:
    row: Any = {"version": 7, "updated_at": datetime(2026, 1, 2, tzinfo=UTC)}
    assert _version_in(_etag(row)) == 7


@pytest.mark.parametrize(("header", "version"), [(None, None), ("*", None), (" * ", None)])
def test_without_a_condition_every_version_will_do(header: str | None, version: int | None) -> None:
    assert _version_in(header) is version


@pytest.mark.parametrize("header", ["", "7", '"7"', 'W/"7-1"', '"x-1"', '"7-1", "8-1"', '"' + "9" * 30 + '-1"'])
def test_a_condition_that_is_not_ours_matches_no_version(header: str) -> None:
    assert _version_in(header) == 0
