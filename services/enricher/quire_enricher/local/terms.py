"""The terms of a text that matter: C-value, weighed by where a term first stands.

C-value (Frantzi, Ananiadou and Mima, 2000) takes a term's frequency less the mean frequency of the longer terms it is
part of, times a weight that grows with its words; so `dark matter` beats both `dark` and a chance `dark matter halo`.
"""

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass

from .sentences import Sentence

LONGEST = 3
"""Words in a term, at most."""
_WEIGHTS = (0.0, 0.45, 1.5, 2.4)
"""log2(words + 0.5) ** 1.5: terms of several words say more, and are rarer."""
_EARLY = 3.0
"""How much more a term at the very beginning counts; the bonus fades over the first tenth of the text."""
_ONCE = (0.0, 1.0, 0.5, 0.3)
"""What is left of a term that stands once: several words that meet once have often met by chance."""
_PART = 0.5
"""What is left then where it is cut out of a longer run of words."""
_CANDIDATES = 64

Words = tuple[str, ...]


@dataclass(slots=True)
class _Text:
    lower: list[str]
    written: list[str]
    starts: set[int]
    """Positions whose capitals mean nothing: a sentence's first, and all of a heading in capitals."""


def keywords_and_tags(
    text: Iterable[Sentence], stop: frozenset[str], keywords: int, tags: int
) -> tuple[list[str], list[str]]:
    """The best terms as they are written in running text, none a part of another; the best facets, in lower case."""
    words = _read(text)
    counts: dict[Words, int] = {}
    first: dict[Words, int] = {}
    whole: set[Words] = set()
    for start, run in _runs(words, stop):
        size = len(run)
        if 1 < size <= LONGEST:
            whole.add(tuple(run))
        for at in range(size):
            for end in range(at + 1, min(size, at + LONGEST) + 1):
                term = tuple(run[at:end])
                if term in counts:
                    counts[term] += 1
                else:
                    counts[term] = 1
                    first[term] = start + at
    scores = _scores(counts, first, whole, len(words.lower))
    best = heapq.nlargest(_CANDIDATES, scores, key=scores.__getitem__)
    return [_as_written(words, term, first[term]) for term in _distinct(best, keywords)], _facets(best, counts, tags)


def _distinct(terms: Iterable[Words], limit: int) -> list[Words]:
    found: list[Words] = []
    spaced: list[str] = []
    for term in terms:
        name = f" {' '.join(term)} "
        if not any(name in other or other in name for other in spaced):
            found.append(term)
            spaced.append(name)
            if len(found) == limit:
                break
    return found


def _facets(terms: Iterable[Words], counts: dict[Words, int], limit: int) -> list[str]:
    """Terms of one or two words, those that recur first, and one for all the forms of a word."""
    found: list[Words] = []
    for term in sorted((term for term in terms if len(term) < LONGEST), key=lambda term: counts[term] == 1):
        if not any(_same_facet(term, other) for other in found):
            found.append(term)
            if len(found) == limit:
                break
    return [" ".join(term) for term in found]


def _read(text: Iterable[Sentence]) -> _Text:
    written: list[str] = []
    starts: set[int] = set()
    for sentence in text:
        length = len(sentence.words)
        starts.update(range(len(written), len(written) + (length if sentence.text.isupper() else 1)))
        written += sentence.words
        written.append(".")  # no term goes on into the next sentence
    return _Text([word.lower() for word in written], written, starts)


def _runs(words: _Text, stop: frozenset[str]) -> Iterable[tuple[int, list[str]]]:
    start = -1
    for at, word in enumerate(words.lower):
        if (
            word[0].isalpha()
            and word not in stop
            and (len(word) > 2 or (len(word) == 2 and words.written[at].isupper()))
        ):
            if start < 0:
                start = at
        elif start >= 0:
            yield start, words.lower[start:at]
            start = -1


def _scores(counts: dict[Words, int], first: dict[Words, int], whole: set[Words], length: int) -> dict[Words, float]:
    longer: dict[Words, list[int]] = {}  # a term's part: occurrences of the terms around it, and how many terms
    for term, count in counts.items():
        size = len(term)
        if size > 1:
            parts = (term[:1], term[1:]) if size == 2 else (term[:2], term[1:], term[:1], term[1:2], term[2:])
            for part in parts:
                around = longer.get(part)
                if around is None:
                    longer[part] = [count, 1]
                else:
                    around[0] += count
                    around[1] += 1
    fades = 1 / (0.1 * length + 70)
    scores = {}
    for term, count in counts.items():
        around = longer.get(term)
        own = count - around[0] / around[1] if around else count
        if own > 0:
            score = _WEIGHTS[len(term)] * own * (1 + _EARLY * math.exp(-first[term] * fades))
            if count == 1:
                score *= _ONCE[len(term)] * (1.0 if len(term) == 1 or term in whole else _PART)
            scores[term] = score
    return scores


def _as_written(words: _Text, term: Words, at: int) -> str:
    """The first occurrence whose capitals do not come from a sentence's start or a heading in capitals."""
    while True:
        written = words.written[at : at + len(term)]
        if at not in words.starts:
            return " ".join(written)
        try:
            at = words.lower.index(term[0], at + 1)
            while tuple(words.lower[at : at + len(term)]) != term:
                at = words.lower.index(term[0], at + 1)
        except ValueError:
            return " ".join(term)


def _same_facet(one: Words, other: Words) -> bool:
    if set(one) & set(other):
        return True
    return len(one) == len(other) == 1 and _same_word(one[0], other[0])


def _same_word(one: str, other: str) -> bool:
    """Whether two words differ in their ending alone: galaxy, galaxies."""
    shared = max(4, max(len(one), len(other)) - 3)
    return one[:shared] == other[:shared]
