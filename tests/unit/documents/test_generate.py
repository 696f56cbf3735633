"""The generator of load-test documents is deterministic, readable, and gives every document a word of its own."""

import collections
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.documents import generate

LIMIT = 90**5


def words(text: str) -> list[str]:
    return text.lower().replace(".", "").replace(",", "").split()


def test_the_same_seed_gives_the_same_page_on_every_machine() -> None:
    assert generate.page(7) == generate.page(7)
    assert generate.page(7) != generate.page(8)
    assert generate.token(7) == "qsitukefodox"
    assert generate.page(7).startswith("The old water and the house\n\nAs a rule, the water warms")


def test_a_page_holds_its_token_once_and_no_other_token() -> None:
    tokens = {generate.token(seed) for seed in range(60)}
    for seed in range(60):
        assert [word for word in words(generate.page(seed)) if word in tokens] == [generate.token(seed)]


@given(st.integers(0, LIMIT - 1), st.integers(0, LIMIT - 1))
def test_two_seeds_never_share_a_token(one: int, other: int) -> None:
    assert (generate.token(one) == generate.token(other)) == (one == other)
    assert generate.token(one).isalpha()


def test_neighbouring_seeds_never_share_a_token() -> None:
    assert len({generate.token(seed) for seed in range(20_000)}) == 20_000


@pytest.mark.parametrize("seed", [-1, LIMIT])
def test_a_seed_without_a_token_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match="seed must lie between"):
        generate.token(seed)


def test_documents_are_made_as_they_are_asked_for_and_named_apart() -> None:
    some = list(itertools.islice(generate.documents(10**9, seed=5), 50))
    assert len({name for name, _ in some}) == 50
    assert some[3] == ("page-0000000008.txt", generate.page(8).encode())
    assert list(generate.documents(0)) == []


def test_a_page_has_the_length_of_a_page() -> None:
    lengths = [len(words(generate.page(seed))) for seed in range(100)]
    assert min(lengths) >= 250
    assert max(lengths) <= 500


def test_the_frequency_of_a_word_falls_as_its_rank_grows() -> None:
    counts = collections.Counter(word for seed in range(300) for word in words(generate.page(seed)))
    ranked = [count for _, count in counts.most_common()]
    assert len(ranked) > 3000
    slope = math.log(ranked[2000] / ranked[10]) / math.log(2000 / 10)
    assert -1.6 < slope < -0.7
