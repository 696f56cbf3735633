from hypothesis import given
from hypothesis import strategies as st

from quire_search.analysis import stem
from quire_search.highlight import LENGTH, highlight

FILLER = "The keeper wrote nothing that day. " * 30


def marked(text: str, ranges: list[tuple[int, int]]) -> list[str]:
    return [text[start:end] for start, end in ranges]


def test_matched_words_are_marked_in_every_form() -> None:
    found = highlight("A boundary, two boundaries.", "en", {"boundari"})
    assert marked(found.text, found.ranges) == ["boundary", "boundaries"]


def test_the_part_with_most_words_of_the_query_is_shown() -> None:
    text = f"A lamp. {FILLER}The lamp of the lighthouse burnt oil. {FILLER}"
    found = highlight(text, "en", {"lamp", stem("lighthouse", "en"), "oil"})
    assert found.text.startswith("The lamp of the lighthouse")
    assert marked(found.text, found.ranges) == ["lamp", "lighthouse", "oil"]


def test_without_a_match_the_beginning_is_shown() -> None:
    found = highlight("  \n" + FILLER, "en", frozenset())
    assert found.start == 3
    assert found.text.startswith("The keeper")
    assert found.text.endswith(".")
    assert found.ranges == []


@given(st.text(), st.sets(st.text(max_size=3)))
def test_offsets_are_exact_for_any_text(text: str, terms: set[str]) -> None:
    found = highlight(text, "", terms)
    assert found.text == text[found.start : found.end]
    assert len(found.text) <= LENGTH
    assert all(0 <= start < end <= len(found.text) for start, end in found.ranges)


@given(st.lists(st.sampled_from(["lamp", "oil", "\n\n", "sea. ", "é", "東京"]), max_size=400))
def test_a_match_is_always_in_view(words: list[str]) -> None:
    found = highlight(" ".join(words), "en", {"lamp"})
    assert bool(found.ranges) == ("lamp" in words)
