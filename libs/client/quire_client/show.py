"""Documents, search results, timelines and events as text for people."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .models import Document, Event, Highlight, Hit, SearchResults, Stage, TimelineEntry

MARKS = {"done": ("✓", "green"), "failed": ("✗", "bold red"), "skipped": ("–", "dim"), "pending": ("…", "yellow")}
STATUS_STYLE = {"ready": "green", "failed": "bold red", "processing": "yellow"}
PLAIN_WIDTH = 200
_WORD = 24
"""A passage is cut between words, unless the next space is further away than this."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+")


class _PlainConsole(Console):
    """Lines without the spaces that tables put at their ends."""

    def print(self, *objects: Any, **options: Any) -> None:
        with self.capture() as captured:
            super().print(*objects, **options)
        self.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().split("\n")[:-1]))


def console(*, stderr: bool = False) -> Console:
    """Colours and live displays on a terminal; plain lines, tables of up to 200 characters, elsewhere."""
    made = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if made.is_terminal:
        return made
    return _PlainConsole(stderr=stderr, markup=False, emoji=False, highlight=False, width=PLAIN_WIDTH)


def clean(text: str) -> str:
    """One line without control characters, which a terminal would obey."""
    return _CONTROL.sub(" ", text)


def table(*headers: str, right: Sequence[str] = ()) -> Table:
    """An empty table in the house style; `right` names the columns of numbers."""
    made = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for header in headers:
        number = header in right
        made.add_column(header, justify="right" if number else "left", no_wrap=number, overflow="fold")
    return made


def stages(document: Document) -> Text:
    """`ingest ✓  embed ✓  index …`."""
    return Text("  ").join(_stage(name, stage) for name, stage in document.stages.items())


def _stage(name: str, stage: Stage) -> Text:
    mark, style = MARKS.get(stage.status, ("?", ""))
    return Text(f"{name} {mark}", style=style)


def status(document: Document) -> Text:
    """The status in its colour."""
    return Text(document.status, style=STATUS_STYLE.get(document.status, ""))


def count(number: int, noun: str) -> str:
    """`no documents`, `1 document`, `2 documents`."""
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def size(octets: int) -> str:
    """Bytes in decimal units: `1.2 MB`."""
    value, units = float(octets), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{octets} B" if units[0] == "B" else f"{value:.1f} {units[0]}"


def duration(milliseconds: int | None) -> str:
    """`35 ms`, `1.24 s`, `3 min 10 s`."""
    if milliseconds is None:
        return ""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.2f} s"
    return f"{milliseconds // 60_000} min {milliseconds // 1000 % 60} s"


def kind(document: Document) -> str:
    """`PDF`, `DOCX`: the suffix says it shorter than the media type."""
    return clean(Path(document.filename).suffix).lstrip(".").upper() or document.media_type


def documents(found: Iterable[Document]) -> Table:
    """A line for each document."""
    made = table("ID", "Title", "Folder", "Type", "Size", "Pages", "Status", "Uploaded", right=("Size", "Pages"))
    for one in found:
        made.add_row(
            Text(one.id, no_wrap=True, overflow="fold"), Text(clean(one.title)), Text(clean(one.folder)),
            Text(kind(one)), size(one.size), str(one.page_count or ""), status(one),
            f"{one.created_at.astimezone():%Y-%m-%d %H:%M}",
        )  # fmt: skip
    return made


def excerpt(highlight: Highlight, width: int = 280, *, plain: bool = False) -> Text:
    """A passage cut around its first matched word, the words in bold, or between asterisks where `plain`."""
    first = highlight.ranges[0][0] if highlight.ranges else 0
    start = cut = 0 if first < width * 2 // 3 else first - width // 3
    end = limit = min(len(highlight.text), start + width)
    while start and start < min(first, cut + _WORD) and not highlight.text[start - 1].isspace():
        start += 1
    while end < len(highlight.text) and end > limit - _WORD and not highlight.text[end].isspace():
        end -= 1
    made, at = Text("… " if start else ""), start
    for begin, stop in sorted(highlight.ranges):
        if begin < at or stop > end:
            continue
        word = clean(highlight.text[begin:stop])
        made.append(clean(highlight.text[at:begin]))
        made.append(f"*{word}*" if plain else word, style="bold reverse" if not plain else "")
        at = stop
    made.append(clean(highlight.text[at:end]))
    if end < len(highlight.text):
        made.append(" …")
    return made


def hit(number: int, found: Hit, *, plain: bool, passages: int = 1) -> Table:
    """A document that was found, with its best passages."""
    made = Table.grid(padding=(0, 1, 0, 0))
    made.add_column(justify="right", width=3)
    made.add_column(overflow="fold")
    shown = found.highlights[:passages]
    page = f"  page {shown[0].page}" if shown and shown[0].page else ""
    head = Text.assemble(
        (clean(found.document.title), "bold"), (f"  {found.score:.3f}{page}", "cyan"),
        (f"  {clean(found.document.folder)}  {found.document.id}", "dim"),
    )  # fmt: skip
    made.add_row(f"{number}.", head)
    for passage in shown:
        made.add_row("", excerpt(passage, plain=plain))
    return made


def facets(found: SearchResults, most: int = 6) -> Table:
    """The most frequent values of each facet with their numbers of documents."""
    made = Table.grid(padding=(0, 2, 0, 0))
    for name, counts in found.facets.items():
        best = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]
        if best:
            made.add_row(Text(name, style="dim"), Text(", ".join(f"{clean(value)} ({n})" for value, n in best)))
    return made


def facts(rows: Iterable[tuple[str, str | Text]]) -> Table:
    """Names and values, one a line; what is empty is left out."""
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in rows:
        if value:
            made.add_row(Text(name), value if isinstance(value, Text) else Text(value))
    return made


def details(document: Document) -> Table:
    """Everything the catalog knows of a document."""
    rows: list[tuple[str, Any]] = [
        ("id", document.id), ("title", Text(clean(document.title), style="bold")), ("file", clean(document.filename)),
        ("folder", clean(document.folder)), ("tags", ", ".join(map(clean, document.tags))),
        ("metadata", ", ".join(f"{clean(name)}={clean(str(value))}" for name, value in document.metadata.items())),
        ("type", f"{document.media_type}, {size(document.size)}"), ("language", document.language or ""),
        ("pages", str(document.page_count or "")), ("passages", str(document.chunks or "")),
        ("uploaded", f"{document.created_at.astimezone():%Y-%m-%d %H:%M:%S}"), ("status", status(document)),
        ("found by", ", ".join(document.searchable)), ("summary", clean(document.summary or "")),
        ("keywords", ", ".join(map(clean, document.keywords))),
        ("suggested", ", ".join(map(clean, document.suggested_tags))),
    ]  # fmt: skip
    made = facts(rows)
    for name, stage in document.stages.items():
        text = _stage(name, stage)
        if stage.status in {"failed", "skipped"}:
            text.append(f"  {clean(stage.detail or '')} ({stage.reason})", style="")
        made.add_row("stages" if name == next(iter(document.stages)) else "", text)
    return made


def timeline(entries: Sequence[TimelineEntry]) -> Table:
    """A line for each event: since the upload, how long it took, and what happened."""
    made = table("After", "Took", "By", "What happened", right=("After", "Took"))
    for entry in entries:
        made.add_row(
            duration(entry.since_upload_ms), duration(entry.took_ms), Text(clean(entry.source.rsplit("/", 1)[-1])),
            Text(clean(entry.summary)),
        )  # fmt: skip
    return made


def event(one: Event, title: str | None) -> Text:
    """An event as a line: when, what, of which document, in words."""
    words = " ".join(
        f"{name}={clean(str(value))[:80]}"
        for name, value in one.data.items()
        if isinstance(value, str | int | float | bool) and not name.endswith("_key") and name != "sha256"
    )
    return Text.assemble(
        (f"{one.time.astimezone():%H:%M:%S.%f}"[:-3], "dim"), f"  {one.type.removeprefix('quire.'):<22}  ",
        (clean(title or one.subject), "bold"), f"  {words}",
    )  # fmt: skip
