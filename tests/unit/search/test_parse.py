from hypothesis import given
from hypothesis import strategies as st

from quire_search.parse import LONGEST_QUERY, Query, parse


def test_words_are_wishes() -> None:
    assert parse("heat  conduction") == Query(words=("heat", "conduction"))


def test_a_phrase_is_a_demand() -> None:
    assert parse('slabs "heat conduction"') == Query(
        words=("slabs", "heat conduction"), required=(("heat conduction",),)
    )


def test_a_minus_before_a_word_or_a_phrase_excludes_it() -> None:
    assert parse('heat -slab -"boundary layer"') == Query(words=("heat",), excluded=("slab", "boundary layer"))


def test_a_minus_inside_a_word_is_a_hyphen() -> None:
    assert parse("high-speed - flow").words == ("high-speed", "-", "flow")


def test_or_makes_alternatives_of_a_demand() -> None:
    assert parse('"heat flow" OR conduction wing').required == (("heat flow", "conduction"),)


def test_or_at_an_end_is_nothing() -> None:
    assert parse("OR heat OR") == Query(words=("heat",))


def test_an_open_quote_goes_to_the_end() -> None:
    assert parse('"heat flow').required == (("heat flow",),)


def test_what_is_too_long_is_not_read() -> None:
    assert parse("x" * 100_000).words == ("x" * LONGEST_QUERY,)


@given(st.text() | st.text(alphabet="-\"OR ab\0&|!():*<>\\'"))
def test_no_text_is_an_error(text: str) -> None:
    assert "\0" not in parse(text).text
