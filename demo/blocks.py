"""Reads a sample's text: headings, paragraphs, lists, tables and page breaks in a small part of Markdown."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Heading:
    """A title (level 1) or the name of a section (level 2)."""

    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    """Running text, its lines joined."""

    text: str


@dataclass(frozen=True)
class Items:
    """The points of a list."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows of equal length, the header first."""

    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class PageBreak:
    """What follows begins on a new page."""


Block: TypeAlias = Heading | Paragraph | Items | Table | PageBreak


def blocks(source: str) -> list[Block]:
    """The blocks of `source`, which an empty line separates."""
    return [_block(part.strip("\n")) for part in source.split("\n\n") if part.strip()]


def sections(source: str) -> Iterator[tuple[str, list[Block]]]:
    """Each second-level heading with the blocks below it; what stands before the first is left out."""
    name: str | None = None
    body: list[Block] = []
    for block in blocks(source):
        if isinstance(block, Heading) and block.level == 2:
            if name is not None:
                yield name, body
            name, body = block.text, []
        else:
            body.append(block)
    if name is not None:
        yield name, body


def _block(part: str) -> Block:
    lines = part.splitlines()
    if part == "---":
        return PageBreak()
    if part.startswith("#"):
        marks, text = part.split(" ", 1)
        return Heading(len(marks), text)
    if part.startswith("- "):
        return Items(tuple(line.removeprefix("- ") for line in lines))
    if part.startswith("|"):
        rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
        return Table((rows[0], *rows[2:]))
    return Paragraph(" ".join(lines))
