"""Picking the sentences that stand for a text: SumBasic, with a bonus for the beginning.

SumBasic (Nenkova and Vanderwende, 2005) takes the sentence whose words are the most frequent in the text, then makes
those words count less, so that the next sentence says something else.
"""

import math
from collections import Counter
from collections.abc import Sequence

from quire_enricher.enrichment import SUMMARY_CHARACTERS, shortened

from .sentences import Sentence

SENTENCES = 3
_EARLY = 1.5
_TOLD = 0.25
"""What a word counts once a chosen sentence has it."""
_CLOSED = tuple('.!?…。！？"”»)')


def summarise(text: Sequence[Sentence], stop: frozenset[str]) -> str:
    """At most three sentences, in their order, within `SUMMARY_CHARACTERS`; the beginning where there are none."""
    content = [{w for w in (word.lower() for word in one.words) if w[0].isalpha() and w not in stop} for one in text]
    weights: dict[str, float] = dict(Counter(word for words in content for word in words))
    fades = 1 / (3 + 0.05 * len(text))
    first = {one.text: at for at, one in reversed(list(enumerate(text)))}
    places = {at: 1 + _EARLY * math.exp(-at * fades) for at in sorted(first.values()) if _is_prose(text[at])}
    chosen: list[int] = []
    left = SUMMARY_CHARACTERS
    while len(chosen) < SENTENCES and (fitting := [at for at in places if len(text[at].text) <= left]):
        best = max(fitting, key=lambda at: places[at] * sum(weights[w] for w in content[at]) / (len(content[at]) + 6))
        del places[best]
        chosen.append(best)
        left -= len(text[best].text) + 1
        for word in content[best]:
            weights[word] *= _TOLD
    if chosen:
        return " ".join(text[at].text for at in sorted(chosen))
    return shortened(" ".join(one.text for one in text[:20]), SUMMARY_CHARACTERS)


def _is_prose(sentence: Sentence) -> bool:
    """Whether it reads as a sentence of its own: not a heading, a table's row or a list of references."""
    line = sentence.text
    if not (40 <= len(line) <= SUMMARY_CHARACTERS and line.endswith(_CLOSED) and len(sentence.words) > 5):
        return len(line) >= 12 and line[-1] in "。！？"
    letters = sum(map(str.isalpha, line)) + line.count(" ")
    return letters / len(line) > 0.85 and not line[0].islower()
