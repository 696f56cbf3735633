"""From text to searchable terms: words with their exact places, folded and stemmed by language.

Indexing, querying and highlighting all use this one analysis, so that they cannot disagree. The database is given
finished terms and needs no dictionaries, locale or parser of its own.
"""

import re
import unicodedata
from collections.abc import Container, Iterator
from functools import cache, lru_cache
from typing import Final, NamedTuple

import Stemmer  # type: ignore[import-not-found]

UNKNOWN: Final = ""
"""The language of a text whose language is not known or has no stemmer: its words are folded only."""

STEMMERS: Final = {
    "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "eo": "esperanto", "es": "spanish", "et": "estonian", "eu": "basque", "fa": "persian", "fi": "finnish",
    "fr": "french", "ga": "irish", "hi": "hindi", "hu": "hungarian", "hy": "armenian", "id": "indonesian",
    "it": "italian", "lt": "lithuanian", "nb": "norwegian", "ne": "nepali", "nl": "dutch", "nn": "norwegian",
    "no": "norwegian", "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian",
    "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip
"""ISO 639-1 code to Snowball algorithm."""

LONGEST_TERM: Final = 64
"""Characters of a term; what is longer (a base64 line, a row of dashes) is cut."""

# Letters and digits of every script, with the marks that Unicode does not count as letters but words contain.
_WORD = re.compile(
    r"[\w\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0963\u0966-\u109f]+"
)
# Scripts written without spaces: their words are indexed as overlapping pairs of characters.
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    r"\U00020000-\U0003ffff]+"
)
_ACCENTS = re.compile(r"[\u0300-\u036f]+")


class Token(NamedTuple):
    """A word at `text[start:end]` (code points) and the term it is found by."""

    term: str
    start: int
    end: int


def language_of(code: str | None) -> str:
    """The language to analyse in: the code itself where it has a stemmer, else `UNKNOWN`."""
    return code if code in STEMMERS else UNKNOWN


def tokens(text: str, language: str) -> Iterator[Token]:
    """The words of a text in their order. `language` is a key of `STEMMERS` or `UNKNOWN`."""
    for match in _WORD.finditer(text.replace("_", " ")):
        word = match[0]
        if word.isascii() or not _UNSPACED.search(word):
            yield Token(term_of(word, language), *match.span())
        else:
            yield from _pairs(word, match.start(), language)


def terms(text: str, language: str) -> list[str]:
    """The terms of `tokens`, without their places: several times faster."""
    if _UNSPACED.search(text):
        return [token.term for token in tokens(text, language)]
    return [term_of(word, language) for word in _WORD.findall(text.replace("_", " "))]


def occurrences(text: str, language: str, wanted: Container[str]) -> list[Token]:
    """The tokens whose term is wanted, several times faster than by going through all of them."""
    if _UNSPACED.search(text):
        return [token for token in tokens(text, language) if token.term in wanted]
    plain = text.replace("_", " ")
    found: list[Token] = []
    for word in set(_WORD.findall(plain)):
        term = term_of(word, language)
        if term in wanted:
            for match in re.finditer(re.escape(word), plain):
                start, end = match.span()
                inside = (start and _WORD.match(plain[start - 1])) or (end < len(plain) and _WORD.match(plain[end]))
                if not inside:
                    found.append(Token(term, start, end))
    found.sort(key=lambda token: token.start)
    return found


@lru_cache(maxsize=32768)
def term_of(word: str, language: str) -> str:
    """The term of one word as it stands in a text."""
    return stem(word.lower() if word.isascii() else fold(word), language)


def fold(word: str) -> str:
    """Compatibility forms, case and ligatures taken away; accents stay (stemmers need them)."""
    return unicodedata.normalize("NFKC", word).casefold()


def stem(word: str, language: str) -> str:
    """The term of one folded word."""
    stemmed = _stemmer(STEMMERS[language]).stemWord(word) if language else word
    if not stemmed.isascii():
        bare = _ACCENTS.sub("", unicodedata.normalize("NFD", stemmed))
        stemmed = unicodedata.normalize("NFC", bare) or stemmed
    return stemmed[:LONGEST_TERM]


def _pairs(word: str, offset: int, language: str) -> Iterator[Token]:
    at = 0
    for run in _UNSPACED.finditer(word):
        if run.start() > at:
            yield Token(term_of(word[at : run.start()], language), offset + at, offset + run.start())
        last = max(run.end() - 1, run.start() + 1)
        for index in range(run.start(), last):
            end = min(index + 2, run.end())
            yield Token(fold(word[index:end]), offset + index, offset + end)
        at = run.end()
    if at < len(word):
        yield Token(term_of(word[at:], language), offset + at, offset + len(word))


@cache
def _stemmer(algorithm: str) -> Stemmer.Stemmer:
    return Stemmer.Stemmer(algorithm, 0)  # 0: `term_of` has the cache
