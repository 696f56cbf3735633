from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quire_contracts import Event
from quire_search.query import Mode
from tests.unit.search.events import DAY, deleted, embedded, enriched, extracted, updated

from .conftest import Catalog

TEXTS: dict[str, tuple[str, ...]] = {
    "lamp": ("The keeper trims the lamp at dusk.", "Oil is carried up in cans. The lamp needs a gallon a night."),
    "storm": ("A storm broke three panes of the lantern.", "The sea came over the rock, and the boats stayed in."),
    "boats": ("Boats bring coal, flour and letters.", "No boat can land on the rock in a storm."),
    "birds": ("Gulls and terns nest under the gallery.", "Heat conduction in composite slabs is another matter."),
}
MODES: list[Mode] = ["hybrid", "semantic", "keyword"]


async def written(catalog: Catalog) -> None:
    """Four documents on both legs."""
    events: list[Event] = []
    for number, (name, texts) in enumerate(TEXTS.items()):
        own = catalog.own(name)
        fields: dict[str, Any] = {
            "title": f"Notes {number}", "folder": f"/coast/{number % 2}", "tags": ["notes", f"n{number}"],
            "media_type": ["application/pdf", "text/plain"][number % 2], "created_at": DAY + timedelta(days=number),
        }  # fmt: skip
        events += [extracted(*texts, **own, **fields), embedded(await catalog.model.embed_documents(texts), **own)]
    await catalog.apply(*events)


async def test_a_question_finds_the_document_that_answers_it_on_every_leg(catalog: Catalog) -> None:
    await written(catalog)
    for mode in MODES:
        answer = await catalog.search("how much oil does the lamp need in a night", mode)
        assert answer.hits[0]["document_id"] == catalog.document("lamp"), mode
        legs = answer.hits[0]["legs"]
        assert (legs["keyword"] is None, legs["vector"] is None) == (mode == "semantic", mode == "keyword")


async def test_any_word_finds_and_more_words_rank_higher(catalog: Catalog) -> None:
    await written(catalog)
    assert await catalog.found("storms landing boats") == ["boats", "storm"]


async def test_phrases_are_demanded_and_exclusions_kept(catalog: Catalog) -> None:
    await written(catalog)
    assert set(await catalog.found('"the rock"')) == {"boats", "storm"}
    assert await catalog.found('rock "in a storm"') == ["boats"]
    assert await catalog.found('"rock the"') == []
    assert await catalog.found("rock -coal") == ["storm"]
    assert await catalog.found('rock -"in a storm"') == ["storm"]
    assert set(await catalog.found('"composite slabs" OR lantern')) == {"birds", "storm"}
    for mode in MODES:
        assert await catalog.found('"heat conduction"', mode) == ["birds"]
        assert "storm" not in await catalog.found("rock -lantern", mode)


async def test_title_words_tags_and_file_names_are_found(catalog: Catalog) -> None:
    own = catalog.own("a")
    await catalog.apply(
        extracted("nothing", title="Fresnel lenses", filename="inventory_1822.pdf", tags=["optics"], **own)
    )
    for word in ("lenses", "inventory", "1822", "optic"):
        assert await catalog.found(word) == ["a"]
    await catalog.apply(updated(title="Prisms", filename="x.pdf", tags=[], **own))
    assert await catalog.found("lenses") == []
    assert await catalog.found("prism") == ["a"]


async def test_a_document_is_searched_in_its_own_language(catalog: Catalog) -> None:
    german, english = (catalog.own(name) for name in ("de", "en"))
    await catalog.apply(
        extracted("Die Leuchttürme der Küste", language="de", title="Bericht", **german),
        extracted("They die at sea", language="en", title="Report", **english),
    )
    assert await catalog.found("leuchtturm") == ["de"]
    assert await catalog.found("die") == ["en"]


@pytest.mark.parametrize("mode", MODES)
async def test_nothing_of_another_workspace_is_ever_found(catalog: Catalog, mode: Mode) -> None:
    await written(catalog)
    other = Catalog(catalog.pool, catalog.index, catalog.engine, catalog.model)
    assert await other.found("lamp", mode) == []
    await other.apply(
        extracted("The lamp of others", workspace=other.workspace, document=other.document("theirs"), tags=["theirs"])
    )
    answer = await catalog.search("lamp of others", mode, 100)
    assert all(hit["document_id"].startswith(catalog.workspace) for hit in answer.hits)
    assert "theirs" not in answer.facets["tag"]
    assert set(await catalog.found()) == set(TEXTS)


@pytest.mark.parametrize("mode", MODES)
async def test_a_deleted_document_is_gone_with_the_commit(catalog: Catalog, mode: Mode) -> None:
    await written(catalog)
    assert "lamp" in await catalog.found("lamp", mode)
    await catalog.apply(deleted(**catalog.own("lamp")))
    assert "lamp" not in await catalog.found("lamp", mode)
    assert "lamp" not in await catalog.found()
    await catalog.apply(*(
        extracted(*TEXTS["lamp"], **catalog.own("lamp"), revision=revision)
        for revision in (1, 2)
    ))  # fmt: skip
    assert "lamp" not in await catalog.found("lamp", mode)


@pytest.mark.parametrize("text", ["", "lamp sea rock nest"])
@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"folder": "/coast/1"}, {"storm", "birds"}),
        ({"folder": "/coast"}, set(TEXTS)),
        ({"folder": "/"}, set(TEXTS)),
        ({"folder": "/coas_"}, set()),
        ({"folder": "/coast/%"}, set()),
        ({"tags": ("notes", "n2")}, {"boats"}),
        ({"tags": ("n1", "n2")}, set()),
        ({"media_types": ("text/plain",)}, {"storm", "birds"}),
        ({"languages": ("de", "en")}, set(TEXTS)),
        ({"languages": ("de",)}, set()),
        ({"created_from": DAY + timedelta(days=2)}, {"boats", "birds"}),
        ({"created_to": DAY + timedelta(days=1)}, {"lamp"}),
    ],
    ids=lambda value: str(sorted(value)) if isinstance(value, set) else str(value),
)
async def test_filters(catalog: Catalog, text: str, filters: dict[str, Any], names: set[str]) -> None:
    await written(catalog)
    for mode in MODES:
        assert set(await catalog.found(text, mode, **filters)) == names, mode


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("text", ["", "rock storm lamp", '"the rock"'])
async def test_facets_count_the_documents_found(catalog: Catalog, text: str, mode: Mode) -> None:
    await written(catalog)
    answer = await catalog.search(text, mode, 100, folder="/coast")
    hits = answer.hits
    assert hits
    naive = {
        "type": Counter(hit["media_type"] for hit in hits),
        "tag": Counter(tag for hit in hits for tag in hit["tags"]),
        "folder": Counter(hit["folder"] for hit in hits),
        "language": Counter(hit["language"] for hit in hits),
    }
    assert answer.facets == naive
    assert list(answer.facets["tag"]) == [
        value for value, _ in sorted(naive["tag"].items(), key=lambda c: (-c[1], c[0]))
    ]


async def test_facets_count_more_than_the_page_shows(catalog: Catalog) -> None:
    await written(catalog)
    answer = await catalog.search("rock storm lamp", "hybrid", 1)
    assert len(answer.hits) == 1
    assert answer.facets["tag"]["notes"] == len(TEXTS)


async def test_highlights_are_exact_places_in_the_whole_text(catalog: Catalog) -> None:
    await written(catalog)
    for name, texts in TEXTS.items():
        whole = "\n".join(texts)
        for mode in MODES:
            (hit,) = (
                await catalog.search(f"lamp rock storm boats gulls {name}", mode, tags=(f"n{list(TEXTS).index(name)}",))
            ).hits
            assert hit["highlights"], (name, mode)
            for shown in hit["highlights"]:
                assert whole[shown["start"] : shown["end"]] == shown["text"]
                assert shown["page"] == (1 if shown["start"] < len(texts[0]) else 2)
    (hit,) = (await catalog.search("gallon of oil", "keyword")).hits
    (shown,) = hit["highlights"]
    assert [shown["text"][start:end] for start, end in shown["ranges"]] == ["Oil", "gallon"]


async def test_a_semantic_hit_without_a_matching_word_shows_its_nearest_passage(catalog: Catalog) -> None:
    await written(catalog)
    hit = (await catalog.search("thermal physics", "hybrid")).hits[0]
    assert hit["document_id"] == catalog.document("birds")
    assert [(shown["text"], shown["ranges"]) for shown in hit["highlights"]] == [(TEXTS["birds"][1], [])]


async def test_what_the_enricher_made_is_part_of_the_hit(catalog: Catalog) -> None:
    await written(catalog)
    await catalog.apply(enriched("On lamps.", **catalog.own("lamp")))
    hit = (await catalog.search("lamp", "keyword")).hits[0]
    assert (hit["summary"], hit["keywords"], hit["suggested_tags"]) == ("On lamps.", ["lamp"], ["history"])


async def test_a_repeated_query_sees_every_change(catalog: Catalog) -> None:
    await written(catalog)
    first = await catalog.search("lamp")
    assert await catalog.search("lamp") is first
    await catalog.apply(updated(title="Renamed", **catalog.own("lamp")))
    assert (await catalog.search("lamp")).hits[0]["title"] == "Renamed"


async def test_without_words_the_newest_documents_are_listed(catalog: Catalog) -> None:
    await written(catalog)
    assert await catalog.found() == ["birds", "boats", "storm", "lamp"]
    assert await catalog.found("-lamp") == ["birds", "boats", "storm"]


async def test_no_query_is_an_error(catalog: Catalog) -> None:
    await written(catalog)
    hostile = st.text() | st.text(alphabet="-\"OR ab\0&|!():*<>\\'%_\ud800é東") | st.just("lamp " * 30_000)

    examples: list[tuple[str, Mode]] = []

    @settings(max_examples=150, deadline=None, database=None)
    @given(hostile, st.sampled_from(MODES))
    def collect(text: str, mode: Mode) -> None:
        examples.append((text, mode))

    collect()
    for text, mode in examples:
        assert len((await catalog.search(text, mode, 3)).hits) <= 3
