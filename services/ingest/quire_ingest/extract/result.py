"""What every family of formats is given and what it gives back."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of one document is read: a longer text is cut at `characters` and `chunks`; the rest is for refusing."""

    characters: int = 20_000_000
    chunks: int = 40_000
    pages: int = 10_000
    pixels: int = 200_000_000
    unpacked_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A document to read: its file, what it was found to be, and the limits."""

    path: Path
    media_type: str
    limits: Limits = field(default_factory=Limits)

    def head(self) -> tuple[bytes, bool]:
        """As many bytes as the characters allowed can take in UTF-8, and whether that is less than all of them."""
        size = 4 * self.limits.characters
        with self.path.open("rb") as file:
            data = file.read(size + 1)
        return data[:size], len(data) > size


@dataclass(slots=True, kw_only=True)
class Extraction:
    """The text of a document.

    `pages` has the text of each page; a format without pages has one entry and `paged` is false. `scanned` are the
    numbers (from 1) of pages whose text is only in their picture. `page_count` may be more than `pages` has, where the
    characters allowed ended first; `cut` says that there was more to read.
    """

    pages: list[str]
    paged: bool = False
    page_count: int | None = None
    scanned: list[int] = field(default_factory=list)
    cut: bool = False


class Unreadable(Exception):
    """The document cannot be read and never will be: `reason` is `encrypted`, `corrupt`, `limit` or `unsupported`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
