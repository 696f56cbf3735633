"""What an enrichment is, and what every provider of one promises."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Protocol

from pydantic import BaseModel, ConfigDict

KEYWORDS = 8
TAGS = 5
SUMMARY_CHARACTERS = 500
"""Longest summary that is kept, whoever wrote it."""
TERM_CHARACTERS = 60
"""Longest keyword or tag that is kept."""

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


class Enrichment(BaseModel):
    """A summary of at most `SUMMARY_CHARACTERS`, at most `KEYWORDS` keywords, best first, and at most `TAGS` tags.

    Tags are lower-case and meant to be shared by many documents. `model` names what made it, as it was asked for.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    summary: str
    keywords: list[str]
    tags: list[str]
    model: str | None = None

    @classmethod
    def tidy(cls, summary: str, keywords: Iterable[str], tags: Iterable[str], model: str | None) -> "Enrichment":
        """An enrichment within the limits: white space collapsed, control characters dropped, doubles removed."""
        return cls(
            summary=shortened(_clean(summary), SUMMARY_CHARACTERS),
            keywords=_distinct(map(_clean, keywords), KEYWORDS),
            tags=_distinct((_clean(tag).lstrip("#").lower() for tag in tags), TAGS),
            model=model,
        )


class Provider(Protocol):
    """Makes an enrichment of a text.

    `paid` says that an answer costs money or minutes, so that it is kept and never asked for twice. `characters` is how
    much of a text, from its beginning, the provider reads.
    """

    @property
    def name(self) -> str: ...
    @property
    def model(self) -> str | None: ...
    @property
    def paid(self) -> bool: ...
    @property
    def characters(self) -> int: ...

    async def enrich(self, text: str, language: str | None) -> Enrichment:
        """The enrichment of a text that is not blank; `language` is its ISO 639-1 code, where it is known.

        Raises `Permanent` where the provider refuses, `Later` where it asks to wait, anything else where it may work
        the next time.
        """
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


def shortened(text: str, limit: int) -> str:
    """The text, or its beginning up to a word's end and an ellipsis, in at most `limit` characters."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    at_word = cut.rfind(" ")
    return cut[: at_word if at_word > limit // 2 else limit - 1].rstrip(" ,;:–-") + "…"


def _clean(text: str) -> str:
    return unicodedata.normalize("NFC", " ".join(_UNPRINTABLE.sub(" ", text).split()))


def _distinct(terms: Iterable[str], limit: int) -> list[str]:
    found: dict[str, str] = {}
    for term in terms:
        if term and len(term) <= TERM_CHARACTERS:
            found.setdefault(term.casefold(), term)
    return list(found.values())[:limit]
