"""Everything that Quire knows, as one value that can be compared: tables without their numbers, objects by digest."""

import hashlib
from typing import Any

from .field import Field

CATALOG = {
    "catalog.document": "SELECT id, to_jsonb(d)::text AS row FROM catalog.document d ORDER BY id",
    # Work that is asked for again once its document is deleted finds nothing to work on, and the log says so.
    "catalog.event": """
        SELECT e.id, to_jsonb(e)::text AS row FROM catalog.event e JOIN catalog.document d ON d.id = e.document_id
        WHERE d.deleted_at IS NULL OR e.type <> 'quire.processing.failed.v1' ORDER BY e.id""",
}

# Numbers of documents are drawn in the order of arrival, and a version only counts changes: neither is what is known.
INDEX = {
    "search.document": "SELECT id, (to_jsonb(d) - 'no')::text AS row FROM search.document d ORDER BY id",
    "search.chunk": """
        SELECT d.id || ' ' || c.index AS id, (to_jsonb(c) - 'document')::text AS row
        FROM search.chunk c JOIN search.document d ON d.no = c.document ORDER BY 1""",
    "search.embedding": """
        SELECT d.id || ' ' || e.space || ' ' || e.index AS id, (to_jsonb(e) - 'document')::text AS row
        FROM search.embedding e JOIN search.document d ON d.no = e.document ORDER BY 1""",
    "search.term": "SELECT term AS id, chunks::text AS row FROM search.term WHERE chunks <> 0 ORDER BY term",
    "search.workspace": "SELECT id, (to_jsonb(w) - 'version')::text AS row FROM search.workspace w ORDER BY id",
}

State = dict[str, dict[str, str]]


# An event that was emitted twice has one id and two times: whichever came first counts. Languages are those in which
# texts were ever analysed, on the way too.
ANY_ORDER = {
    **INDEX,
    "search.document": """
        SELECT id, (to_jsonb(d) - '{no,text_at,enriched_at,spaces}'::text[] ||
            jsonb_build_object('spaces', (SELECT jsonb_agg(k ORDER BY k) FROM jsonb_object_keys(d.spaces) AS k)))::text
            AS row
        FROM search.document d ORDER BY id""",
    "search.workspace": """
        SELECT id, (to_jsonb(w) - '{version,languages}'::text[])::text AS row FROM search.workspace w ORDER BY id""",
}


def index_of(field: Field) -> State:
    """What the index knows, apart from what may depend on the order of its events."""
    return {name: _rows(field, query) for name, query in ANY_ORDER.items()}


def state_of(field: Field) -> State:
    """What the catalog, the index and the store know."""
    tables = {name: _rows(field, query) for name, query in CATALOG.items()}
    files = (path for path in field.objects.rglob("*") if path.is_file())
    objects = {str(path.relative_to(field.objects)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    index = {name: _rows(field, query) for name, query in INDEX.items()}
    return {**tables, **index, "objects": objects}


def differences(before: State, after: State) -> list[str]:
    """What is not the same, by name."""
    found = []
    for name, rows in before.items():
        for key in sorted(rows.keys() | after[name].keys()):
            old, new = rows.get(key), after[name].get(key)
            if old != new:
                found.append(f"{name} {key}: {_short(old, new)} became {_short(new, old)}")
    return found


def _short(text: str | None, other: str | None) -> str:
    """The part of a row that differs."""
    if text is None:
        return "nothing"
    start = next((at for at, (a, b) in enumerate(zip(text, other or "", strict=False)) if a != b), 0)
    return text[max(0, start - 60) : start + 60]


def _rows(field: Field, query: str, *arguments: Any) -> dict[str, str]:
    return {str(row["id"]): str(row["row"]) for row in field.sql(query, *arguments)}
