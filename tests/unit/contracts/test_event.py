"""Ids and causes of events, and what is not an event."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from quire_contracts import Blob, UndecodableEvent, derived_id, parse_event, uuid7
from tests.support import examples


def test_the_id_of_an_effect_depends_on_cause_type_and_discriminator_alone() -> None:
    cause = examples.uploaded()
    assert examples.extracted(cause, "one text").id == examples.extracted(cause, "another text").id
    assert examples.extracted(cause).id != examples.previewed(cause).id
    assert examples.extracted(cause).id != examples.extracted(examples.uploaded()).id
    assert derived_id("a", "t", "x") != derived_id("a", "t", "y")


def test_an_effect_carries_the_thread_of_its_cause() -> None:
    cause = examples.uploaded(workspace="ws_1", document="doc_1")
    effect = examples.extracted(cause)
    assert (effect.causationid, effect.correlationid, effect.subject, effect.workspaceid, effect.source) == (
        cause.id, cause.correlationid, "doc_1", "ws_1", "/quire/ingest",
    )  # fmt: skip


def test_ids_grow_with_time_and_never_repeat() -> None:
    ids = [uuid7() for _ in range(2000)]
    assert len(set(ids)) == 2000
    assert {one.version for one in ids} == {7}
    now = datetime.now(UTC).timestamp() * 1000
    assert abs((ids[-1].int >> 80) - now) < 5000


def test_a_blob_is_either_inline_or_a_key() -> None:
    with pytest.raises(ValidationError, match="either inline or a key"):
        Blob[list[int]](size=1)
    with pytest.raises(ValidationError, match="either inline or a key"):
        Blob[list[int]](inline=[1], key="k", size=1)
    assert Blob[list[int]](inline=[], size=2).inline == []


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'{"type":"quire.unknown.v1"}', b'{"type":3}', b"null"])
def test_what_is_not_an_event_is_said_to_be_undecodable(body: bytes) -> None:
    with pytest.raises(UndecodableEvent):
        parse_event(body)


def test_an_event_without_an_id_is_undecodable() -> None:
    body = examples.uploaded().model_dump_json(exclude={"id"})
    with pytest.raises(UndecodableEvent, match="id"):
        parse_event(body)
