"""Reading a text without a model: sentences, summary, keywords and tags."""

import time
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quire_enricher.enrichment import SUMMARY_CHARACTERS, Enrichment, shortened
from quire_enricher.local.sentences import sentences
from quire_enricher.local.stopwords import stop_words
from quire_enricher.providers.local import LocalProvider

from .texts import LEUCHTTURM, LIGHTHOUSE


async def enrich(text: str, language: str | None = "en") -> Enrichment:
    return await LocalProvider().enrich(text, language)


def cut(text: str, language: str = "en") -> list[str]:
    return [sentence.text for sentence in sentences(text, language)]


class TestSentences:
    @pytest.mark.parametrize(
        "whole",
        [
            "Dr. Voss met Mr. Hale.",
            "It weighs 3.5 kg and costs 1.200,50 euros.",
            "J. R. Smith wrote it.",
            "See fig. 3 and pp. 4 to 9 of vol. Two.",
            "He said etc. and left.",
            "The value (approx. 40) fell.",
            "A line that was wrapped because the page was\nnarrow, and goes on.",
            "The National Aeronautics and Space Administration of the\nUnited States flew.",
        ],
    )
    def test_one_sentence_stays_whole(self, whole: str) -> None:
        assert cut(whole) == [whole.replace("\n", " ")]

    @pytest.mark.parametrize(
        ("text", "parts"),
        [
            ("It rained. We left! Why? Nobody knows… Later it stopped.", 5),
            ('"It rained." She left.', 2),
            ("It happened in 1911. The tower fell.", 2),
            ("A Heading\n\nA paragraph about it.", 2),
            ("Contents\nChapter One\nChapter Two\n", 3),
            ("- first point\n- second point", 2),
            ("雨が降った。帰った。", 2),
            ("One.\r\n\r\nTwo.", 2),
        ],
    )
    def test_several_are_told_apart(self, text: str, parts: int) -> None:
        assert len(cut(text)) == parts

    def test_a_german_date_does_not_end_a_sentence(self) -> None:
        assert cut("Am 3. Oktober fiel der Turm. Er wurde neu gebaut.", "de") == [
            "Am 3. Oktober fiel der Turm.",
            "Er wurde neu gebaut.",
        ]

    def test_a_word_that_a_line_break_cut_is_joined(self) -> None:
        assert cut("The light-\nhouse stands, and the well-known lamp turns.") == [
            "The lighthouse stands, and the well-known lamp turns."
        ]

    @given(st.text())
    def test_no_word_is_lost(self, text: str) -> None:
        kept = "".join("".join(cut(text)).split())
        for word in text.replace("\u00ad", "").replace("\ufffe", "").replace("-", "").split():
            assert word in kept.replace("\ufffe", "").replace("-", "")


class TestSummary:
    async def test_is_made_of_whole_sentences_in_their_order(self) -> None:
        lines = cut(LIGHTHOUSE)
        places = [lines.index(sentence) for sentence in cut((await enrich(LIGHTHOUSE)).summary)]
        assert 1 <= len(places) <= 3
        assert places == sorted(places)

    async def test_says_what_the_text_is_about(self) -> None:
        assert "lighthouse" in (await enrich(LIGHTHOUSE)).summary

    async def test_does_not_say_the_same_thing_twice(self) -> None:
        said = "The lighthouse at Marrow Point was rebuilt after a storm. "
        other = "Visitors may climb the tower of granite on every Sunday. "
        summary = (await enrich(said * 5 + other + said * 5)).summary
        assert summary.count(said.strip()) == 1
        assert other.strip() in summary

    async def test_leaves_headings_and_tables_out(self) -> None:
        rows = "\n".join(f"{year}  {year * 3}  {year * 7}  12.5 %  {year}." for year in range(1900, 1930))
        summary = (await enrich(f"LIST OF ALL WRECKS\n\n{rows}\n\n{LIGHTHOUSE}")).summary
        assert "%" not in summary
        assert "LIST" not in summary

    async def test_of_a_text_without_sentences_is_its_beginning(self) -> None:
        summary = (await enrich("\n".join(f"item {number}; price {number}" for number in range(500)))).summary
        assert summary.startswith("item 0; price 0 item 1; price 1")
        assert len(summary) <= SUMMARY_CHARACTERS

    async def test_cuts_an_endless_sentence_at_a_word(self) -> None:
        summary = (await enrich("and then the keeper " * 400)).summary
        assert len(summary) <= SUMMARY_CHARACTERS
        assert summary.endswith("…")
        assert set(summary.rstrip("…").split()) <= {"and", "then", "the", "keeper"}


class TestTerms:
    async def test_keywords_are_what_the_text_is_about(self) -> None:
        keywords = {keyword.lower() for keyword in (await enrich(LIGHTHOUSE)).keywords}
        assert {"lighthouse", "fog bell", "diary"} <= keywords

    async def test_no_keyword_is_part_of_another(self) -> None:
        for one, other in combinations((await enrich(LIGHTHOUSE)).keywords, 2):
            assert f" {one.lower()} " not in f" {other.lower()} "
            assert f" {other.lower()} " not in f" {one.lower()} "

    async def test_a_term_that_recurs_beats_its_parts(self) -> None:
        text = "Dark matter bends light. " + "Halos of dark matter are found. " * 3 + "The dark matter is unseen."
        assert (await enrich(text)).keywords[0].lower() == "dark matter"

    async def test_keywords_are_written_as_in_running_text(self) -> None:
        text = "NVIDIA makes chips. Chips made by NVIDIA are fast. Chips need power. All the chips are sold by NVIDIA."
        keywords = (await enrich(text)).keywords
        assert "NVIDIA" in keywords
        assert "chips" in keywords

    async def test_german_keywords_keep_their_capitals_and_hold_no_stop_words(self) -> None:
        found = await enrich(LEUCHTTURM, "de")
        assert "Leuchtturm" in found.keywords
        assert "tagebuch" in found.tags
        assert not {"der", "die", "eine", "nach"} & set(" ".join(found.tags).split())

    async def test_a_text_of_unknown_language_is_read_all_the_same(self) -> None:
        assert "Leuchtturm" in (await enrich(LEUCHTTURM, None)).keywords
        assert "lighthouse" in (await enrich(LIGHTHOUSE, None)).keywords

    async def test_tags_hold_one_form_of_a_word(self) -> None:
        text = "A galaxy is far. Galaxies are many. The galaxy turns, and galaxies collide. Stars burn. A star dies."
        tags = (await enrich(text)).tags
        assert len({"galaxy", "galaxies"} & set(tags)) == 1

    @pytest.mark.parametrize("language", ["en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "no", "nb", "pl", "cs"])
    def test_european_languages_have_stop_words(self, language: str) -> None:
        assert len(stop_words(language)) > 80

    def test_an_unknown_language_has_those_of_many(self) -> None:
        assert {"the", "der", "les", "los", "della"} <= stop_words("xx")


class TestCost:
    async def test_the_same_text_gives_the_same_answer(self) -> None:
        assert await enrich(LIGHTHOUSE) == await enrich(LIGHTHOUSE)

    async def test_what_stands_behind_the_limit_changes_nothing(self) -> None:
        limit = LocalProvider.characters
        text = (LIGHTHOUSE + "\n\n") * (limit // len(LIGHTHOUSE) + 1)
        assert await enrich(text[:limit]) == await enrich(text[:limit] + "Quantum computers. " * 100_000)

    @pytest.mark.parametrize(
        "text",
        ["a" * 20_000, ". " * 10_000, "." * 20_000, "\n" * 20_000, "word " * 4_000, "-\n" * 10_000, "A.B." * 5_000,
         "x\n\ny" * 5_000, " ".join(f"w{number:x}" for number in range(4_000)), "(" * 20_000, " \n" * 10_000,
         "1) a\n" * 4_000, "." + '"' * 20_000, "The harbour was closed to ships all winter. " * 450],
        ids=["letter", "stops", "dots", "lines", "word", "hyphens", "initials", "paragraphs", "distinct", "brackets",
             "blanks", "items", "quotes", "echo"],
    )  # fmt: skip
    async def test_hostile_text_costs_no_more_than_a_part_of_a_second(self, text: str) -> None:
        started = time.process_time()
        await enrich(text)
        assert time.process_time() - started < 1

    @given(st.text(max_size=400))
    @settings(max_examples=150, deadline=None)
    async def test_every_text_gives_an_enrichment_within_the_limits(self, text: str) -> None:
        found = await enrich(text)
        assert len(found.summary) <= SUMMARY_CHARACTERS
        assert found == Enrichment.model_validate_json(found.model_dump_json())


@pytest.mark.parametrize(
    ("text", "cut_text"),
    [("one two three", "one two…"), ("short", "short"), ("abcdefghijk", "abcdefg…")],
)
def test_a_text_is_shortened_at_a_word(text: str, cut_text: str) -> None:
    assert shortened(text, 8) == cut_text
