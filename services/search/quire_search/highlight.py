"""The part of a passage that shows why it was found, with the matched words marked."""

import re
from collections.abc import Callable, Container
from typing import Final, NamedTuple

from .analysis import occurrences

LENGTH: Final = 320
"""Characters of a highlight, about."""

_SENTENCE_END = re.compile(r"[.!?。！？][\"'”’)\]]*\s+|\n\s*\n")


class Highlight(NamedTuple):
    """`text == passage[start:end]`; each range is a matched word, `text[range[0]:range[1]]`."""

    text: str
    start: int
    end: int
    ranges: list[tuple[int, int]]


def highlight(passage: str, language: str, terms: Container[str]) -> Highlight:
    """The `LENGTH` characters with the most different matched words, from a sentence's or a word's beginning.

    `terms` are the query's terms in the passage's language. Where none occurs it is the passage's beginning.
    """
    found = occurrences(passage, language, terms)
    first = _densest([(token.start, token.term) for token in found])
    start = _beginning(passage, first)
    end = _ending(passage, start)
    ranges = [(token.start - start, token.end - start) for token in found if start <= token.start and token.end <= end]
    return Highlight(passage[start:end], start, end, ranges)


def _densest(places: list[tuple[int, str]]) -> int:
    """Where the window begins that holds most different terms, then most words."""
    best, best_value = 0, (0, 0)
    for index, (start, _) in enumerate(places):
        inside = [term for place, term in places[index:] if place < start + LENGTH * 3 // 4]
        value = (len(set(inside)), len(inside))
        if value > best_value:
            best, best_value = start, value
    return best


def _beginning(passage: str, first: int) -> int:
    """The begin of the sentence that holds `first`, if it is near; else of a word a little before."""
    if first == 0:
        return _skip(passage, 0, str.isspace)
    earliest = max(0, first - LENGTH // 4)
    ends = [match.end() for match in _SENTENCE_END.finditer(passage, earliest, first + 1) if match.end() <= first]
    if ends:
        return ends[-1]
    if earliest == 0:
        return _skip(passage, 0, str.isspace)
    blank = re.compile(r"\s+").search(passage, earliest, first)
    return blank.end() if blank else first


def _ending(passage: str, start: int) -> int:
    latest = start + LENGTH
    if latest >= len(passage):
        return start + len(passage[start:].rstrip())
    ends = [match.end() for match in _SENTENCE_END.finditer(passage, start + LENGTH // 2, latest)]
    cut = ends[-1] if ends else passage.rfind(" ", start + LENGTH // 2, latest)
    return start + len(passage[start : cut if cut > start else latest].rstrip())


def _skip(passage: str, at: int, what: Callable[[str], bool]) -> int:
    while at < len(passage) and what(passage[at]):
        at += 1
    return at
