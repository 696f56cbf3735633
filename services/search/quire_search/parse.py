"""What a person typed, taken apart: words, "phrases", -exclusions and OR. Any text is a valid query.

Words are wishes: a document with any of them is found, one with more of them ranks higher. A phrase is a demand: one
of its words beside the other, in this order. `"a phrase" OR word` is a demand that either meets. Between words OR
changes nothing, because any word may match in any case.
"""

import re
from typing import NamedTuple

LONGEST_QUERY = 2000
"""Characters; the gateway refuses what is longer, and here the rest is not read."""

_PART = re.compile(r'(-?)"([^"]*)"?|(\S+)')


class Query(NamedTuple):
    """A query's parts, each as the person wrote it."""

    words: tuple[str, ...] = ()
    """Everything that counts for ranking, the words of phrases included."""
    required: tuple[tuple[str, ...], ...] = ()
    """Each inner tuple: one of these word sequences must occur."""
    excluded: tuple[str, ...] = ()
    """None of these word sequences may occur anywhere in the document."""

    @property
    def text(self) -> str:
        """What is asked for in running words: what the embedding is made of."""
        return " ".join(self.words)


def parse(text: str) -> Query:
    """Never raises."""
    groups: list[list[tuple[str, bool]]] = []
    excluded: list[str] = []
    joined = False
    readable = text[:LONGEST_QUERY].replace("\0", " ").encode(errors="replace").decode()
    for match in _PART.finditer(readable):
        minus, phrase, word = match.groups()
        if word == "OR":
            joined = bool(groups)
            continue
        if word is not None and word.startswith("-") and len(word) > 1:
            excluded.append(word[1:])
        elif minus:
            excluded.append(phrase)
        else:
            item = (phrase, True) if word is None else (word, False)
            if joined:
                groups[-1].append(item)
            else:
                groups.append([item])
        joined = False
    return Query(
        words=tuple(text for group in groups for text, _ in group),
        required=tuple(
            tuple(text for text, _ in group) for group in groups if any(is_phrase for _, is_phrase in group)
        ),
        excluded=tuple(excluded),
    )
