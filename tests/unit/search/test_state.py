from hypothesis import given
from hypothesis import strategies as st

from quire_contracts import Event
from quire_search.state import NEW, Document, Effects, apply

from .events import change_of, deleted, embedded, enriched, extracted, updated

EVENTS: list[Event] = [
    extracted("old"), extracted("newer text", revision=2, version=2, seconds=5), extracted("again", seconds=9),
    embedded([[1, 0]]), embedded([[0, 1]], seconds=3), embedded([[1, 1]], revision=2, space="other", seconds=6),
    enriched("first"), enriched("second", revision=2, seconds=7), updated(3, title="New title"), updated(2),
]  # fmt: skip


def after(events: list[Event]) -> Document:
    document = NEW
    for event in events:
        document = apply(document, change_of(event), Effects())
    return document


@given(st.lists(st.sampled_from(EVENTS), unique_by=lambda event: event.id), st.randoms())
def test_the_order_of_events_does_not_matter(events: list[Event], random: "object") -> None:
    shuffled = list(events)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert after(shuffled) == after(events)


@given(st.lists(st.sampled_from(EVENTS), max_size=6), st.lists(st.sampled_from(EVENTS), max_size=6))
def test_a_deletion_is_for_ever(before: list[Event], late: list[Event]) -> None:
    assert after([*before, deleted(), *late]) == Document(deleted=True)


def test_a_newer_revision_takes_the_place_of_all_content() -> None:
    document = after([extracted("one"), embedded([[1, 0]]), enriched(), extracted("two", revision=2)])
    assert document.revision == 2
    assert document.enrichment is None
    assert document.spaces == {}
    assert document.info is not None


def test_an_older_revision_changes_nothing_but_a_newer_entry_counts() -> None:
    current = after([extracted("two", revision=2)])
    document = apply(current, change_of(extracted("one", version=9, title="Renamed")), Effects())
    assert document.text == current.text
    assert document.info is not None
    assert document.info.title == "Renamed"


def test_an_update_does_not_touch_content() -> None:
    effects = Effects()
    document = apply(after([extracted("one"), embedded([[1]])]), change_of(updated(revision=7)), effects)
    assert document.revision == 1
    assert effects == Effects()
