"""Cursors of lists and of the event feed: ours come back unchanged, nobody else's do."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quire_gateway.cursors import seal, unseal
from quire_gateway.feed import parse_cursor
from quire_gateway.problems import Problem

POSITION = ["2026-11-02T09:30:00+00:00", "doc_1"]
BOUND = ["ws_1", {"folder": "/a", "tags": ["x"]}]


@given(st.lists(st.text() | st.integers(-(2**53), 2**53) | st.none(), max_size=4))
def test_a_cursor_comes_back_as_it_was(position: list[Any]) -> None:
    assert unseal("secret", seal("secret", position, BOUND), BOUND) == position


def test_the_order_of_the_filters_does_not_matter() -> None:
    assert unseal("s", seal("s", POSITION, {"a": 1, "b": 2}), {"b": 2, "a": 1}) == POSITION


@pytest.mark.parametrize(
    ("secret", "bound_to"),
    [("other", BOUND), ("secret", ["ws_2", BOUND[1]]), ("secret", ["ws_1", {"folder": "/a", "tags": ["y"]}])],
    ids=["secret", "workspace", "filter"],
)
def test_a_cursor_of_another_secret_workspace_or_filter_is_refused(secret: str, bound_to: Any) -> None:
    with pytest.raises(Problem, match="400 bad_cursor"):
        unseal(secret, seal("secret", POSITION, BOUND), bound_to)


@given(st.data())
def test_a_cursor_with_any_bit_changed_is_refused(data: st.DataObject) -> None:
    cursor = seal("secret", POSITION, BOUND)
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Problem, match="400 bad_cursor"):
        unseal("secret", base64.urlsafe_b64encode(raw).decode(), BOUND)


@given(st.text(max_size=200))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(Problem, match="400 bad_cursor"):
        unseal("secret", text, BOUND)


def test_a_place_in_the_feed_comes_back_as_it_was() -> None:
    assert parse_cursor("7-12") == (7, 12)
    assert parse_cursor(f"{2**64 - 1}-{2**63 - 1}") == (2**64 - 1, 2**63 - 1)


@pytest.mark.parametrize(
    "cursor",
    ["", "-", "7", "7-", "-7", "7-8-9", "a-b", "-1-2", "7--1", "٧-٨", "²-1", "7-12\x00", " 7-12", f"{2**64}-1",
     f"1-{2**63}", "9" * 39, "9" * 20 + "-" + "9" * 18],
)  # fmt: skip
def test_a_place_that_no_event_can_have_is_refused(cursor: str) -> None:
    with pytest.raises(Problem, match="400 bad_cursor"):
        parse_cursor(cursor)
