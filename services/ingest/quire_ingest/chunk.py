"""Cuts the pages of a text into chunks: passages of about a thousand characters that break where the text does."""

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate

from semantic_text_splitter import TextSplitter

from quire_contracts import Chunk

CHARACTERS, DENSE_CHARACTERS = 1_000, 250
"""Longest chunk, for scripts that spell and for those that say more with a character: some 250 tokens of MiniLM."""

PAGE_BREAK = "\f"
"""Stands between the pages of a text: page n is `text.split(PAGE_BREAK)[n - 1]`."""

# The splitter's time grows with the square of a paragraph's length, so it is given no more than this at once.
_WINDOW = 8_000
_BOUNDARIES = ("\n\n", "\n", ". ", "。", " ")
_DENSE = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]"
)
_SAMPLE = 4_000
_splitters = {size: TextSplitter(size) for size in (CHARACTERS, DENSE_CHARACTERS)}


def chunks_of(pages: Sequence[str], *, paged: bool, limit: int) -> tuple[list[Chunk], bool]:
    """The chunks of the text `PAGE_BREAK.join(pages)`, and whether there would have been more than `limit`.

    A chunk is never empty and never crosses a page. The same pages give the same chunks.
    """
    found: list[Chunk] = []
    starts = accumulate((len(page) + len(PAGE_BREAK) for page in pages), initial=0)
    for number, (start, page) in enumerate(zip(starts, pages, strict=False), 1):
        for offset, passage in _passages(page):
            if len(found) == limit:
                return found, True
            at = start + offset
            found.append(
                Chunk(
                    index=len(found),
                    text=passage,
                    page=number if paged else None,
                    start=at,
                    end=at + len(passage),
                )
            )
    return found, False


def _passages(page: str) -> Iterator[tuple[int, str]]:
    splitter = _splitters[DENSE_CHARACTERS if _is_dense(page) else CHARACTERS]
    at = 0
    while at < len(page):
        end = _window_end(page, at)
        for offset, passage in splitter.chunk_indices(page[at:end]):
            if passage:
                yield at + offset, passage
        at = end


def _window_end(page: str, at: int) -> int:
    """Where the window that begins at `at` ends: at the last of the best boundaries in its second half."""
    end = at + _WINDOW
    if end >= len(page):
        return len(page)
    for boundary in _BOUNDARIES:
        found = page.rfind(boundary, at + _WINDOW // 2, end)
        if found > 0:
            return found + len(boundary)
    return end


def _is_dense(page: str) -> bool:
    sample = page[:_SAMPLE]
    return not sample.isascii() and len(_DENSE.findall(sample)) * 3 > len(sample)
