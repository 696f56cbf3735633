"""What a message in a parked queue says of itself, be it an event or anything else."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json

from quire_runtime.consume import ATTEMPT, REASON

ID_PREFIX = "dl_"
_LONGEST_WORD = 200
_LONGEST_REASON = 2000
_DEEPEST = 8
_LARGEST = 2**31 - 1


@dataclass(frozen=True)
class Letter:
    """A message that no worker could handle; the event's attributes are None where the body does not give them."""

    id: str
    service: str
    reason: str
    attempts: int
    headers: dict[str, Any]
    """As PostgreSQL can keep them as JSON."""
    body: bytes
    event_id: str | None = None
    event_type: str | None = None
    workspace: str | None = None
    document: str | None = None
    event_time: datetime | None = None


def letter_of(service: str, body: bytes, headers: Mapping[str, Any]) -> Letter:
    """A parked message as a dead letter, whatever it holds. The same body of the same service has the same id."""
    return Letter(
        id=letter_id(service, body),
        service=service,
        reason=reason_in(headers),
        attempts=_attempts(headers),
        headers=_storable(dict(headers)),
        body=body,
        **_envelope(body),
    )


def letter_id(service: str, body: bytes) -> str:
    """The id of the dead letter that a body makes."""
    return ID_PREFIX + hashlib.sha256(service.encode() + b"\0" + body).hexdigest()[:32]


def reason_in(headers: Mapping[str, Any]) -> str:
    """Why it was parked: the broker's word where it gave the message up itself, else the worker's.

    The worker's header is then of an earlier try, and is told behind. That a message came out of a delay queue
    (`expired`) is no reason.
    """
    worker = _text(headers.get(REASON))
    deaths = headers.get("x-death")
    died = [
        _text(death.get("reason")) for death in (deaths if isinstance(deaths, list) else []) if isinstance(death, dict)
    ]
    broker = next((reason for reason in died if reason and reason != "expired"), None)
    told = ": ".join(filter(None, [broker, worker])) or _text(headers.get("x-first-death-reason")) or "unknown"
    return told[:_LONGEST_REASON]


def text_of(body: bytes) -> str | None:
    """The body as text that PostgreSQL can keep; None where it is none."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def json_in(body: bytes) -> Any:
    """The body as JSON that can be shown as JSON again. Raises ValueError where it is none."""
    parsed = from_json(body, allow_inf_nan=False)
    if not _is_finite(parsed):
        raise ValueError("a number is too large")
    return parsed


def _is_finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return all(map(_is_finite, value)) if isinstance(value, list) else True


def _envelope(body: bytes) -> dict[str, Any]:
    """The attributes by which dead letters are found; also those of a type that this release does not know."""
    try:
        event = json_in(body)
    except ValueError:
        return {}
    if not isinstance(event, dict):
        return {}
    return {
        "event_id": _word(event.get("id")),
        "event_type": _word(event.get("type")),
        "workspace": _word(event.get("workspaceid")),
        "document": _word(event.get("subject")),
        "event_time": _moment(event.get("time")),
    }


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST_WORD and "\0" not in value else None


def _moment(value: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(value)
        return at.astimezone(UTC) if at.tzinfo is not None else None
    except (TypeError, ValueError, OverflowError):
        return None


def _attempts(headers: Mapping[str, Any]) -> int:
    try:
        return max(1, min(int(headers.get(ATTEMPT, 1)), _LARGEST))
    except (TypeError, ValueError, OverflowError):
        return 1


def _text(value: Any) -> str:
    if isinstance(value, bytes | bytearray):
        value = value.decode(errors="backslashreplace")
    return value.encode(errors="replace").decode().replace("\0", "") if isinstance(value, str) else ""


def _storable(value: Any, depth: int = 0) -> Any:
    """A header's value as `jsonb` can hold it: no NUL, no lone surrogate, no endless number, no deep nest."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str | bytes | bytearray):
        return _text(value)
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if depth < _DEEPEST and isinstance(value, dict):
        return {_text(name): _storable(part, depth + 1) for name, part in value.items()}
    if depth < _DEEPEST and isinstance(value, list | tuple):
        return [_storable(part, depth + 1) for part in value]
    return _text(str(value))
