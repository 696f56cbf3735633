"""Chunks are exact passages of the text, small enough, on one page each."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quire_ingest.chunk import CHARACTERS, DENSE_CHARACTERS, PAGE_BREAK, chunks_of
from tests.support.documents import generate

awkward = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs", "Cc"]),
        st.sampled_from(" \n\t.。!?́‍\U0001f469\U0001f1e9文ก"),
    ),
    max_size=3_000,
)


@given(st.lists(awkward, max_size=4))
def test_every_chunk_is_exactly_the_passage_that_its_offsets_name(pages: list[str]) -> None:
    text = PAGE_BREAK.join(pages)
    chunks, more = chunks_of(pages, paged=True, limit=10_000)
    assert not more
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    end = 0
    for chunk in chunks:
        assert text[chunk.start : chunk.end] == chunk.text
        assert chunk.text.strip() == chunk.text != ""
        assert chunk.start >= end
        assert chunk.page == text.count(PAGE_BREAK, 0, chunk.start) + 1
        end = chunk.end


@given(st.lists(awkward, max_size=4))
def test_chunks_hold_every_word_of_the_text(pages: list[str]) -> None:
    chunks, _ = chunks_of(pages, paged=True, limit=10_000)
    assert "".join("".join(chunk.text.split()) for chunk in chunks) == "".join("".join(pages).split())


def test_a_text_of_many_windows_keeps_its_offsets() -> None:
    page = "\n\n".join(generate.page(seed) for seed in range(40))
    chunks, _ = chunks_of([page, page], paged=True, limit=10_000)
    text = page + PAGE_BREAK + page
    assert all(text[chunk.start : chunk.end] == chunk.text for chunk in chunks)
    assert max(len(chunk.text) for chunk in chunks) <= CHARACTERS
    assert {chunk.page for chunk in chunks} == {1, 2}


def test_chunks_of_an_ordinary_page_end_with_a_sentence() -> None:
    chunks, _ = chunks_of([generate.page(3)], paged=False, limit=100)
    assert len(chunks) > 1
    assert all(chunk.text.endswith(".") for chunk in chunks)
    assert {chunk.page for chunk in chunks} == {None}


@pytest.mark.parametrize("text", ["文字列を検索する。" * 500, "แมวกินปลา" * 500, "고양이가 잔다. " * 500])
def test_scripts_that_put_more_into_a_character_get_shorter_chunks(text: str) -> None:
    chunks, _ = chunks_of([text], paged=False, limit=1_000)
    assert len(chunks) > 1
    assert max(len(chunk.text) for chunk in chunks) <= DENSE_CHARACTERS


@pytest.mark.parametrize("text", ["", " \n\t\n ", "\n" * 50_000])
def test_a_text_of_white_space_has_no_chunks(text: str) -> None:
    assert chunks_of([text], paged=False, limit=10) == ([], False)


def test_the_limit_cuts_and_says_so() -> None:
    chunks, more = chunks_of([generate.page(1)] * 20, paged=True, limit=5)
    assert (len(chunks), more) == (5, True)


def test_the_limit_is_not_said_to_cut_where_it_fits_exactly() -> None:
    chunks, _ = chunks_of([generate.page(1)], paged=True, limit=100)
    assert chunks_of([generate.page(1)], paged=True, limit=len(chunks)) == (chunks, False)


@pytest.mark.parametrize("text", ["x", "lichen ", "文字列", ". "])
def test_one_endless_line_takes_time_in_proportion_to_its_length(text: str) -> None:
    line = (text * 400_000)[:400_000]
    begun = time.process_time()
    chunks, _ = chunks_of([line], paged=False, limit=100_000)
    assert len(chunks) >= 400
    assert time.process_time() - begun < 10  # where it grew with the square, this took minutes
