"""Cleaned text can be stored, encoded and shown."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quire_ingest.clean import clean

any_text = st.text(st.one_of(st.characters(), st.sampled_from("\0\r\n\f\x0b\x85\u2028\ufeff\ud83d\x1b \t")))


@given(any_text)
def test_no_control_character_surrogate_or_noncharacter_is_left(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    assert not {char for char in cleaned if unicodedata.category(char) in ("Cc", "Cs")} - {"\n", "\t"}
    assert not set("\ufeff\ufffe\uffff\u2028\u2029") & set(cleaned)


@given(any_text)
def test_cleaning_again_changes_nothing(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(any_text)
def test_letters_and_their_order_survive(text: str) -> None:
    letters = [char for char in text if char.isalnum()]
    assert [char for char in clean(text) if char.isalnum()] == letters


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("before\0between\0after", "beforebetweenafter"),
        ("é\0è", "éè"),
        ("one\r\ntwo\rthree\x85four\u2028five", "one\ntwo\nthree\nfour\nfive"),
        ("é\r\n\r\nè", "é\n\nè"),
        ("  trailing \t\n kept indent  ", "trailing\n kept indent"),
        ("page one\fpage two", "page onepage two"),
        ("\ufeffmarked", "marked"),
    ],
)
def test_examples(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned
