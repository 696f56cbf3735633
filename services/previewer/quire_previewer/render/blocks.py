"""What a text is made of before it is typeset: headings, paragraphs, code, tables. Plain JSON values, never markup."""

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, Literal

Block = dict[str, Any]
"""A block as the page template reads it: `kind`, and what the constructor of that kind puts beside it."""

Style = Literal["", "strong", "emph", "code", "link"]
Span = tuple[Style, str]

CHARACTERS_PER_PAGE = 9_000
LINES_PER_PAGE = 90
"""No page holds as much: what lies beyond this many times the number of pages is not looked at."""

UNBROKEN = 40
EVERY = 8
"""A run of more than `UNBROKEN` characters without a place to break the line gets one after `EVERY` characters."""

_BREAK = "\u200b"
_KEPT = {"\n": "\n", "\t": "    "}


def heading(level: int, spans: Sequence[Span]) -> Block:
    """A heading of level 1 to 6."""
    return {"kind": "heading", "level": min(max(level, 1), 6), **_flow(spans)}


def paragraph(spans: Sequence[Span], depth: int = 0, marker: str = "") -> Block:
    """A paragraph; as an item of a list it has a marker, and is indented `depth` times."""
    return {"kind": "paragraph", "depth": min(depth, 6), "marker": marker, **_flow(spans)}


def code(text: str, language: str | None = None) -> Block:
    """Text in a typewriter face, with its line breaks; `language` colours it, for example `json`."""
    text = printable(text)
    return {"kind": "code", "text": text, "language": language, "rtl": _is_rtl(text)}


def table(rows: Sequence[Sequence[str]], *, head: bool) -> Block:
    """A table; short rows are filled up. `head` sets the first row apart.

    The columns are given as the characters of their longest cells, within reason.
    """
    width = max((len(row) for row in rows), default=0)
    filled = [[printable(cell) for cell in row] + [""] * (width - len(row)) for row in rows]
    longest = [max(len(row[column]) for row in filled) for column in range(width)]
    return {"kind": "table", "columns": [min(max(size, 3), 40) for size in longest], "rows": filled, "head": head}


def rule() -> Block:
    """A line across the page."""
    return {"kind": "rule"}


def printable(text: str) -> str:
    """The text without control characters, with tabs as spaces and a place to break in every long run."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.isprintable():
        text = "".join(_KEPT.get(c, c if _can_be_shown(c) else "") for c in text)
    return " ".join(_breakable(word) if len(word) > UNBROKEN else word for word in text.split(" "))


def cut(blocks: Iterable[Block], pages: int) -> tuple[list[Block], bool]:
    """As many blocks as could fill the pages, the last one shortened, and whether anything was left out."""
    kept: list[Block] = []
    room = pages * CHARACTERS_PER_PAGE
    lines = pages * LINES_PER_PAGE
    for block in blocks:
        if room <= 0 or lines <= 0:
            return kept, True
        text = block.get("text", "")
        size = len(text) + sum(len(span) for _, span in block.get("spans", ()))
        kept.append(_shortened(block, room) if size > room else block)
        room -= size
        lines -= 1 + text.count("\n") + len(block.get("rows", ()))
    return kept, room < 0


def _shortened(block: Block, room: int) -> Block:
    if "text" in block:
        return {**block, "text": block["text"][:room]}
    spans: list[Span] = []
    for style, text in block["spans"]:
        spans.append((style, text[:room]))
        room -= len(text)
        if room <= 0:
            break
    return {**block, "spans": spans}


def _flow(spans: Sequence[Span]) -> dict[str, Any]:
    clean = [(style, printable(text)) for style, text in spans]
    return {"spans": clean, "rtl": _is_rtl("".join(text for _, text in clean))}


def _breakable(word: str) -> str:
    lines = word.split("\n")
    return "\n".join(
        _BREAK.join(line[at : at + EVERY] for at in range(0, len(line), EVERY)) if len(line) > UNBROKEN else line
        for line in lines
    )


def _can_be_shown(character: str) -> bool:
    category = unicodedata.category(character)
    return category not in ("Cc", "Cs", "Zl", "Zp") and character != "\ufeff"


def _is_rtl(text: str) -> bool:
    """Whether the first letter is of a script that runs from right to left (the Unicode rule for a paragraph)."""
    for character in text[:1000]:
        direction = unicodedata.bidirectional(character)
        if direction in ("L", "R", "AL"):
            return direction != "L"
    return False
