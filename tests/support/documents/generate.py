"""A seeded source of readable one-page documents, for load tests: real words, Zipf's frequencies, one token each."""

import itertools
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

# Each line of the file is a class of words and its words, commonest first.
WORDS = {
    kind: words.split()
    for kind, words in (line.split(": ") for line in Path(__file__).with_name("words.txt").read_text().splitlines())
}
OPENINGS = ("In the morning", "By the end of the year", "After the thaw", "For this reason", "As a rule", "Elsewhere")
SYLLABLES = [first + second for first in "bcdfghjklmnprstvwz" for second in "aeiou"]


class Ranked:
    """Words of one class, of which the k-th is drawn in proportion to 1 / k (Zipf's law)."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words
        self.weights = list(itertools.accumulate(1 / rank for rank in range(1, len(words) + 1)))

    def draw(self, rng: random.Random) -> str:
        """One word; seldom a late one."""
        return rng.choices(self.words, cum_weights=self.weights)[0]


# Compounds (stonelight, rivertower) give the long tail that an index of real documents has: about 3,600 rare nouns.
NOUNS = WORDS["nouns"]
THINGS = Ranked([*NOUNS, *(first + second for first in NOUNS for second in NOUNS if first != second)])
ACTS, KINDS = Ranked(WORDS["verbs"]), Ranked(WORDS["adjectives"])
PLACES, ARTICLES = Ranked(WORDS["prepositions"]), Ranked(WORDS["determiners"])


def token(seed: int) -> str:
    """The word that only `page(seed)` holds: lower-case letters, no English ending, so no stemmer alters it.

    Distinct for all 0 <= seed < 90 ** 5 (about 5.9 thousand million); neighbouring seeds look nothing alike.
    """
    limit = len(SYLLABLES) ** 5
    if not 0 <= seed < limit:
        raise ValueError(f"seed must lie between 0 and {limit - 1}")
    mixed = seed * 2_654_435_761 % limit  # a prime that does not divide the limit: one to one
    parts = []
    for _ in range(5):
        mixed, digit = divmod(mixed, len(SYLLABLES))
        parts.append(SYLLABLES[digit])
    return "q" + "".join(parts) + "x"


def page(seed: int) -> str:
    """A title and four paragraphs, 300 to 450 words, the same for the same seed, with `token(seed)` in it once."""
    rng = random.Random(seed)
    paragraphs = [[_sentence(rng) for _ in range(rng.randint(8, 10))] for _ in range(4)]
    paragraphs[rng.randrange(4)].append(f"It is filed under the name {token(seed)}.")
    title = f"The {KINDS.draw(rng)} {THINGS.draw(rng)} and the {THINGS.draw(rng)}"
    return "\n\n".join([title, *(" ".join(paragraph) for paragraph in paragraphs)]) + "\n"


def documents(n: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Name and UTF-8 bytes of the pages `seed`, `seed` + 1, … `seed` + n - 1, made one at a time as they are asked for.

    Two runs with ranges that do not touch share no document.
    """
    for number in range(seed, seed + n):
        yield f"page-{number:010}.txt", page(number).encode()


def _sentence(rng: random.Random) -> str:
    subject, object_ = _phrase(rng), _phrase(rng)
    clause = f"{subject} {ACTS.draw(rng)} {object_} {PLACES.draw(rng)} {_phrase(rng)}"
    if rng.random() < 0.3:
        return f"{rng.choice(OPENINGS)}, {clause}."
    return f"{clause[0].upper()}{clause[1:]}."


def _phrase(rng: random.Random) -> str:
    described = f"{KINDS.draw(rng)} " if rng.random() < 0.4 else ""
    article, noun = ARTICLES.draw(rng), described + THINGS.draw(rng)
    if article == "a" and noun[0] in "aeiou":
        article = "an"
    return f"{article} {noun}"
