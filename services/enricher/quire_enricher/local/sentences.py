"""Cutting a text into sentences and headings, with the words of each."""

import re
from dataclasses import dataclass
from itertools import pairwise

# A hyphen at the end of a line nearly always belongs to the line break.
_HYPHENATED = re.compile(r"[-\u00ad\ufffe]\n(?<=[^\W\d_][-\u00ad\ufffe]\n)(?=[^\W\d_])")
# The look-behind keeps a long run of stops from being tried anew at each of them.
_STOP = re.compile(r"\n[^\S\n]*\n\s*|(?<![.!?…])[.!?…]+[\"'”’»)\]]*(?=\s)|[。！？]+[」』”]?|\n")
_BEFORE_STOP = re.compile(r"([^\W_]+)$")
_LIST_ITEM = re.compile(r"[•▪◦●○*–—-]\s|\(?\w{1,3}[.)]\s")
_WORD = re.compile(r"\w+(?:-\w+)*|[^\w\s]+")
_ABBREVIATIONS = frozenset(
    """
    mr mrs ms dr prof st jr sr inc ltd co corp vs etc cf eg ie al fig figs eq eqs sec no nos vol pp ch ed eds dept est
    jan feb mar apr jun jul aug sep sept oct nov dec mt gen col lt sgt rev hon approx
    bzw ca evtl ggf inkl nr str tel usw vgl zzgl abs art bd hr fr allg geb gest mio mrd
    mme mlle env sra sres ud uds núm pág págs dott sig sigg avv ecc
    """.split()  # noqa: SIM905 - a list of words is read as one
)
_ORDINALS = frozenset(("de", "da", "no", "nb", "nn", "fi", "cs", "sk", "hu", "et", "lv", "hr", "sl", "sr"))
"""Languages that write `3.` for `third`."""
_SHORT_LINE = 50
"""A line shorter than this, in characters, was ended on purpose where the next one does not go on in lower case."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence or heading in one line, and its words and punctuation in order, as written."""

    text: str
    words: list[str]


def sentences(text: str, language: str | None) -> list[Sentence]:
    """The sentences of a text in order, headings and list items among them."""
    text = _HYPHENATED.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).replace("\u00ad", "")
    ends = [0, *(match.end() for match in _STOP.finditer(text) if _ends_sentence(text, match, language)), len(text)]
    lines = (" ".join(text[start:end].split()) for start, end in pairwise(ends))
    return [Sentence(line, _WORD.findall(line)) for line in lines if line]


def _ends_sentence(text: str, stop: re.Match[str], language: str | None) -> bool:
    mark = stop[0]
    if mark[0] == "\n":
        return len(mark) > 1 or _ends_line(text, stop.start(), stop.end())
    if mark[0] != ".":
        return True
    following = _next(text, stop.end())
    if following.islower():
        return False
    before = _BEFORE_STOP.search(text, max(0, stop.start() - 20), stop.start())
    if before is None or mark != ".":
        return True
    word = before[1]
    if word.isdigit():
        return not (len(word) <= 2 and language in _ORDINALS)
    return not (len(word) == 1 and word.isalpha()) and word.lower() not in _ABBREVIATIONS


def _next(text: str, at: int) -> str:
    while at < len(text) and text[at].isspace():
        at += 1
    return text[at : at + 1]


def _ends_line(text: str, end: int, following: int) -> bool:
    if _LIST_ITEM.match(text, following):
        return True
    start = text.rfind("\n", 0, end) + 1
    return end - start < _SHORT_LINE and not text[following : following + 1].islower()
