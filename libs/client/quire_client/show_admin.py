"""Dead letters and the audit log as text for people."""

import json
from collections.abc import Iterable
from datetime import datetime

from rich.table import Table
from rich.text import Text

from .models import AuditEntry, DeadLetter
from .show import clean, facts, table

STATE_STYLE = {"parked": "bold red", "requeued": "green", "discarded": "dim"}
_REASON = 120
"""Characters of a reason in a list; the whole one is shown with the dead letter."""


def dead_letters(found: Iterable[DeadLetter]) -> Table:
    """A line for each dead letter."""
    made = table("ID", "Service", "Event", "Document", "Tries", "Times", "Last", "State", "Reason",
                 right=("Tries", "Times"))  # fmt: skip
    for one in found:
        made.add_row(
            Text(one.id, no_wrap=True, overflow="fold"), Text(clean(one.service)), Text(_kind(one)),
            Text(clean(one.document or ""), overflow="fold"), str(one.attempts), str(one.times),
            f"{one.last_at.astimezone():%Y-%m-%d %H:%M:%S}", Text(one.state, style=STATE_STYLE.get(one.state, "")),
            Text(_shortened(clean(one.reason))),
        )  # fmt: skip
    return made


def dead_letter(one: DeadLetter) -> Table:
    """Everything about a dead letter but its message."""
    rows = [
        ("id", one.id), ("state", one.state), ("service", one.service), ("reason", one.reason),
        ("tries", f"{one.attempts}, given up {one.times} times" if one.times > 1 else str(one.attempts)),
        ("first", _moment(one.first_at)), ("last", _moment(one.last_at)), ("event", one.event_id or ""),
        ("type", one.event_type or ""), ("time", _moment(one.event_time)), ("document", one.document or ""),
        ("workspace", one.workspace or ""),
        *((f"{name}:", str(value)) for name, value in one.headers.items()),
    ]  # fmt: skip
    return facts((clean(name), Text(clean(value), STATE_STYLE.get(value, "") if name == "state" else ""))
                 for name, value in rows)  # fmt: skip


def message(one: DeadLetter) -> Text:
    """The message of a dead letter: JSON with indents, or base64."""
    if one.body_base64 is not None:
        return Text(f"not JSON, in base64: {one.body_base64}")
    written = json.dumps(one.event, indent=2, ensure_ascii=False)
    return Text("\n".join(map(_indented, written.split("\n"))))


def audit(entries: Iterable[AuditEntry]) -> Table:
    """A line for each entry."""
    made = table("At", "Who", "What", "To what", "Detail")
    for one in entries:
        detail = json.dumps(one.detail, ensure_ascii=False) if one.detail else ""
        made.add_row(
            f"{one.at.astimezone():%Y-%m-%d %H:%M:%S}", Text(clean(one.actor)), Text(clean(one.action)),
            Text(clean(one.subject or "")), Text(_shortened(clean(detail))),
        )  # fmt: skip
    return made


def _kind(one: DeadLetter) -> str:
    return clean(one.event_type or "not an event").removeprefix("quire.")


def _moment(at: datetime | None) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}" if at else ""


def _shortened(text: str) -> str:
    return text if len(text) <= _REASON else f"{text[: _REASON - 2]} …"


def _indented(line: str) -> str:
    return " " * (len(line) - len(line.lstrip(" "))) + clean(line.lstrip(" "))
