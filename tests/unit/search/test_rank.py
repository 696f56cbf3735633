import math

import pytest

from quire_search.analysis import language_of
from quire_search.lexical import MOST_TERMS, impacts, lexeme, passage, weights
from quire_search.rank import LOOKED_UP, idf, plan


def score(query: dict[str, float], text: str) -> float:
    """What the database computes: the inner product of both sides."""
    found = impacts(passage(text, "en"), 1, "en")
    return sum(weight * found.get(at, 0.0) for at, weight in weights(query).items())


def test_the_score_is_bm25() -> None:
    text = "wing " * 3 + "filler " * 157
    expected = 2.0 * 3 / (3 + 1.2)
    assert score({lexeme(1, "en", "wing"): 2.0}, text) == pytest.approx(expected)


def test_another_workspace_or_language_has_other_terms() -> None:
    assert score({lexeme(2, "en", "wing"): 2.0}, "wing") == 0
    assert score({lexeme(1, "de", "wing"): 2.0}, "wing") == 0
    assert language_of("en") == "en"


def test_a_passage_of_too_many_terms_keeps_the_frequent_ones() -> None:
    found = passage("wing " * 3 + " ".join(f"w{number}" for number in range(3 * MOST_TERMS)), "en")
    kept = impacts(found, 1, "en")
    assert len(kept) == MOST_TERMS
    assert weights({lexeme(1, "en", "wing"): 1.0}).keys() <= kept.keys()


def test_idf_falls_with_frequency_and_is_never_negative() -> None:
    values = [idf(1000, containing) for containing in (0, 1, 10, 500, 1000, 5000)]
    assert values == sorted(values, reverse=True)
    assert values[-1] > 0
    assert idf(1000, 10) == pytest.approx(math.log(1 + 990.5 / 10.5))


def test_a_word_weighs_the_same_in_every_language() -> None:
    made = plan([["1en:server", "1de:server"]], {"1en:server": 90, "1de:server": 10}, 1000)
    assert made.idf["1en:server"] == made.idf["1de:server"] == idf(1000, 100)


def test_common_words_are_weighed_but_not_looked_up() -> None:
    counts = {"a": LOOKED_UP, "b": 10, "c": LOOKED_UP - 10}
    made = plan([["a"], ["b"], ["c"]], counts, 3 * LOOKED_UP)
    assert made.lookup == ("b", "c")
    assert set(made.idf) == {"a", "b", "c"}


def test_the_only_word_is_looked_up_however_common() -> None:
    assert plan([["a"]], {"a": 10 * LOOKED_UP}, 20 * LOOKED_UP).lookup == ("a",)
