"""Ranking: how much a word of the query weighs, which words are looked up, how the two legs become one score."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

KEYWORD_SHARE: Final = 0.7
"""Share of the keyword leg in a hybrid score; each leg is first divided by its best score. Measured: decision 0005."""

TITLE_SHARE: Final = 0.5
"""What a match in the title counts beside the best passage. Measured: decision 0005."""

POOL: Final = 100
"""Documents that each leg hands to the fusion."""

LOOKED_UP: Final = 4000
"""Passages to score at most, as long as one word is looked up (see `plan`)."""


@dataclass(frozen=True)
class Plan:
    """How the keyword leg answers a query."""

    idf: dict[str, float]
    """Lexeme to weight."""
    lookup: tuple[str, ...]
    """The lexemes of which a passage must contain one."""


def idf(total: int, containing: int) -> float:
    """ln(1 + (N - n + 0.5) / (n + 0.5)): never negative, so that a common word cannot push a passage down."""
    containing = min(containing, total)
    return math.log1p((total - containing + 0.5) / (containing + 0.5))


def plan(words: Sequence[Sequence[str]], counts: Mapping[str, int], total: int) -> Plan:
    """Weigh the words and choose those that are looked up.

    `words` holds for each word its lexemes, one a language; they share the weight of the word, or a word would be worth
    more in the language that the workspace has less of. The rarest words are looked up until they cover about
    `LOOKED_UP` passages. The common rest still counts for every passage so found: a passage that has none but common
    words could not come near the top (Turtle, Flood 1995: MaxScore).
    """
    weighed: list[tuple[int, Sequence[str]]] = sorted(
        (sum(counts.get(lexeme, 0) for lexeme in set(lexemes)), tuple(lexemes)) for lexemes in words if lexemes
    )
    weights: dict[str, float] = {}
    lookup: dict[str, None] = {}
    covered = 0
    for containing, lexemes in weighed:
        for lexeme in lexemes:
            weights.setdefault(lexeme, idf(total, containing))
        if not lookup or covered + containing <= LOOKED_UP:
            lookup.update(dict.fromkeys(lexemes))
            covered += containing
    return Plan(weights, tuple(lookup))
