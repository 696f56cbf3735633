"""The timeline of a document: its events with durations, told in words."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from quire_contracts import DocumentUploaded, Embedded, StageRetried, TextExtracted, derived_id

from .models import Timeline, TimelineEntry

_LONG = 4096
REPLAYED = tuple(event.type_name() for event in (DocumentUploaded, TextExtracted, Embedded))
"""Types of the events that stages are replayed with."""


def timeline_of(events: list[dict[str, Any]]) -> Timeline:
    """Events as they were logged, first to last, as a timeline."""
    times = {event["id"]: datetime.fromisoformat(event["time"]) for event in events}
    if not events:
        return Timeline(data=[])
    begin = min(times.values())
    for event in events:
        if event["type"] == StageRetried.type_name():  # what follows names the replay, which only its service received
            times |= {derived_id(event["id"], type_): times[event["id"]] for type_ in REPLAYED}
    entries = []
    for event in events:
        at = times[event["id"]]
        cause = times.get(event.get("causationid") or "")
        entries.append(
            TimelineEntry(
                id=event["id"],
                type=event["type"],
                source=event["source"],
                time=at,
                since_upload_ms=_milliseconds(begin, at),
                took_ms=None if cause is None else _milliseconds(cause, at),
                causationid=event.get("causationid"),
                summary=_told(event),
                data={name: _shortened(value) for name, value in event["data"].items()},
            )
        )
    return Timeline(data=entries)


def _told(event: dict[str, Any]) -> str:
    words = _WORDS.get(event["type"])
    return words(event["data"]) if words else str(event["type"])


def _milliseconds(begin: datetime, end: datetime) -> int:
    return round((end - begin).total_seconds() * 1000)


def _shortened(value: Any) -> Any:
    """A claim check without its payload."""
    if isinstance(value, dict) and "size" in value and ("inline" in value or "key" in value) and value["size"] > _LONG:
        return {name: part for name, part in value.items() if name != "inline"}
    return value


def _uploaded(data: dict[str, Any]) -> str:
    return f"uploaded: {data['document']['filename']}, {data['document']['size']} bytes"


def _extracted(data: dict[str, Any]) -> str:
    pages = f" on {data['page_count']} pages" if data.get("page_count") else ""
    ocr = ", read by OCR" if data.get("ocr") else ""
    return f"text extracted: {data['characters']} characters{pages}{ocr}"


def _indexed(data: dict[str, Any]) -> str:
    if not data["legs"]:
        return "not found by any leg yet"
    return f"found by {' and '.join(data['legs'])}, {data['chunks']} passages"


def _previewed(data: dict[str, Any]) -> str:
    if data.get("skipped"):
        return f"no preview: {data['skipped']}"
    return f"previews of {len(data.get('pages', ()))} pages are ready"


_WORDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "quire.document.uploaded.v1": _uploaded,
    "quire.text.extracted.v1": _extracted,
    "quire.document.embedded.v1": lambda _data: "vectors computed",
    "quire.document.indexed.v1": _indexed,
    "quire.document.enriched.v1": lambda data: f"summarised by {data['provider']}",
    "quire.preview.ready.v1": _previewed,
    "quire.document.updated.v1": lambda data: f"entry changed to version {data['document']['version']}",
    "quire.document.deleted.v1": lambda _data: "deleted",
    "quire.stage.retried.v1": lambda data: f"{data['stage']} is done once more, as the {data['by']} asked",
    "quire.processing.failed.v1": lambda data: f"{data['stage']} failed: {data['detail']} ({data['reason']})",
}  # fmt: skip
