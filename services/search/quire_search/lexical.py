"""What the keyword leg keeps of a passage: each term's positions, and its weight in BM25.

A term is stored as a lexeme, `<workspace number><language>:<term>`: workspaces and languages cannot match each other,
and the inverted index is as selective in a small workspace as if it were alone.
"""

from collections.abc import Iterable, Mapping
from heapq import nlargest
from typing import Final, NamedTuple
from zlib import crc32

from .analysis import terms

K1: Final = 1.2
B: Final = 0.75
"""BM25 (Robertson, Zaragoza 2009, equation 3.15), with the parameters that Lucene has by default."""

AVERAGE_LENGTH: Final = 160.0
"""Words of a usual passage. A constant, because the chunker aims at one size: a true average would change every weight
in the index with each document."""

TITLE_LENGTH: Final = 10.0
"""The same for titles."""

DIMENSIONS: Final = 1_000_000_000
"""Of the sparse vectors of term weights: pgvector's maximum. A lexeme's dimension is a hash of it."""

MOST_TERMS: Final = 800
"""Terms of a passage that are weighed, or its row would not fit a page; all of them can be matched."""

LAST_POSITION: Final = 16383
"""tsvector's largest position, and 256 positions a lexeme are what it keeps."""


class Passage(NamedTuple):
    """A passage as its terms."""

    positions: dict[str, list[int]]
    """Term to the numbers of the words it stands for, from 1."""
    length: int
    """Words."""


def passage(text: str, language: str) -> Passage:
    """Take a text apart."""
    found = terms(text, language)
    positions: dict[str, list[int]] = {}
    for place, term in enumerate(found, start=1):
        positions.setdefault(term, []).append(min(place, LAST_POSITION))
    return Passage(positions, len(found))


def lexeme(workspace: int, language: str, term: str) -> str:
    """How a term is written in the index."""
    return f"{workspace}{language}:{term}"


def lexemes(found: Passage, workspace: int, language: str) -> dict[str, list[int]]:
    """The passage's terms as lexemes with positions."""
    prefix = lexeme(workspace, language, "")
    return {prefix + term: places[:256] for term, places in found.positions.items()}


def impacts(found: Passage, workspace: int, language: str, average: float = AVERAGE_LENGTH) -> dict[int, float]:
    """Dimension to tf / (tf + k1 (1 - b + b length / average)), which BM25 multiplies with the query's idf."""
    prefix = lexeme(workspace, language, "").encode()
    places_of: Iterable[tuple[str, list[int]]] = found.positions.items()
    if len(found.positions) > MOST_TERMS:
        places_of = nlargest(MOST_TERMS, places_of, key=lambda item: len(item[1]))
    norm = K1 * (1 - B + B * found.length / average)
    weights: dict[int, float] = {}
    for term, places in places_of:
        at = crc32(prefix + term.encode()) % DIMENSIONS
        weights[at] = weights.get(at, 0.0) + len(places) / (len(places) + norm)
    return weights


def weights(idf: Mapping[str, float]) -> dict[int, float]:
    """The query's side of the product: dimension to idf, from lexeme to idf."""
    found: dict[int, float] = {}
    for name, value in idf.items():
        at = crc32(name.encode()) % DIMENSIONS
        found[at] = found.get(at, 0.0) + value
    return found
