"""The searches of the demo: those of the catalog with their expectations, or some made from people's own documents."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from demo.catalog import QUERIES, Query
from demo.report import heading
from quire_client import Document, Hit, Mode, Quire, SearchResults, show

LIMIT = 20
SHOWN = 3
AMONG_FIRST = 3


async def of_samples(console: Console, quire: Quire, documents: Sequence[Document]) -> bool:
    """Every query of the catalog, ticked where it found what it should."""
    ours = {document.id for document in documents}
    well = True
    for query in QUERIES:
        found = await quire.search(query.text, mode=query.mode, limit=LIMIT, language=query.language)
        place = place_of(query, found.data, ours)
        good = place is not None and place <= (AMONG_FIRST if query.mode == "keyword" else 1)
        well &= good
        _show(console, query.text, query.mode, found)
        told = f"{query.finds} is number {place}" if place else f"{query.finds} was not found"
        console.print(
            Text(f"{'✓' if good else '✗'} {told}. ", "green" if good else "bold red").append(query.shows, "dim")
        )
    heading(console, "What the documents with the word “storm” have in common")
    console.print(show.facets(await quire.search("storm", mode="keyword", limit=1)))
    return well


async def of_own(console: Console, quire: Quire, documents: Sequence[Document]) -> bool:
    """A search in each mode for the first keywords of a document; nothing is expected of it."""
    known = next((document for document in documents if document.keywords), documents[0])
    words = " ".join(known.keywords[:2]) or known.title
    found: SearchResults | None = None
    modes: tuple[Mode, ...] = ("keyword", "semantic", "hybrid")
    for mode in modes:
        found = await quire.search(words, mode=mode, limit=LIMIT)
        _show(console, words, mode, found)
    if found:
        heading(console, "What they have in common")
        console.print(show.facets(found))
    return True


def place_of(query: Query, hits: Sequence[Hit], ours: set[str]) -> int | None:
    """The place of what the query should find, from 1, among the samples; other documents of the workspace are not
    counted."""
    names = [hit.document.filename for hit in hits if hit.document.id in ours]
    return names.index(query.finds) + 1 if query.finds in names else None


def _show(console: Console, words: str, mode: str, found: SearchResults) -> None:
    console.print()
    console.print(Text.assemble((words, "bold yellow"), (f"  {mode}, {found.took_ms:.0f} ms", "dim")))
    for number, hit in enumerate(found.data[:SHOWN], 1):
        console.print(show.hit(number, hit, plain=not console.is_terminal))
