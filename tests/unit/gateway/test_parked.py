"""What a message in a parked queue says of itself, whatever it holds."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quire_gateway.dead_letters.parked import json_in, letter_id, letter_of, reason_in, text_of
from tests.support import examples

EVENT = examples.uploaded()
DEATH = {"reason": "delivery_limit", "queue": "quire.ingest", "count": 1, "time": datetime(2026, 1, 2, tzinfo=UTC)}
DELAY = {"reason": "expired", "queue": "quire.ingest.retry.1s", "count": 1}


def test_an_event_is_found_by_its_attributes() -> None:
    letter = letter_of("ingest", EVENT.to_json(), {"x-quire-reason": "refused: why", "x-quire-attempt": 7})
    assert (letter.service, letter.reason, letter.attempts, letter.body) == (
        "ingest", "refused: why", 7, EVENT.to_json(),
    )  # fmt: skip
    assert (letter.event_id, letter.event_type) == (EVENT.id, EVENT.type)
    assert (letter.workspace, letter.document) == (EVENT.workspaceid, EVENT.subject)
    assert letter.event_time == EVENT.time


def test_an_event_of_a_later_release_is_found_by_its_attributes_too() -> None:
    body = b'{"id": "1", "type": "quire.document.folded.v3", "subject": "doc_1", "time": "2026-01-02T03:04:05+02:00"}'
    letter = letter_of("ingest", body, {})
    assert (letter.event_id, letter.event_type, letter.workspace) == ("1", "quire.document.folded.v3", None)
    assert letter.event_time == datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)


def test_the_same_body_of_the_same_service_is_the_same_dead_letter() -> None:
    assert letter_id("ingest", b"x") == letter_id("ingest", b"x")
    assert len({letter_id("ingest", b"x"), letter_id("previewer", b"x"), letter_id("ingest", b"y")}) == 3


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"x-quire-reason": "TimeoutError: too slow"}, "TimeoutError: too slow"),
        ({"x-death": [DEATH]}, "delivery_limit"),
        ({"x-death": [{**DEATH, "reason": "rejected"}]}, "rejected"),
        ({"x-death": [DEATH, DELAY], "x-quire-reason": "KeyError: 1"}, "delivery_limit: KeyError: 1"),
        ({"x-death": [DELAY], "x-quire-reason": "KeyError: 1"}, "KeyError: 1"),
        ({"x-first-death-reason": "maxlen"}, "maxlen"),
        ({"x-death": "what?"}, "unknown"),
        ({"x-death": [1, {"reason": 2}]}, "unknown"),
        ({"x-quire-reason": b"\xff\x00bytes"}, "\\xffbytes"),
        ({}, "unknown"),
    ],
    ids=str,
)
def test_the_reason_is_the_brokers_word_or_the_workers(headers: dict[str, Any], reason: str) -> None:
    assert reason_in(headers) == reason


@pytest.mark.parametrize("attempt", ["many", None, -1, 10**12, float("inf"), [1]])
def test_a_senseless_number_of_attempts_is_a_possible_one(attempt: Any) -> None:
    assert 1 <= letter_of("ingest", b"", {"x-quire-attempt": attempt}).attempts < 2**31


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe", b"\0", b"not json", b'"\\ud800"', b"[" * 5000, b'{"n": 1e999}', b'{"n": NaN}', b"[1, 2"],
)
def test_what_is_no_event_has_no_attributes(body: bytes) -> None:
    letter = letter_of("ingest", body, {})
    assert letter.body == body
    assert {letter.event_id, letter.event_type, letter.workspace, letter.document, letter.event_time} == {None}


@pytest.mark.parametrize("body", [b"\xff\xfe", b'{"a": "\0"}', "\ud800".encode(errors="surrogatepass")])
def test_bytes_that_are_no_text_are_told_from_text(body: bytes) -> None:
    assert text_of(body) is None


def test_text_is_text_though_it_is_no_event() -> None:
    assert text_of('not JSON, but written: "é\\u0000"'.encode()) == 'not JSON, but written: "é\\u0000"'


_LEAF = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes() | st.decimals()
)
_HEADERS = st.dictionaries(
    st.text(),
    st.recursive(_LEAF, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5),
    max_size=3,
)


def _texts(value: Any) -> list[str]:
    """Every text in a JSON value, names included."""
    if isinstance(value, dict):
        return [text for name, part in value.items() for text in (name, *_texts(part))]
    if isinstance(value, list):
        return [text for part in value for text in _texts(part)]
    return [value] if isinstance(value, str) else []


@settings(max_examples=50, deadline=None, database=None)
@given(_HEADERS)
def test_any_headers_can_be_kept(headers: dict[str, Any]) -> None:
    letter = letter_of("ingest", b"{}", headers)
    assert not [text for text in _texts(orjson.loads(orjson.dumps(letter.headers))) if "\0" in text]
    assert "\0" not in letter.reason


@settings(max_examples=50, deadline=None, database=None)
@given(st.recursive(_LEAF, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5))
def test_headers_as_deep_as_they_like_can_be_kept(value: Any) -> None:
    for _ in range(50):
        value = [value]
    assert orjson.dumps(letter_of("ingest", b"", {"x": value}).headers)


@settings(max_examples=50, deadline=None, database=None)
@given(st.binary(max_size=50) | st.text().map(lambda text: text.encode(errors="surrogatepass")))
def test_any_bytes_are_a_dead_letter(body: bytes) -> None:
    letter = letter_of("ingest", body, {})
    assert letter.body == body
    assert (text_of(body) is None) == (b"\0" in body or body.decode(errors="ignore").encode() != body)


@settings(max_examples=50, deadline=None, database=None)
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner), max_leaves=5))
def test_what_is_shown_as_json_can_be_written_as_json(value: Any) -> None:
    try:
        shown = json_in(orjson.dumps(value))
    except (ValueError, TypeError):
        return
    assert orjson.loads(orjson.dumps(shown)) == shown


@pytest.mark.parametrize(
    "body",
    [{"id": "a\0b"}, {"id": ""}, {"id": "x" * 201}, {"id": 1}, {"id": None}, {"time": "yesterday"}, {"time": 5},
     {"time": "2026-01-02T03:04:05"}, {"time": "0001-01-01T00:00:00+14:00"}, {"time": "9999-12-31T23:59:59-10:00"}],
)  # fmt: skip
def test_attributes_that_cannot_be_kept_are_left_out(body: dict[str, Any]) -> None:
    letter = letter_of("ingest", orjson.dumps(body), {})
    assert (letter.event_id, letter.event_time) == (None, None)
