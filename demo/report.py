"""What the demo prints of documents: tables, summaries, previews, timelines, figures, and how to go on."""

import asyncio
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from quire_client import Document, Quire, TimelineEntry, settings, show
from quire_client.batch import Outcome

Entries = list[TimelineEntry]

INDEXED = "quire.document.indexed.v1"
PROCESSING = {
    "quire.text.extracted.v1", "quire.document.embedded.v1", INDEXED, "quire.document.enriched.v1",
    "quire.preview.ready.v1", "quire.processing.failed.v1",
}  # fmt: skip
"""Events that end a stage; a change by hand later on is no part of the processing."""


def heading(console: Console, text: str) -> None:
    """A new section."""
    console.print()
    console.print(Text(text, style="bold underline" if console.is_terminal else ""))
    if not console.is_terminal:
        console.print("-" * len(text))


def searchable_ms(timeline: Entries) -> int | None:
    """Milliseconds from the upload to the first event that says that searches find the document."""
    return min((entry.since_upload_ms for entry in timeline if entry.type == INDEXED), default=None)


def ready_ms(timeline: Entries) -> int | None:
    """Milliseconds from the upload to the end of the last stage."""
    return max((entry.since_upload_ms for entry in timeline if entry.type in PROCESSING), default=None)


def percentile(values: Sequence[int], share: float) -> int:
    """The smallest value that at least `share` of the values do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def documents(console: Console, outcomes: Sequence[Outcome], timelines: Mapping[str, Entries]) -> None:
    """A line for each document, with how long it took until it was found and until it was ready."""
    heading(console, "The documents")
    numbers = ("Pages", "Searchable after", "Ready after")
    table = show.table("Title", "Type", "Pages", "Lang", "Status", "Searchable after", "Ready after", "", right=numbers)
    for outcome in outcomes:
        one = outcome.document
        if one is None:
            table.add_row(Text(show.clean(outcome.file.path.name)), "", "", "", Text("refused", "bold red"), "", "", "")
            continue
        timeline = timelines.get(one.id, [])
        table.add_row(
            Text(show.clean(one.title)), show.kind(one), str(one.page_count or ""), one.language or "",
            show.status(one), show.duration(searchable_ms(timeline)),
            show.duration(ready_ms(timeline)) if one.settled else "",
            Text("duplicate" if outcome.duplicate else "", "dim"),
        )  # fmt: skip
    console.print(table)
    if any(outcome.duplicate for outcome in outcomes):
        console.print("duplicate: uploaded before; the times are those of the first upload.", style="dim")


def enrichment(console: Console, document: Document) -> None:
    """Summary, keywords and tags of one document."""
    heading(console, f"What was made of “{show.clean(document.title)}”")
    console.print(show.details(document))


async def previews(console: Console, quire: Quire, documents: Sequence[Document], folder: Path) -> None:
    """Save the first page of two documents of different types and say where they are."""
    heading(console, "Previews")
    chosen: dict[str, Document] = {}
    for document in documents:
        if document.previews and len(chosen) < 2:
            chosen.setdefault(document.media_type, document)
    if not chosen:
        console.print("no document has a preview")
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    for document in chosen.values():
        preview = document.previews[0]
        path = folder / f"{Path(document.filename).stem}-{preview.page}.webp"
        path.write_bytes(await quire.preview(document.id, preview.page))
        console.print(f"{near(path)}  page {preview.page}, {preview.width} x {preview.height} pixels")
        console.print(f"  {quire.url}{preview.url}", style="dim")


def timeline(console: Console, document: Document, entries: Entries) -> None:
    """Every event of one document."""
    heading(console, f"The timeline of “{show.clean(document.title)}”")
    console.print(show.timeline(entries))


def latencies(console: Console, timelines: Mapping[str, Entries]) -> None:
    """Median and 95th percentile over the documents."""
    heading(console, "From upload to…")
    for name, measure in (("searchable", searchable_ms), ("ready", ready_ms)):
        values = [found for entries in timelines.values() if (found := measure(entries)) is not None]
        if values:
            middle, late = show.duration(percentile(values, 0.5)), show.duration(percentile(values, 0.95))
            console.print(f"{name:<11} p50 {middle}, p95 {late}  ({len(values)} documents)")


def farewell(console: Console, credentials: settings.Credentials, home: Path) -> None:
    """How to go on."""
    heading(console, "Go on")
    file = credentials.file
    key = near(file) if file else "QUIRE_API_KEY in the environment"
    load = f". {near(file)}; " if file else ""
    quire = near(Path(sys.executable).with_name("quire"))
    elsewhere = "" if home == Path.cwd() / settings.FOLDER else f"QUIRE_HOME={home} "
    lines = [
        ("API", f"{credentials.url}/api/v1"),
        ("API key", key),
        ("search", f'{elsewhere}{quire} search "why did the roof stay open"'),
        ("upload your own", f"{elsewhere}{quire} upload --wait DIR"),
        ("watch events", f"{elsewhere}{quire} watch"),
        ("plain HTTP", f'{load}curl -H "X-API-Key: $QUIRE_API_KEY" "$QUIRE_URL/api/v1/search?q=north+sprocket"'),
        ("the stack", "make status, make down"),
    ]
    for name, text in lines:
        console.print(Text.assemble((f"{name:<16}", "dim"), text), soft_wrap=True)


def near(path: Path) -> str:
    """A path as one would type it here."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("../..") else relative
