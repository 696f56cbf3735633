from hypothesis import given
from hypothesis import strategies as st

from quire_search.analysis import STEMMERS, UNKNOWN, fold, language_of, occurrences, stem, tokens
from quire_search.analysis import terms as terms_of


def terms(text: str, language: str = UNKNOWN) -> list[str]:
    return [token.term for token in tokens(text, language)]


def test_a_word_is_found_whatever_its_ending_in_its_language() -> None:
    assert terms("Boundary layers, boundaries", "en") == ["boundari", "layer", "boundari"]
    assert terms("Häuser Hauses", "de") == ["haus", "haus"]
    assert terms("layers", UNKNOWN) == ["layers"]


def test_case_ligatures_width_and_accents_do_not_matter() -> None:
    assert terms("ﬁle FILE ｆｉｌｅ") == ["file", "file", "file"]
    assert terms("Résumé resume\u0301 RESUME") == ["resume", "resume", "resume"]
    assert terms("STRASSE straße", "de") == terms("strasse strasse", "de")


def test_hyphens_underscores_and_apostrophes_part_words() -> None:
    assert terms("high-speed snake_case l'eau 3.14") == ["high", "speed", "snake", "case", "l", "eau", "3", "14"]


def test_text_without_spaces_is_cut_into_pairs() -> None:
    assert [(token.term, token.start, token.end) for token in tokens("x東京都庁 2", UNKNOWN)] == [
        ("x", 0, 1), ("東京", 1, 3), ("京都", 2, 4), ("都庁", 3, 5), ("2", 6, 7),
    ]  # fmt: skip


def test_a_language_without_a_stemmer_is_searched_as_written() -> None:
    assert language_of("en") == "en"
    assert language_of("tlh") == UNKNOWN
    assert language_of(None) == UNKNOWN


@given(st.text(), st.sampled_from(["", "en", "de", "tr", "ru"]))
def test_every_token_lies_where_it_says(text: str, language: str) -> None:
    last = 0
    for token in tokens(text, language):
        assert token.term
        assert last <= token.end <= len(text)
        assert token.start < token.end
        last = token.start
        assert not text[token.start : token.end].isspace()


def test_every_stemmer_stems() -> None:
    assert all(stem(fold("Testing"), language) for language in STEMMERS)


WORDS = st.lists(st.sampled_from(["lamp", "lamps", "lam", "Lamp", "_", "é", "東京都", " ", "-", "\u0301"])).map("".join)


@given(
    st.text() | WORDS, st.sampled_from(["", "en"]), st.sets(st.sampled_from(["lamp", "lam", "e", "東京"]) | st.text())
)
def test_the_fast_ways_agree_with_the_plain_one(text: str, language: str, wanted: set[str]) -> None:
    plain = list(tokens(text, language))
    assert terms_of(text, language) == [token.term for token in plain]
    assert occurrences(text, language, wanted) == [token for token in plain if token.term in wanted]
