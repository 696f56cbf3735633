"""What differs between a catalog row and what is said of the document elsewhere."""

from typing import Any

import pytest

from quire_gateway.recovery.differences import Entry, Facts, Payload, of_index, of_objects
from quire_gateway.recovery.sweep import roots

SPACE = "example-2-v1"
PREFIX = "ws/doc/1/"


def row(**changes: Any) -> dict[str, Any]:
    image = {"page": 1, "key": f"{PREFIX}previews/1.webp"}
    return {
        "id": "doc", "workspace_id": "ws", "revision": 1, "version": 3, "searchable": ["keyword", "vector"],
        "chunks": 2, "content_key": f"{PREFIX}content", "size": 10, "text_key": f"{PREFIX}text",
        "previews": {"thumbnail": {**image, "key": f"{PREFIX}previews/thumbnail.webp"}, "pages": [image]}, **changes,
    }  # fmt: skip


def entry(**changes: Any) -> Entry:
    given: dict[str, Any] = {
        "id": "doc", "workspace": "ws", "revision": 1, "version": 3, "deleted": False, "chunks": 2, "chunk_rows": 2,
        "title_rows": 1, "vectors": {SPACE: 2},
    }  # fmt: skip
    return Entry(**{**given, **changes})


FACTS = Facts(
    chunks=Payload(key=f"{PREFIX}chunks.json", size=7, count=None, space=None),
    vectors=Payload(key=f"{PREFIX}vectors/{SPACE}.json", size=8, count=None, space=None),
)
INLINE = Facts(
    chunks=Payload(key=None, size=7, count=2, space=None), vectors=Payload(key=None, size=8, count=2, space=SPACE)
)
OBJECTS = {
    f"{PREFIX}content": 10, f"{PREFIX}text": 5, f"{PREFIX}chunks.json": 7, f"{PREFIX}vectors/{SPACE}.json": 8,
    f"{PREFIX}previews/1.webp": 1, f"{PREFIX}previews/thumbnail.webp": 1, f"{PREFIX}extraction.json": 1,
}  # fmt: skip


def test_nothing_differs_in_a_document_that_is_whole() -> None:
    assert list(of_objects(row(), FACTS, OBJECTS)) == []
    assert list(of_index(row(), FACTS, entry())) == []
    assert list(of_index(row(), INLINE, entry())) == []


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("content", None), ("text", "ingest"), ("chunks.json", "ingest"), (f"vectors/{SPACE}.json", "embed"),
        ("previews/1.webp", "preview"), ("previews/thumbnail.webp", "preview"),
    ],
)  # fmt: skip
def test_each_object_that_is_missing_is_told_with_its_cure(name: str, cure: str | None) -> None:
    left = {key: size for key, size in OBJECTS.items() if key != PREFIX + name}
    ((kind, detail, found),) = of_objects(row(), FACTS, left)
    assert (kind, found) == ("missing_object", cure)
    assert PREFIX + name in detail


@pytest.mark.parametrize("name", ["content", "chunks.json", f"vectors/{SPACE}.json"])
def test_an_object_of_another_length_is_told(name: str) -> None:
    ((kind, detail, _),) = of_objects(row(), FACTS, {**OBJECTS, PREFIX + name: 99})
    assert kind == "missing_object"
    assert detail.startswith(("the content has 99", "chunks has 99", "vectors has 99"))


def test_what_was_never_made_is_not_missed() -> None:
    new = row(text_key=None, previews=None, searchable=[], chunks=None, version=1)
    assert list(of_objects(new, Facts(), {f"{PREFIX}content": 10})) == []
    assert list(of_index(new, Facts(), None)) == []


@pytest.mark.parametrize(
    ("given", "kind", "cure"),
    [
        (None, "missing_in_index", "index"),
        (entry(version=0, chunks=None, vectors={}, title_rows=0, chunk_rows=0), "missing_in_index", "index"),
        (entry(deleted=True), "missing_in_index", "anew"),
        (entry(workspace="another"), "extra_in_index", None),
        (entry(revision=0), "stale_revision", "index"),
        (entry(version=2), "stale_entry", "entry"),
        (entry(version=4), "stale_entry", None),
        (entry(chunk_rows=1), "incomplete_index", "index"),
        (entry(chunk_rows=3), "incomplete_index", "index"),
        (entry(chunks=3, chunk_rows=3), "incomplete_index", "index"),
        (entry(title_rows=0), "incomplete_index", "index"),
        (entry(vectors={}), "incomplete_index", "index"),
        (entry(vectors={SPACE: 1}), "incomplete_index", "index"),
        (entry(vectors={SPACE: 2, "older": 1}), "incomplete_index", "index"),
    ],
)
def test_each_way_in_which_the_index_differs_is_told_with_its_cure(
    given: Entry | None, kind: str, cure: str | None
) -> None:
    for facts in (FACTS, INLINE):
        assert [(found, mends) for found, _, mends in of_index(row(), facts, given)] == [(kind, cure)]


def test_vectors_of_another_space_are_not_those_that_were_made() -> None:
    ((kind, detail, _),) = of_index(row(), INLINE, entry(vectors={"older": 2}))
    assert (kind, detail) == ("incomplete_index", f"no vectors in {SPACE}")


def test_only_the_legs_that_the_catalog_was_told_of_are_expected() -> None:
    by_word = row(searchable=["keyword"])
    assert list(of_index(by_word, INLINE, entry(vectors={}))) == []
    renamed = row(searchable=[], chunks=None)
    assert [found for found, _, _ in of_index(renamed, Facts(), None)] == ["missing_in_index"]
    assert list(of_index(renamed, Facts(), entry(chunks=None, chunk_rows=0, revision=0, vectors={}))) == []


PENDING = dict.fromkeys(("ingest", "embed", "index", "preview", "enrich"), "pending")


@pytest.mark.parametrize(
    ("done", "searchable", "expected"),
    [
        ([], [], ["ingest", "preview"]),
        (["preview"], [], ["ingest"]),
        (["ingest"], [], ["embed", "enrich", "index", "preview"]),
        (["ingest"], ["keyword"], ["embed", "enrich", "preview"]),
        (["ingest", "embed"], ["keyword"], ["enrich", "index", "preview"]),
        (["ingest", "embed", "enrich", "index"], ["keyword", "vector"], ["preview"]),
        (["ingest", "embed", "enrich", "preview"], ["keyword", "vector"], ["index"]),
        (["ingest", "embed", "enrich", "index", "preview"], ["keyword", "vector"], []),
    ],
)
def test_the_roots_are_the_pending_stages_that_wait_for_no_other(
    done: list[str], searchable: list[str], expected: list[str]
) -> None:
    assert roots({**PENDING, **dict.fromkeys(done, "done"), "searchable": searchable}) == expected
