"""The timeline tells every event in words, with durations."""

import json
from typing import Any

import pytest

from quire_contracts import EVENTS, Blob, DocumentIndexed, DocumentIndexedData, Event, Vectors
from quire_contracts.golden import golden
from quire_gateway.timeline import timeline_of
from tests.support import examples


def _logged(*events: Event) -> list[dict[str, Any]]:
    return [json.loads(event.to_json()) for event in events]


def _told(event: Event) -> str:
    return timeline_of(_logged(event)).data[0].summary


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_every_event_is_told_in_words(kind: type[Event]) -> None:
    told = _told(golden(kind))
    assert told
    assert told != kind.type_name()


def test_the_words_say_what_matters() -> None:
    first = examples.uploaded(size=23)
    text = examples.extracted(first)
    assert _told(first) == "uploaded: notes.txt, 23 bytes"
    assert _told(text) == "text extracted: 30 characters on 1 pages"
    assert _told(text.model_copy(update={"data": text.data.model_copy(update={"ocr": True, "page_count": None})})) == (
        "text extracted: 30 characters, read by OCR"
    )
    assert _told(examples.indexed(text)) == "found by keyword and vector, 1 passages"
    assert _told(examples.previewed(first)) == "previews of 1 pages are ready"
    assert _told(examples.previewed(first, skipped="no pages")) == "no preview: no pages"
    assert _told(examples.enriched(text)) == "summarised by local"
    assert _told(examples.failed(first)) == "ingest failed: The file ends in the middle. (corrupt)"
    assert _told(examples.updated(first, version=4)) == "entry changed to version 4"


def test_a_document_that_no_leg_finds_is_told_so() -> None:
    nothing = DocumentIndexed.follow(examples.uploaded(), DocumentIndexedData(revision=1, legs=[], chunks=0))
    assert _told(nothing) == "not found by any leg yet"


def test_an_event_of_a_later_release_is_told_by_its_type() -> None:
    event = _logged(examples.uploaded())[0] | {
        "type": "quire.document.frozen.v1",
        "data": {"revision": 1, "by": "frost"},
    }
    entry = timeline_of([event]).data[0]
    assert entry.summary == "quire.document.frozen.v1"
    assert entry.data == {"revision": 1, "by": "frost"}


def test_times_are_counted_from_the_upload_and_from_the_cause() -> None:
    upload, text, vectors = [golden(kind) for kind in EVENTS[:3]]
    later, first, *_ = timeline_of(_logged(text, upload)).data
    assert (first.since_upload_ms, first.took_ms) == (0, None)
    assert (later.since_upload_ms, later.took_ms) == (31, 31)
    orphan = timeline_of(_logged(upload, vectors)).data[1]
    assert (orphan.since_upload_ms, orphan.took_ms) == (42, None)


def test_a_long_payload_is_left_out_and_its_size_stays() -> None:
    event = examples.embedded(examples.extracted(examples.uploaded()))
    blob = event.data.vectors.model_copy(update={"size": 50_000})
    long = event.model_copy(update={"data": event.data.model_copy(update={"vectors": blob})})
    assert timeline_of(_logged(long)).data[0].data["vectors"] == {"size": 50_000}
    stored = event.data.model_copy(update={"vectors": Blob[Vectors](key="a/b", size=50_000)})
    shown = timeline_of(_logged(event.model_copy(update={"data": stored}))).data[0].data["vectors"]
    assert shown == {"key": "a/b", "size": 50_000}
    assert "inline" in timeline_of(_logged(event)).data[0].data["vectors"]


def test_no_events_are_an_empty_timeline() -> None:
    assert timeline_of([]).data == []
